//! The peers that the benchmark starts by itself: what each needs is put into a cache,
//! and what comes out is a [`Contender`].
//!
//! The programs stand in `bench/peers` and are part of this binary; their libraries come
//! from npm and PyPI in the versions of the lock files, nginx and Redis from the machine
//! or from Debian. A peer that cannot be had is an error that names what to install; it
//! is for the runner to go on without it.

mod cache;
mod channels;
mod check;
mod client;
mod debian;
pub(crate) mod layer;
mod left_over;
mod nchan;
mod node;
mod redis;
mod step;
mod towpath;

use std::path::Path;

use anyhow::Context as _;
use clap::ValueEnum;

pub(crate) use check::{Options, run};

use crate::contender::{Contender, Missing};
use cache::Cache;

/// A peer, or a set-up of Towpath itself that takes more than one command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Peer {
    /// ws on Node.
    NodeWs,
    /// Socket.IO on Node.
    SocketIo,
    /// nchan in Debian's nginx.
    Nchan,
    /// Channels with its layer over Redis, served by Daphne.
    ChannelsDaphne,
    /// Channels with its layer over Redis, served by uvicorn.
    ChannelsUvicorn,
    /// Towpath as an interface server and a worker, over Redis.
    TowpathRedis,
}

impl Peer {
    /// Its name, as on the command line and in tables.
    pub(crate) fn name(self) -> String {
        self.to_possible_value()
            .map(|value| value.get_name().to_owned())
            .unwrap_or_default()
    }
}

/// Gets what a peer needs into `cache`, where it is not there yet, and says how it is
/// started.
///
/// Quick when everything is there. Commands that install are shown on standard error as
/// they run, and each has a time limit.
///
/// # Errors
///
/// Says which step failed, what it said, and what to install.
pub(crate) fn prepare(peer: Peer, cache: &Path) -> anyhow::Result<Contender> {
    let cache = Cache::open(cache)?;
    match peer {
        Peer::NodeWs => node::ws(&cache),
        Peer::SocketIo => node::socket_io(&cache),
        Peer::Nchan => nchan::contender(&cache),
        Peer::ChannelsDaphne => channels::daphne(&cache),
        Peer::ChannelsUvicorn => channels::uvicorn(&cache),
        Peer::TowpathRedis => towpath::contender(&cache),
    }
    .with_context(|| format!("{} cannot be prepared", peer.name()))
}

/// Prepares several, and goes on after one that cannot be had.
pub(crate) fn prepare_all(peers: &[Peer], cache: &Path) -> (Vec<Contender>, Vec<Missing>) {
    let mut contenders = Vec::new();
    let mut missing = Vec::new();
    for peer in peers {
        match prepare(*peer, cache) {
            Ok(contender) => contenders.push(contender),
            Err(error) => missing.push(Missing {
                name: peer.name(),
                reason: format!("{error:#}"),
            }),
        }
    }
    (contenders, missing)
}
