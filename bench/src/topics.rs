//! Joins a second, and what a joined connection takes: sockets on the demonstration's
//! `/socket`, which join `bench:*`.

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use towpath_load::{Joiner, Joins, Target, cpu_used};

use crate::contender::Contender;
use crate::contenders::{self, Asked};
use crate::process::Server;

/// Where peers would be installed: none of them has topics.
const NO_CACHE: &str = "target/bench-peers";

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// `towpath`, or NAME=COMMAND of a program that serves `/socket`; repeat to measure
    /// several in turn.
    #[arg(long = "server", value_name = "SERVER", default_value = "towpath")]
    servers: Vec<Asked>,
    /// Rounds; each has a fresh server.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Sockets.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    sockets: u32,
    /// Topics that each socket joins; the demonstration allows 100.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    topics: u32,
    /// All sockets join the same topics; without it each has its own.
    #[arg(long)]
    shared: bool,
    /// Joins on their way at once.
    #[arg(long, default_value_t = 1_024, value_parser = clap::value_parser!(u32).range(1..))]
    ahead: u32,
    /// Quiet before memory is looked at, in milliseconds.
    #[arg(long, default_value_t = 1_000)]
    settle_ms: u64,
}

/// What one run brought.
#[derive(Debug)]
struct Figures {
    opens_per_second: f64,
    joins_per_second: f64,
    /// Opening and joining together.
    all_per_second: f64,
    /// Processor time of a join.
    server_us: f64,
    own_us: f64,
    /// Growth of resident memory: a socket that is open, and one that has joined.
    open_bytes: f64,
    joined_bytes: f64,
    refused: usize,
}

/// Measures and prints a table.
///
/// # Errors
///
/// If a server cannot be started, does not let everybody in, or refuses a join.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    crate::groups::watch()?;
    let (contenders, missing) = contenders::prepare(&options.servers, Path::new(NO_CACHE))?;
    if let Some(missing) = missing.first() {
        anyhow::bail!("{}: {}", missing.name, missing.reason);
    }
    let mut out = std::io::stdout();
    writeln!(
        out,
        "| round | server | sockets | topics each | opens/s | joins/s | opened and joined/s \
         | server us a join | generator us | bytes a socket | bytes a joined socket | refused |\n\
         | --: | --- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |"
    )?;
    let mut refused = 0;
    for round in 1..=options.rounds {
        for contender in &contenders {
            let figures = measure(contender, options)?;
            refused += figures.refused;
            writeln!(
                out,
                "| {round} | {} | {} | {} | {} |",
                contender.name, options.sockets, options.topics, figures
            )?;
        }
    }
    anyhow::ensure!(refused == 0, "{refused} joins were refused");
    Ok(())
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:.0} | {:.0} | {:.0} | {:.1} | {:.1} | {:.0} | {:.0} | {}",
            self.opens_per_second,
            self.joins_per_second,
            self.all_per_second,
            self.server_us,
            self.own_us,
            self.open_bytes,
            self.joined_bytes,
            self.refused,
        )
    }
}

/// One fresh server: opens, and then joins.
fn measure(contender: &Contender, options: &Options) -> anyhow::Result<Figures> {
    let size = |count: u32| usize::try_from(count).context("too many");
    let joins = Joins {
        sockets: size(options.sockets)?,
        topics: size(options.topics)?,
        shared: options.shared,
        ahead: size(options.ahead)?,
    };
    // For the server that it starts, too.
    towpath_load::raise_file_limit(joins.sockets)?;
    let server = Server::start(contender)?;
    let target = Target::new(server.address, "/socket/websocket?vsn=2.0.0");
    let mut joiner = Joiner::new(target, joins)?;
    let settle = Duration::from_millis(options.settle_ms);
    joiner.rest(settle)?;
    let before = server.rss()?;

    let began = Instant::now();
    joiner.open()?;
    let opening = began.elapsed().as_secs_f64();
    joiner.rest(settle)?;
    let open = server.rss()?.saturating_sub(before) as f64;

    let (cpu, own, began) = (server.cpu()?, cpu_used(), Instant::now());
    let refused = joiner.join()?;
    let joining = began.elapsed().as_secs_f64();
    let own = cpu_used().saturating_sub(own);
    let cpu = server.cpu()?.saturating_sub(cpu);
    joiner.rest(settle)?;
    let joined = server.rss()?.saturating_sub(before) as f64;

    let (sockets, count) = (joins.sockets as f64, joins.count() as f64);
    let each = |time: Duration| time.as_secs_f64() * 1e6 / count;
    // The side that closes first keeps the ports for a minute: let that be the server.
    drop(server);
    Ok(Figures {
        opens_per_second: sockets / opening,
        joins_per_second: count / joining,
        all_per_second: count / (opening + joining),
        server_us: each(cpu),
        own_us: each(own),
        open_bytes: open / sockets,
        joined_bytes: joined / sockets,
        refused,
    })
}
