//! What holds in memory about delayed messages, beyond the conformance suite.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what it expects by unwrapping"
)]

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::time::Instant;
use towpath_layer_core::{
    ChannelLayer, ChannelName, Content, Limits, Reply, SystemClock, SystemEntropy,
};
use towpath_layer_memory::MemoryLayer;
use towpath_testkit::CollectingSink;

const HOUR: Duration = Duration::from_hours(1);

fn layer() -> Arc<MemoryLayer> {
    let clock = Arc::new(SystemClock::new());
    MemoryLayer::new(Limits::default(), clock, Arc::new(SystemEntropy))
}

fn work() -> ChannelName {
    ChannelName::new("work").unwrap()
}

async fn later(layer: &MemoryLayer, delay: Duration, text: &str) {
    let message = Content::encode(text).unwrap().into();
    layer.send_after(delay, &work(), message).await.unwrap();
}

fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

#[tokio::test(start_paused = true)]
async fn a_paused_runtime_moves_to_the_due_time_and_no_further() {
    let layer = layer();
    let sink = Arc::new(CollectingSink::new(layer.limits()));
    layer.attach(sink.clone()).await.unwrap();
    let local = sink.open();
    let connection = ChannelName::reply(layer.node(), local);
    let mut receiver = layer.receiver(vec![work()]).unwrap();
    let begin = Instant::now();
    later(&layer, 2 * HOUR, "work").await;
    let hello = Reply::text("hello");
    let waits = layer.send_after(3 * HOUR, &connection, hello.clone().into());
    waits.await.unwrap();
    receiver.receive_many(&mut Vec::new(), 1).await.unwrap();
    assert_eq!(begin.elapsed().as_secs(), 2 * HOUR.as_secs());
    tokio::time::sleep(HOUR + Duration::from_millis(1)).await;
    assert_eq!(sink.replies(local), [hello]);
}

#[tokio::test(start_paused = true)]
async fn there_is_one_task_while_something_waits_and_none_after_the_last_node() {
    let layer = layer();
    let other = layer.another_node();
    assert_eq!(tasks(), 0);
    for _ in 0..100 {
        later(&layer, HOUR, "work").await;
        later(&other, HOUR, "work").await;
    }
    assert_eq!(tasks(), 1);
    layer.close().await;
    assert_eq!(tasks(), 1, "the other node's messages still wait");
    other.close().await;
    assert_eq!(tasks(), 0);
}

#[test]
fn what_waits_does_not_end_with_the_runtime_that_asked_for_it() {
    let runtime = || Builder::new_current_thread().enable_all().build().unwrap();
    let layer = layer();
    let sink = Arc::new(CollectingSink::new(layer.limits()));
    let local = sink.open();
    let connection = ChannelName::reply(layer.node(), local);
    let delay = Duration::from_millis(50);
    let first = runtime();
    first.block_on(async {
        let hello = Reply::text("hello").into();
        let waits = layer.send_after(delay, &connection, hello);
        waits.await.unwrap();
        later(&layer, 2 * delay, "work").await;
    });
    drop(first);
    runtime().block_on(async {
        layer.attach(sink.clone()).await.unwrap();
        sink.expect(local, &Reply::text("hello")).await;
        let mut receiver = layer.receiver(vec![work()]).unwrap();
        receiver.receive_many(&mut Vec::new(), 1).await.unwrap();
    });
}
