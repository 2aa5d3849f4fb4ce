//! Redis loses what a topic has kept, while its clients stay.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokio::time::timeout;
use towpath_testkit::redis::RedisServer;

use super::client::{Client, Heard, PATIENCE, Reply};
use crate::process::Process;

/// The application with a topic that keeps its history.
const KEEPER: &str = env!("CARGO_BIN_EXE_towpath-test-topics");
const TOPIC: &str = "history:lost";

/// Messages that it keeps.
const KEPT: u64 = 5;

/// A node that is back has announced its members by then.
const AWHILE: Duration = Duration::from_secs(2);

async fn broadcast(url: &str, number: u64) -> Result<()> {
    let payload = json!({"n": number}).to_string();
    let arguments = [
        "topic",
        "broadcast",
        TOPIC,
        "said",
        &payload,
        "--layer",
        url,
    ];
    let mut process = Process::start_program(KEEPER, &arguments, &[])?;
    ensure!(
        process.exit_code().await? == Some(0),
        "not told: {}",
        process.log()
    );
    Ok(())
}

/// The client is told this next.
async fn hears(client: &mut Client, number: u64) -> Result<()> {
    let heard = timeout(PATIENCE, client.next()).await;
    said(
        &heard.with_context(|| format!("{number} is not told"))??,
        number,
    )
}

fn said(heard: &Heard, number: u64) -> Result<()> {
    let payload: Value = heard.payload()?;
    ensure!(
        heard.event == "said" && payload["n"] == number,
        "{heard:?}, not {number}"
    );
    Ok(())
}

#[tokio::test]
async fn what_is_broadcast_before_a_node_is_back_reaches_its_clients_too() -> Result<()> {
    let redis = RedisServer::launch().await?;
    let url = redis.url();
    let arguments = ["interface", "--layer", &url, "--listen", "127.0.0.1:0"];
    let interface = Process::start_program(KEEPER, &arguments, &[])?;
    let worker = Process::start_program(KEEPER, &["worker", "--layer", &url], &[])?;
    worker.logged("the worker receives").await?;
    let mut client = Client::connect(&interface.address().await?).await?;
    client.join(TOPIC, &json!({})).await?;
    let reply: Reply = timeout(PATIENCE, client.next()).await??.payload()?;
    ensure!(reply.status == "ok", "{reply:?}");
    broadcast(&url, 1).await?;
    hears(&mut client, 1).await?;

    interface.signal(libc::SIGSTOP);
    redis.stop().await?;
    redis.start().await?;
    // This Redis knows of no members yet.
    for number in 2..=3 {
        broadcast(&url, number).await?;
    }
    interface.signal(libc::SIGCONT);
    // The first that its node is brought tells that something is missing.
    let mut last = 3;
    let first = loop {
        last += 1;
        ensure!(last < 2 + KEPT, "nothing is told: {}", interface.log());
        broadcast(&url, last).await?;
        if let Ok(heard) = timeout(AWHILE, client.next()).await {
            break heard?;
        }
    };
    said(&first, 2)?;
    for number in 3..=last {
        hears(&mut client, number).await?;
    }
    Ok(())
}
