//! Towpath itself with sockets and consumers in processes of their own, over Redis.

use anyhow::Context as _;

use super::cache::Cache;
use super::redis;
use crate::contender::{Contender, Launch};
use crate::contenders;

/// Starts the worker and becomes the interface server. `$0` is the program, `$1` the
/// layer, `$2` the address.
const START: &str = r#""$0" worker --layer "$1" & exec "$0" interface --layer "$1" --listen "$2""#;

/// An interface server and a worker, one process each.
pub(super) fn contender(cache: &Cache) -> anyhow::Result<Contender> {
    let (redis, version) = redis::program(cache)?;
    let own = std::env::current_exe().context("cannot find this program")?;
    let program = contenders::towpath(&own)?.display().to_string();
    let arguments = ["-c", START, &program, redis::URL, "127.0.0.1:{port}"];
    let launch = Launch::new("sh", arguments)
        .with("TOWPATH__LOG__FILTER", "warn")
        .with("TOWPATH__OPERATOR__LISTEN", "off");
    let about = format!("Towpath as an interface server and a worker, {version}");
    Ok(Contender {
        sides: vec![redis::side(redis)],
        ..Contender::new("towpath-redis", &about, launch)
    })
}
