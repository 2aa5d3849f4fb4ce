//! Towpath's benchmark: a load generator, the peer program to compare with, and
//! the runner that measures several servers in turn.

mod compare;
mod generator;
mod layer;
mod peer;
mod process;
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
    /// Measures a channel layer without sockets, in memory and over Redis.
    Layer(layer::Options),
    /// Serves what a Rust user would write without Towpath: axum and a broadcast a room.
    Peer(peer::Options),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Compare(options) => compare::run(&options),
        Command::Layer(options) => layer::run(&options),
        Command::Peer(options) => peer::run(&options),
    }
}
