//! The servers that the runner knows by name.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context as _, ensure};
use clap::ValueEnum as _;

use crate::contender::{Contender, Dialect, Launch, Missing};
use crate::peers::{self, Peer};
use crate::scenario::Scenario;

/// A server as it is asked for on the command line.
#[derive(Debug, Clone)]
pub(crate) enum Asked {
    /// One that needs nothing but what is built beside this program.
    Own(Own),
    Peer(Peer),
    /// `NAME=COMMAND`.
    Command(Box<Contender>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Own {
    /// The demonstration on the memory layer, one process.
    Towpath,
    /// The same, where a room is a topic that Phoenix's clients have joined.
    TowpathTopics,
    /// One write a delivery.
    Floor,
    /// What arrived in one turn in one write a member.
    FloorCoalesced,
    /// axum and a broadcast a room.
    Axum,
}

impl FromStr for Asked {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(own) = Own::from_str(text, false) {
            return Ok(Self::Own(own));
        }
        if let Ok(peer) = <Peer as clap::ValueEnum>::from_str(text, false) {
            return Ok(Self::Peer(peer));
        }
        text.parse()
            .map(|it| Self::Command(Box::new(it)))
            .map_err(|error| {
                let own = Own::value_variants()
                    .iter()
                    .filter_map(Own::to_possible_value);
                let peers = Peer::value_variants()
                    .iter()
                    .filter_map(Peer::to_possible_value);
                let names: Vec<String> = own
                    .chain(peers)
                    .map(|it| it.get_name().to_owned())
                    .collect();
                format!(
                    "it is none of {}, and not a command: {error}",
                    names.join(", ")
                )
            })
    }
}

/// The servers that are asked for, and those of them that cannot be had.
///
/// # Errors
///
/// If what is built beside this program is not there.
pub(crate) fn prepare(
    asked: &[Asked],
    cache: &Path,
) -> anyhow::Result<(Vec<Contender>, Vec<Missing>)> {
    let mut contenders = Vec::new();
    let mut missing = Vec::new();
    for asked in asked {
        match asked {
            Asked::Own(own) => contenders.push(own.contender()?),
            Asked::Command(contender) => contenders.push(Contender::clone(contender)),
            Asked::Peer(peer) => {
                let (there, not) = peers::prepare_all(&[*peer], cache);
                contenders.extend(there);
                missing.extend(not);
            }
        }
    }
    Ok((contenders, missing))
}

impl Own {
    fn contender(self) -> anyhow::Result<Contender> {
        let own = std::env::current_exe().context("cannot find this program")?;
        let listen = ["--listen", "127.0.0.1:{port}"];
        let this = |arguments: &[&str]| Launch::new(&own, [arguments, &listen].concat());
        let demonstration = || {
            let launch = Launch::new(towpath(&own)?, [&["serve"], &listen[..]].concat())
                .with("TOWPATH__LOG__FILTER", "warn")
                .with("TOWPATH__OPERATOR__LISTEN", "off");
            anyhow::Ok(launch)
        };
        Ok(match self {
            Self::Towpath => Contender::new(
                "towpath",
                "Towpath, memory layer, one process",
                demonstration()?,
            ),
            Self::TowpathTopics => Contender {
                dialect: Dialect::Phoenix,
                cannot: without_topics(),
                ..Contender::new(
                    "towpath-topics",
                    "the same; a room is a topic, which sockets of version 2 have joined",
                    demonstration()?,
                )
            },
            Self::Floor => Contender::new(
                "floor",
                "one thread, epoll, one write a delivery",
                this(&["floor"]),
            ),
            Self::FloorCoalesced => Contender::new(
                "floor-coalesced",
                "one thread, epoll, one write a member for what arrived in a turn",
                this(&["floor", "--coalesce"]),
            ),
            Self::Axum => Contender::new(
                "axum",
                "axum 0.8 and tokio's broadcast, two threads, library defaults",
                this(&["peer"]),
            ),
        })
    }
}

/// All but those of one room in which one speaks.
fn without_topics() -> Vec<Scenario> {
    let all = Scenario::value_variants().iter().copied();
    all.filter(|it| !it.family().starts_with("fan-out"))
        .collect()
}

/// The `towpath` that was built beside this program.
pub(crate) fn towpath(own: &Path) -> anyhow::Result<PathBuf> {
    let towpath = own.with_file_name("towpath");
    ensure!(
        towpath.is_file(),
        "{} is missing: build it with `cargo build -p towpath` in the profile of this program",
        towpath.display()
    );
    Ok(towpath)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_name_or_a_command() {
        assert!(matches!("towpath".parse(), Ok(Asked::Own(Own::Towpath))));
        assert!(matches!("node-ws".parse(), Ok(Asked::Peer(Peer::NodeWs))));
        assert!(matches!("mine=x {port}".parse(), Ok(Asked::Command(_))));
        let error = "mine".parse::<Asked>().unwrap_err();
        assert!(
            error.contains("floor-coalesced") && error.contains("NAME=COMMAND"),
            "{error}"
        );
    }
}
