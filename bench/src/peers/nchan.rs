//! nchan in nginx, from Debian: one worker, messages in its memory.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use super::cache::Cache;
use super::debian;
use super::step::Steps;
use crate::contender::{Contender, Launch};

const CONFIGURATION: &str = include_str!("../../peers/nchan/nginx.conf");

/// Where Debian has them; `nginx` for those who have it in their path.
const PROGRAMS: [&str; 2] = ["/usr/sbin/nginx", "nginx"];
const MODULES: [&str; 2] = ["/usr/lib/nginx/modules", "/usr/lib64/nginx/modules"];
const MODULE: &str = "ngx_nchan_module.so";

/// Fills the configuration in, and becomes nginx. `$1` is the template, `$2` nginx, `$3`
/// the folder of its modules, `$4` the folder of this run, `$5` the port.
const START: &str = r#"sed -e "s|MODULES|$3|g" -e "s|FOLDER|$4|g" -e "s|PORT|$5|g" "$1" \
    > "$4/nginx.conf" && exec "$2" -p "$4" -c "$4/nginx.conf""#;

/// nchan; an echo is a room of one.
pub(super) fn contender(cache: &Cache) -> anyhow::Result<Contender> {
    if find(&cache.steps).is_none() {
        let packages = ["nginx-light", "libnginx-mod-nchan"];
        debian::install(&cache.steps, "nchan", &packages)?;
    }
    let found = find(&cache.steps);
    let (nginx, version, modules) = found.context(
        "nginx with nchan is not where Debian has it: /usr/sbin/nginx and \
         /usr/lib/nginx/modules/ngx_nchan_module.so",
    )?;
    let entry = cache.entry("nchan", CONFIGURATION, |_folder| Ok(()))?;
    let template = Cache::program(&entry, "nginx.conf", CONFIGURATION)?;
    let about = format!(
        "nchan {} in nginx {version}, one worker, in memory; an echo is a room of one",
        nchan_version(&cache.steps)
    );
    let paths = [&template, &nginx, &modules].map(|path| path.display().to_string());
    let words = ["-c".into(), START.into(), "nchan".into()].into_iter();
    let ends = ["{dir}".to_owned(), "{port}".to_owned()];
    let arguments: Vec<String> = words.chain(paths).chain(ends).collect();
    Ok(Contender::new(
        "nchan",
        &about,
        Launch::new("sh", arguments),
    ))
}

/// nginx, its version, and the folder with nchan's module.
fn find(steps: &Steps) -> Option<(PathBuf, String, PathBuf)> {
    let folders = MODULES.iter().map(Path::new);
    let modules = folders
        .into_iter()
        .find(|folder| folder.join(MODULE).is_file())?;
    PROGRAMS.iter().find_map(|program| {
        let answer = steps.answer(Command::new(program).arg("-v")).ok()?;
        let version = answer.rsplit('/').next()?.to_owned();
        Some((program.into(), version, modules.to_owned()))
    })
}

/// nchan does not say its version; the package does, in an epoch and with a revision.
fn nchan_version(steps: &Steps) -> String {
    let mut query = Command::new("dpkg-query");
    query.args(["-W", "-f", "${Version}", "libnginx-mod-nchan"]);
    let version = steps.answer(&mut query).ok();
    let version = version.and_then(|it| {
        it.split([':', '+', '-'])
            .find(|part| part.contains('.'))
            .map(str::to_owned)
    });
    version.unwrap_or_else(|| "of unknown version".to_owned())
}
