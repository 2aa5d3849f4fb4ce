//! Stopping in good order.

use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use towpath_interface_server::{Phase, ServerConfig};
use towpath_layer_core::{EventKind, Reply};

use crate::client::{Raw, request, status};
use crate::events::open;
use crate::rig::{PATIENCE, Rig, config, until, within};

#[tokio::test]
async fn every_socket_is_closed_with_1012_in_batches_and_its_disconnect_handed_over() {
    let rig = Rig::start(ServerConfig {
        shards: 1,
        close_timeout: Duration::from_secs(5),
        ..config()
    })
    .await;
    let echo = rig.echo();
    let mut clients = Vec::new();
    for _ in 0..50 {
        clients.push(rig.connect("/chat").await);
    }
    until(async || rig.handle.phase() == Phase::Ready).await;
    let started = Instant::now();
    rig.stop.cancel();
    for client in &mut clients {
        assert_eq!(client.closed().await, 1012);
        // The client answers, as every polite one does.
        assert!(client.next().await.is_none());
    }
    // 17 batches, with at least 25 ms between two of them.
    let took = started.elapsed();
    assert!(
        took >= Duration::from_millis(400) && took < Duration::from_secs(3),
        "{took:?}"
    );
    let handle = rig.handle.clone();
    within(rig.running).await.unwrap();
    assert_eq!(handle.phase(), Phase::Stopped);
    until(async || echo.disconnects.lock().len() == 50).await;
    assert!(
        echo.disconnects
            .lock()
            .iter()
            .all(|(code, _)| *code == 1012)
    );
}

#[tokio::test]
async fn what_is_in_flight_finishes_first() {
    let rig = Rig::start(config()).await;
    let mut worker = rig.worker();
    let mut client = open(&rig, &mut worker).await;
    let mut waiting = Raw::connect(rig.address).await;
    waiting.write(request("/chat", "").as_bytes()).await;
    let connect = worker.next().await;
    client.send("one").await;
    client.send("two").await;
    let one = worker.next().await;
    // An event that nobody says to hold is soon taken for lost, and the second
    // would follow it.
    worker.holds(&one).await;
    rig.stop.cancel();
    until(async || rig.handle.phase() == Phase::Draining).await;
    until(async || TcpStream::connect(rig.address).await.is_err()).await;
    assert!(worker.is_idle(Duration::from_millis(100)).await);
    worker.reply(&one, Reply::text("answer")).await;
    worker.done(&one).await;
    worker.accept(&connect).await;
    worker.done(&connect).await;
    assert_eq!(client.text().await, "answer");
    assert!(waiting.head().await.starts_with("HTTP/1.1 101"));
    assert_eq!(waiting.closed().await, 1012);
    let mut ends = 0;
    while ends < 2 {
        let event = worker.next().await;
        ends += usize::from(matches!(event.kind, EventKind::Disconnect { .. }));
        worker.done(&event).await;
    }
    assert_eq!(client.closed().await, 1012);
    assert!(client.next().await.is_none());
    drop(waiting);
    within(rig.running).await.unwrap();
}

#[tokio::test]
async fn a_drain_ends_in_time_whoever_does_not_answer() {
    let rig = Rig::start(ServerConfig {
        drain_timeout: Duration::from_millis(500),
        ..config()
    })
    .await;
    let mut worker = rig.worker();
    let mut client = open(&rig, &mut worker).await;
    let mut stubborn = open(&rig, &mut worker).await;
    client.send("never answered").await;
    worker.next().await;
    let started = Instant::now();
    rig.stop.cancel();
    within(rig.running).await.unwrap();
    assert!(started.elapsed() < PATIENCE / 4);
    // One was told, the other is just cut.
    stubborn.closed().await;
    assert!(!matches!(client.next().await, Some(Ok(message)) if message.is_text()));
}

#[tokio::test]
async fn nothing_new_begins_on_a_connection_that_was_there() {
    let rig = Rig::start(config()).await;
    let mut worker = rig.worker();
    let _client = open(&rig, &mut worker).await;
    let mut early = Raw::connect(rig.address).await;
    early
        .write(b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await;
    assert!(early.head().await.starts_with("HTTP/1.1 404"));
    rig.stop.cancel();
    until(async || rig.handle.phase() != Phase::Ready).await;
    early.ended().await;
    let refused = crate::client::Client::connect(rig.address, "/chat").await;
    assert!(refused.is_err(), "{}", status(&refused));
    within(rig.running).await.unwrap();
}

#[tokio::test]
async fn a_server_whose_run_is_dropped_accepts_nothing_more() {
    let rig = Rig::start(config()).await;
    until(async || rig.handle.phase() == Phase::Ready).await;
    rig.running.abort();
    until(async || TcpStream::connect(rig.address).await.is_err()).await;
}
