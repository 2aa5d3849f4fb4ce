//! Towpath's benchmark: a load generator, the peer program to compare with, and
//! the runner that measures several servers in turn.

mod compare;
mod contender;
mod floor;
mod generator;
mod layer;
mod measure;
mod peer;
mod process;
mod record;
mod scenario;
mod stats;
mod traffic;
mod wire;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measures several servers, interleaved, and prints a Markdown table.
    Compare(compare::Options),
    /// Serves what the kernel charges and no more: the floor to compare with.
    Floor(floor::Options),
    /// Measures a channel layer without sockets, in memory and over Redis.
    Layer(layer::Options),
    /// Serves what a Rust user would write without Towpath: axum and a broadcast a room.
    Peer(peer::Options),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Compare(options) => compare::run(&options),
        Command::Floor(options) => floor::run(&options),
        Command::Layer(options) => layer::run(&options),
        Command::Peer(options) => peer::run(&options),
    }
}
