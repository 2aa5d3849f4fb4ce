//! `cargo xtask bench`: builds the benchmark and the servers, and runs it.

use std::path::Path;

use anyhow::Result;
use clap::Args;

use crate::command;

const BUILD: &[&str] = &[
    "cargo",
    "build",
    "--package",
    "towpath",
    "--package",
    "towpath-bench",
    "--profile",
];

/// Servers that need nothing but what is built here.
const OWN: &[&str] = &["towpath", "floor", "floor-coalesced", "axum"];
const PEERS: &[&str] = &[
    "node-ws",
    "socket-io",
    "nchan",
    "channels-daphne",
    "channels-uvicorn",
    "towpath-redis",
];
/// There once the packages of the peers on Node are installed.
const NODE_INSTALLED: &str = "target/bench-peers/node/installed";

/// What is measured in a hurry: one of each kind, and both ends of what should not grow.
const QUICK: &str = "connect,idle-1k,idle-10k,echo,echo-rate,fan-out-100,fan-out-1k,fan-out-10k,\
                     fan-out-rate-1k,rooms-10,rooms-200,rooms-1000,rooms-rate,mixed,slow,churn";
const QUICK_TIMES: &[&str] = &["--rounds", "1", "--warmup-ms", "300", "--window-ms", "700"];

/// How the benchmark is run.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Measure for less than five minutes, against what needs no installation; write
    /// nothing but a table.
    #[arg(long)]
    quick: bool,
    /// Rounds; in each of them every server is asked in turn.
    #[arg(long, default_value = "5", conflicts_with = "quick")]
    rounds: String,
    /// More options for `towpath-bench compare`.
    #[arg(last = true)]
    more: Vec<String>,
}

/// Builds, then measures.
///
/// Fails if anything went wrong with a message to or from Towpath; never for its speed.
pub(crate) fn run(root: &Path, options: &Options) -> Result<()> {
    // In a hurry not half of the time may go into optimising across crates.
    let profile = if options.quick { "quick" } else { "release" };
    command::run(root, &[BUILD, &[profile]].concat(), &[])?;
    let program = format!("target/{profile}/towpath-bench");
    let mut line = vec![&*program, "compare", "--strict", "towpath"];
    let mut servers = OWN.to_vec();
    if options.quick {
        line.extend(["--scenario", QUICK]);
        line.extend(QUICK_TIMES);
        if root.join(NODE_INSTALLED).is_file() {
            servers.push("node-ws");
        }
    } else {
        servers.extend(PEERS);
        line.extend(["--rounds", &options.rounds, "--layers", "--write", "bench"]);
        line.extend(["--json", "target/bench.json"]);
    }
    line.extend(servers.iter().flat_map(|server| ["--server", server]));
    line.extend(options.more.iter().map(String::as_str));
    command::run(root, &line, &[])
}

/// The same in a hurry, as a step of the tests.
pub(crate) fn quick(root: &Path) -> Result<()> {
    let options = Options {
        quick: true,
        rounds: String::new(),
        more: Vec::new(),
    };
    run(root, &options)
}
