//! Towpath's benchmark: the servers to compare with, and the runner that starts and
//! measures several in turn. The load generator is the crate `towpath-load`.

mod beside;
mod compare;
mod contender;
mod contenders;
mod floor;
mod groups;
mod layer;
mod measure;
mod peer;
mod peers;
mod plan;
mod process;
mod procfs;
mod progress;
mod record;
mod report;
mod scenario;
mod topics;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measures several servers, interleaved, and prints a report.
    Compare(compare::Options),
    /// Serves what the kernel charges and no more: the floor to compare with.
    Floor(floor::Options),
    /// Measures a channel layer without sockets, in memory and over Redis.
    Layer(layer::Options),
    /// Serves what a Rust user would write without Towpath: axum and a broadcast a room.
    Peer(peer::Options),
    /// Gets what the peers need, and tries each of them.
    Peers(peers::Options),
    /// Makes the report on a run again, from its JSON file.
    Report(report::Options),
    /// Measures joins of topics, and the memory of connections that have joined.
    Topics(topics::Options),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Compare(options) => compare::run(&options),
        Command::Floor(options) => floor::run(&options),
        Command::Layer(options) => layer::run(&options),
        Command::Peer(options) => peer::run(&options),
        Command::Peers(options) => peers::run(&options),
        Command::Report(options) => report::run(&options),
        Command::Topics(options) => topics::run(&options),
    }
}
