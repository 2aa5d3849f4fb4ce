//! A Redis for one contender alone.

use std::process::Command;

use anyhow::Context as _;

use super::cache::Cache;
use super::debian;
use crate::contender::{Launch, Side};

const PROGRAMS: [&str; 2] = ["redis-server", "valkey-server"];

/// Where the side of [`side`] is, for a contender's command.
pub(super) const URL: &str = "redis://127.0.0.1:{redis}";

/// A Redis on the machine, or from Debian: its name, and its version.
pub(super) fn program(cache: &Cache) -> anyhow::Result<(&'static str, String)> {
    let find = || {
        PROGRAMS.into_iter().find_map(|program| {
            let answer = cache.steps.answer(Command::new(program).arg("--version"));
            Some((program, version(&answer.ok()?)?))
        })
    };
    if find().is_none() {
        debian::install(&cache.steps, "peers over Redis", &["redis-server"])?;
    }
    find().context("neither redis-server nor valkey-server is in the path")
}

/// The side process `redis`: it keeps nothing on disk.
pub(super) fn side(program: &str) -> Side {
    let arguments = [
        "--port",
        "{port}",
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--appendonly",
        "no",
        "--maxclients",
        "20000",
        "--dir",
        "{dir}",
    ];
    Side {
        name: "redis".to_owned(),
        launch: Launch::new(program, arguments),
    }
}

/// `Redis server v=7.0.15 sha=…` has the version as a word.
fn version(answer: &str) -> Option<String> {
    let word = answer
        .split_whitespace()
        .find_map(|word| word.strip_prefix("v="));
    word.map(|version| format!("Redis {version}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_the_answer() {
        let answer = "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64";
        assert_eq!(version(answer).unwrap(), "Redis 7.0.15");
        assert_eq!(version("not a server"), None);
    }
}
