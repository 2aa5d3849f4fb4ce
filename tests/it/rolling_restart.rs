//! Every worker is replaced, one after the other, under busy conversations.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, ensure};
use tokio::task::JoinSet;
use towpath_testkit::redis::RedisServer;

use crate::chat::Socket;
use crate::machine;
use crate::process::{CONSUMERS, Process};
use crate::suite::worker;

const CONVERSATIONS: usize = 500;
const WORKERS: usize = 3;

#[tokio::test]
async fn no_session_is_lost_or_goes_back_when_every_worker_is_replaced() -> Result<()> {
    let _machine = machine::alone().await;
    let redis = RedisServer::launch().await?;
    let url = redis.url();
    let arguments = ["interface", "--layer", &url, "--listen", "127.0.0.1:0"];
    let interface = Process::start_program(CONSUMERS, &arguments, &[])?;
    let address = interface.address().await?;
    let mut workers = Vec::new();
    for _ in 0..WORKERS {
        workers.push(worker(&url).await?);
    }

    let over = Arc::new(AtomicBool::new(false));
    let mut talking = JoinSet::new();
    for _ in 0..CONVERSATIONS {
        let socket = Socket::connect(&address, "/busy").await?;
        talking.spawn(talk(socket, Arc::clone(&over)));
    }
    let mut replacements = Vec::new();
    for mut old in workers {
        replacements.push(worker(&url).await?);
        old.signal(libc::SIGTERM);
        ensure!(old.exit_code().await? == Some(0), "{}", old.log());
        ensure!(talking.len() == CONVERSATIONS && talking.try_join_next().is_none());
    }
    over.store(true, Ordering::Relaxed);
    let mut fewest = u64::MAX;
    while let Some(talked) = talking.join_next().await {
        fewest = fewest.min(talked??);
    }
    ensure!(fewest > 1, "a conversation was not busy");
    Ok(())
}

/// Says numbers until it is over, one on its way while the next is said. Each
/// comes back with the count that the session keeps: a session that was lost
/// or went back, an event that was lost or came twice, all show in it.
async fn talk(mut socket: Socket, over: Arc<AtomicBool>) -> Result<u64> {
    let mut said = 1;
    socket.say("1").await?;
    while !over.load(Ordering::Relaxed) {
        said += 1;
        socket.say(&said.to_string()).await?;
        let heard = said - 1;
        socket.hears(&format!("{heard} {heard}")).await?;
    }
    socket
        .hears(&format!("{said} {said}"))
        .await
        .context("the last word")?;
    Ok(said)
}
