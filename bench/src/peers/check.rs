//! `towpath-bench peers`: prepares the peers, and tries each of them for real.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use clap::ValueEnum as _;

use super::client::Client;
use super::{Peer, layer, left_over, prepare_all};
use crate::contender::{Contender, Dialect};
use crate::groups;
use crate::process::Server;

/// Members of the room that is tried.
const MEMBERS: usize = 5;

/// What `towpath-bench peers` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// These peers; all, if none is named.
    peers: Vec<Peer>,
    /// Where what is installed for them stays.
    #[arg(long, value_name = "FOLDER", default_value = "target/bench-peers")]
    cache: PathBuf,
    /// Start each, try echo and rooms, stop it, and look whether a process is left.
    #[arg(long)]
    check: bool,
    /// Instead of all this, measure channels_redis without sockets on this Redis; what
    /// it keeps there is emptied.
    #[arg(long, value_name = "URL")]
    layer: Option<String>,
    /// Messages to measure it with.
    #[arg(long, default_value_t = 2_000, requires = "layer")]
    messages: u32,
}

/// Prepares the peers, tries them if asked to, and says what came of it.
///
/// # Errors
///
/// If a peer that could be prepared does not do what it must. One that could not is
/// said loudly and is no error.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    if let Some(url) = &options.layer {
        let figures = layer::channels_redis(&options.cache, url, options.messages)?;
        return Ok(write!(std::io::stdout(), "{}", layer::table(&figures))?);
    }
    groups::watch()?;
    let mut peers = options.peers.as_slice();
    if peers.is_empty() {
        peers = Peer::value_variants();
    }
    let (contenders, missing) = prepare_all(peers, &options.cache);
    let mut out = std::io::stdout();
    let mut failed = Vec::new();
    for contender in &contenders {
        write!(out, "{}: {}", contender.name, contender.about)?;
        if options.check {
            match check(contender) {
                Ok(()) => write!(out, ": works")?,
                Err(error) => {
                    write!(out, ": FAILED: {error:#}")?;
                    failed.push(contender.name.as_str());
                }
            }
        }
        writeln!(out)?;
    }
    for peer in &missing {
        writeln!(out, "{}: MISSING, NOT TRIED: {}", peer.name, peer.reason)?;
    }
    ensure!(
        failed.is_empty(),
        "these do not work: {}",
        failed.join(", ")
    );
    Ok(())
}

/// Starts a contender, tries it, stops it, and looks for what is left of it.
fn check(contender: &Contender) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let server = Server::start(contender)?;
    let groups = left_over::groups_of_children()?;
    ensure!(
        !groups.is_empty(),
        "the server has no process group of its own"
    );
    let (address, dialect) = (server.address, contender.dialect);
    let tried = runtime.block_on(async {
        echo(address, dialect).await.context("echo")?;
        rooms(address, dialect).await.context("rooms")
    });
    drop(server);
    let gone = runtime.block_on(left_over::gone(&groups));
    tried.and(gone)
}

async fn echo(address: SocketAddr, dialect: Dialect) -> anyhow::Result<()> {
    let mut client = Client::open(address, dialect, None).await?;
    let mut other = Client::open(address, dialect, None).await?;
    let payloads = ["one", "Schleuse für Größere ⛵"];
    for payload in payloads {
        client.send(payload).await?;
    }
    other.send("other").await?;
    for payload in payloads {
        hears(&mut client, payload).await?;
    }
    hears(&mut other, "other").await
}

/// Everyone in a room hears everyone once and in order, nobody outside hears anything.
async fn rooms(address: SocketAddr, dialect: Dialect) -> anyhow::Result<()> {
    let mut members = Vec::new();
    for _ in 0..MEMBERS {
        members.push(Client::open(address, dialect, Some("blue")).await?);
    }
    let mut outside = Client::open(address, dialect, Some("red")).await?;
    for (number, member) in members.iter_mut().enumerate() {
        member.send(&format!("first of {number}")).await?;
        member.send(&format!("second of {number}")).await?;
    }
    for member in &mut members {
        let mut heard = Vec::new();
        for _ in 0..MEMBERS * 2 {
            heard.push(member.receive().await?);
        }
        for number in 0..MEMBERS {
            let said = format!("of {number}");
            let of_one: Vec<_> = heard.iter().filter(|it| it.ends_with(&said)).collect();
            let expected = [format!("first {said}"), format!("second {said}")];
            ensure!(of_one == expected.each_ref(), "{of_one:?} of {expected:?}");
        }
    }
    outside.send("outside").await?;
    hears(&mut outside, "outside").await?;
    let mut late = Client::open(address, dialect, Some("blue")).await?;
    late.send("late").await?;
    hears(&mut late, "late").await?;
    for member in &mut members {
        hears(member, "late").await?;
    }
    Ok(())
}

async fn hears(client: &mut Client, payload: &str) -> anyhow::Result<()> {
    let heard = client.receive().await?;
    ensure!(heard == payload, "heard {heard:?} instead of {payload:?}");
    Ok(())
}
