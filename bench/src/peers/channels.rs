//! Django Channels with channels_redis, from PyPI, served by Daphne and by uvicorn.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;

use super::cache::Cache;
use super::step::Steps;
use super::{debian, redis};
use crate::contender::{Contender, Launch};
use crate::scenario::Scenario;

const REQUIREMENTS: &str = include_str!("../../peers/channels/requirements.txt");
const PROGRAMS: [(&str, &str); 3] = [
    ("app.py", include_str!("../../peers/channels/app.py")),
    ("layer.py", include_str!("../../peers/channels/layer.py")),
    (
        "layer_settings.py",
        include_str!("../../peers/channels/layer_settings.py"),
    ),
];

/// Debian's own stands behind one that was put before it in the path.
const PYTHONS: [&str; 3] = ["python3", "/usr/bin/python3", "python"];
/// Says its version if it is new enough for the requirements and can make an environment.
const FITS: &str = "import ensurepip, platform, sys, venv; \
                    sys.version_info >= (3, 11) or sys.exit(1); \
                    print(platform.python_version())";

const ENVIRONMENT_WAIT: Duration = Duration::from_secs(120);
/// How long pip may take to fetch some forty packages, about 40 MB.
const INSTALL_WAIT: Duration = Duration::from_secs(300);

/// What takes it minutes, or what it falls ever further behind with: it makes two to
/// four thousand deliveries a second.
const TOO_MUCH: [Scenario; 10] = [
    Scenario::FanOut10k,
    Scenario::FanOutRate100,
    Scenario::FanOutRate1k,
    Scenario::FanOutRate10k,
    // Two thousand speak at once: nothing is back before a window has ended.
    Scenario::Rooms200,
    Scenario::Rooms1000,
    Scenario::RoomsRate,
    Scenario::Mixed,
    Scenario::SlowNone,
    Scenario::Slow,
];

/// Channels, served by Daphne.
pub(super) fn daphne(cache: &Cache) -> anyhow::Result<Contender> {
    let words = [
        "-v",
        "0",
        "-b",
        "127.0.0.1",
        "-p",
        "{port}",
        "app:application",
    ];
    contender(cache, "Daphne", &words)
}

/// Channels, served by uvicorn with uvloop and httptools.
pub(super) fn uvicorn(cache: &Cache) -> anyhow::Result<Contender> {
    let words = [
        "--host",
        "127.0.0.1",
        "--port",
        "{port}",
        "--backlog",
        "4096",
        "--log-level",
        "error",
        "--no-access-log",
        "--lifespan",
        "off",
        "--ws-per-message-deflate",
        "false",
        "app:application",
    ];
    contender(cache, "uvicorn", &words)
}

/// The folder with the programs, and its Python.
pub(super) fn installed(cache: &Cache) -> anyhow::Result<(PathBuf, PathBuf)> {
    let (folder, _version) = environment(cache)?;
    let python = folder.join("venv/bin/python");
    Ok((folder, python))
}

fn contender(cache: &Cache, shown: &str, arguments: &[&str]) -> anyhow::Result<Contender> {
    let server = shown.to_lowercase();
    let (redis, redis_version) = redis::program(cache)?;
    let (folder, python) = environment(cache)?;
    let about = format!(
        "Channels {} on {shown} {}, channels_redis {} (core), {redis_version}, Python {python}, \
         one process",
        version("channels"),
        version(&server),
        version("channels_redis")
    );
    let program = folder.join("venv/bin").join(&server);
    let launch = Launch::new(program, arguments.iter().copied())
        .in_directory(folder)
        .with("LAYER_URL", redis::URL);
    Ok(Contender {
        cannot: TOO_MUCH.to_vec(),
        sides: vec![redis::side(redis)],
        ..Contender::new(&format!("channels-{server}"), &about, launch)
    })
}

/// The folder with the programs and an environment `venv`, and Python's version.
fn environment(cache: &Cache) -> anyhow::Result<(PathBuf, String)> {
    let steps = &cache.steps;
    if find(steps).is_none() {
        debian::install(steps, "Channels", &["python3", "python3-venv"])?;
    }
    let (python, version) = find(steps).context(
        "Python 3.11 or later with venv is missing: install it from https://www.python.org or \
         your system's packages",
    )?;
    let stamp = format!("{python} {version}\n{REQUIREMENTS}");
    let folder = cache.entry("channels", &stamp, |folder| install(steps, python, folder))?;
    for (name, text) in PROGRAMS {
        Cache::program(&folder, name, text)?;
    }
    Ok((folder, version))
}

fn install(steps: &Steps, python: &str, folder: &Path) -> anyhow::Result<()> {
    let mut make = Command::new(python);
    make.args(["-m", "venv", "venv"]).current_dir(folder);
    steps.run(&mut make, ENVIRONMENT_WAIT)?;
    fs::write(folder.join("requirements.txt"), REQUIREMENTS)?;
    let mut pip = Command::new(folder.join("venv/bin/python"));
    // A package without a wheel would need a compiler.
    pip.args([
        "-m",
        "pip",
        "install",
        "--only-binary",
        ":all:",
        "--no-input",
    ])
    .args(["--disable-pip-version-check", "-r", "requirements.txt"])
    .current_dir(folder);
    steps.run(&mut pip, INSTALL_WAIT)
}

fn find(steps: &Steps) -> Option<(&'static str, String)> {
    PYTHONS.into_iter().find_map(|python| {
        let mut ask = Command::new(python);
        let answer = steps.answer(ask.args(["-c", FITS]));
        Some((python, answer.ok()?))
    })
}

/// The version of a package that is asked for.
fn version(package: &str) -> &'static str {
    let lines = REQUIREMENTS
        .lines()
        .filter_map(|line| line.split_once("=="));
    let mut versions = lines.filter(|(name, _)| *name == package);
    versions
        .next()
        .map_or("of unknown version", |(_, version)| version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_requirement_is_of_one_version() {
        let lines = REQUIREMENTS.lines().filter(|line| !line.starts_with('#'));
        for line in lines {
            let (name, version) = line.split_once("==").unwrap();
            assert!(
                !name.is_empty() && !version.contains(['*', ';', ' ']),
                "{line}"
            );
        }
        for package in ["channels", "channels_redis", "daphne", "uvicorn", "redis"] {
            assert!(version(package).starts_with(|it: char| it.is_ascii_digit()));
        }
    }
}
