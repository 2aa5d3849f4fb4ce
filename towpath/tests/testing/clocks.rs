//! Virtual time, and where it cannot be.

use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::Instant;
use towpath::prelude::*;
use towpath::testing::TestApp;

use crate::failures::message;
use crate::world::app;

async fn sleepy(Text(text): Text, socket: Socket) -> Result {
    tokio::time::sleep(Duration::from_secs(20)).await;
    socket.text(text).await
}

/// Computes for a while, by the clock on the wall.
fn blocks(Text(text): Text, socket: Socket) -> Result {
    let began = std::time::Instant::now();
    while began.elapsed() < Duration::from_millis(50) {
        std::hint::spin_loop();
    }
    wait(async move { socket.text(text).await })
}

fn slow() -> App {
    App::new()
        .route("/sleepy", websocket().receive(sleepy))
        .route("/blocks", websocket().receive(blocking(blocks)))
}

#[tokio::test]
async fn an_hour_takes_a_moment_and_nobody_is_lost_in_it() {
    let app = TestApp::memory(app()).await;
    let mut ada = app.websocket("/room/lock").await.accepted();
    let (virtually, really) = (Instant::now(), std::time::Instant::now());
    app.advance(Duration::from_hours(1)).await;
    assert!(virtually.elapsed() >= Duration::from_hours(1));
    assert!(really.elapsed() < Duration::from_secs(30));
    ada.send_text("still here").await;
    assert_eq!(ada.recv_text().await, "still here");
}

#[tokio::test]
async fn ticks_are_exact_on_virtual_time() {
    let app = TestApp::memory(app()).await;
    let mut ada = app.websocket("/obey").await.accepted();
    ada.send_text("tick").await;
    app.settle().await;
    let set = Instant::now();
    for number in 1..=3 {
        assert_eq!(ada.recv_text().await, format!("tick {number}"));
        let due = Duration::from_millis(250) * number;
        let late = (set + Duration::from_millis(10)).elapsed();
        assert!(late.abs_diff(due) <= Duration::from_millis(12), "{late:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_takes_long_comes_when_it_is_due() {
    let app = TestApp::memory(slow()).await;
    let mut ada = app.websocket("/sleepy").await.accepted();
    ada.send_text("late").await;
    ada.assert_nothing_for(Duration::from_secs(19)).await;
    assert_eq!(ada.recv_text().await, "late");
}

#[tokio::test]
async fn a_consumer_that_blocks_holds_the_clock() {
    let app = TestApp::memory(slow()).await;
    let mut ada = app.websocket("/blocks").await.accepted();
    ada.send_text("blocked").await;
    assert_eq!(ada.recv_text().await, "blocked");
}

#[tokio::test(start_paused = true)]
async fn redis_gets_a_clock_that_runs() {
    let app = TestApp::redis(app()).await;
    let before = Instant::now();
    let mut ada = app.websocket("/echo").await.accepted();
    ada.send_text("hi").await;
    assert_eq!(ada.recv_text().await, "hi");
    assert_ne!(Instant::now(), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn threads_are_for_real_time() {
    let started = std::panic::AssertUnwindSafe(async { TestApp::memory(app()).await });
    let message = message(started.catch_unwind().await);
    assert!(message.contains("#[tokio::test]"), "{message}");
    assert!(message.contains(".real_time()"), "{message}");

    for start in [TestApp::memory(app()).real_time(), TestApp::redis(app())] {
        let app = start.await;
        let mut ada = app.websocket("/room/lock").await.accepted();
        ada.send_text("hi").await;
        assert_eq!(ada.recv_text().await, "hi");
        app.assert_member("room.lock", &ada).await;
        ada.close(1000, "").await;
        app.assert_no_member("room.lock", &ada).await;
    }
}
