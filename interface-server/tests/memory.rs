//! What an idle connection costs: in a process of its own, where nothing else grows.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test says what it expects by unwrapping"
)]

#[allow(dead_code, reason = "shared with the other tests")]
#[path = "it/client.rs"]
mod client;
#[allow(dead_code, reason = "shared with the other tests")]
#[path = "it/rig.rs"]
mod rig;

use crate::client::Raw;
use crate::rig::{Rig, config, until};

/// Resident memory of this process, in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = status.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

#[tokio::test]
async fn an_idle_connection_costs_at_most_4_kib_with_its_client() {
    const CONNECTIONS: usize = 2000;
    const EACH_MAX: usize = 4 << 10;
    let rig = Rig::start(config()).await;
    let _echo = rig.echo();
    let mut clients = Vec::with_capacity(CONNECTIONS);
    for _ in 0..200 {
        clients.push(Raw::open(rig.address).await);
    }
    let before = resident();
    while clients.len() < CONNECTIONS {
        clients.push(Raw::open(rig.address).await);
    }
    until(async || rig.handle.conversations() == CONNECTIONS).await;
    let each = resident().saturating_sub(before) / (CONNECTIONS - 200);
    assert!(each <= EACH_MAX, "{each} bytes for each connection");
    println!("{each} bytes for each connection, both ends");
    drop(clients);
    rig.end().await;
}
