//! What holds in memory beyond the conformance suite.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what it expects by unwrapping"
)]

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::poll_immediate;
use tokio::task::JoinSet;
use tokio::time::Instant;
use towpath_layer_core::{
    ChannelLayer, ChannelName, Content, GlobTable, Limits, ManualClock, Message, SeededEntropy,
};
use towpath_layer_memory::MemoryLayer;

fn layer(limits: Limits) -> (Arc<MemoryLayer>, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::default());
    let entropy = Arc::new(SeededEntropy::new(1));
    (MemoryLayer::new(limits, clock.clone(), entropy), clock)
}

fn message(number: u32) -> Message {
    Content::encode(&number).unwrap().into()
}

#[tokio::test]
async fn a_cancelled_receiver_passes_its_wake_on() {
    let (layer, _) = layer(Limits::default());
    let name = ChannelName::new("work").unwrap();
    let mut first = layer.receiver(vec![name.clone()]).unwrap();
    let mut second = layer.receiver(vec![name.clone()]).unwrap();
    let mut taken = Vec::new();
    let mut woken = Box::pin(first.receive_many(&mut taken, 1));
    assert!(poll_immediate(&mut woken).await.is_none());
    let mut waits = JoinSet::new();
    waits.spawn(async move { second.receive_many(&mut Vec::new(), 1).await.unwrap() });
    tokio::task::yield_now().await;

    layer.send(&name, message(1)).await.unwrap();
    drop(woken);
    let received = tokio::time::timeout(Duration::from_secs(5), waits.join_next()).await;
    assert_eq!(received.unwrap().unwrap().unwrap(), 1);
    assert!(taken.is_empty());
}

#[tokio::test]
async fn names_that_nobody_uses_are_forgotten_and_their_counts_are_not() {
    let limits = Limits {
        expiry: GlobTable::new(Duration::from_secs(1)),
        ..Limits::default()
    };
    let (layer, clock) = layer(limits);
    for number in 0..10_000 {
        let name = ChannelName::new(format!("n{number}")).unwrap();
        layer.send(&name, message(number)).await.unwrap();
        clock.advance(Duration::from_millis(600));
    }
    let statistics = layer.statistics().await.unwrap();
    assert_eq!(statistics.total.sent, 10_000);
    assert_eq!(statistics.total.expired, 9_999);
    assert_eq!(statistics.total.pending, 1);
    // 4 096 whose counts are kept apart, and at most 64 in each sixteenth of
    // the names that wait for the next sweep.
    assert!(statistics.channels.len() <= 4096 + 16 * 64);
}

#[tokio::test]
async fn a_node_that_is_dropped_is_absent_and_its_receivers_end() {
    let (layer, _) = layer(Limits::default());
    let other = layer.another_node();
    let node = other.node();
    let mut receiver = other
        .receiver(vec![ChannelName::new("work").unwrap()])
        .unwrap();
    assert!(layer.absent(&[node]).await.unwrap().is_empty());
    drop(other);
    assert_eq!(layer.absent(&[node]).await.unwrap(), [node]);
    receiver.receive_many(&mut Vec::new(), 1).await.unwrap_err();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_that_comes_and_goes_with_its_receivers_loses_nothing() {
    const COUNT: u32 = 20_000;
    let (layer, _) = layer(Limits::default());
    let name = ChannelName::new("work").unwrap();
    let mut sender = JoinSet::new();
    sender.spawn({
        let (layer, name) = (Arc::clone(&layer), name.clone());
        async move {
            for number in 0..COUNT {
                while layer.send(&name, message(number)).await.is_err() {
                    layer.room(&name).await.unwrap();
                }
            }
        }
    });
    let mut taken = Vec::new();
    let mut last = Instant::now();
    while taken.len() < COUNT as usize {
        let mut receiver = layer.receiver(vec![name.clone()]).unwrap();
        match poll_immediate(receiver.receive_many(&mut taken, 10)).await {
            Some(received) => {
                received.unwrap();
                last = Instant::now();
            }
            None => assert!(last.elapsed() < Duration::from_secs(5), "{}", taken.len()),
        }
    }
    let numbers = taken.iter().map(|received| match &received.message {
        Message::Custom(content) => content.decode().unwrap(),
        other => panic!("{other:?}"),
    });
    assert_eq!(
        numbers.collect::<Vec<u32>>(),
        (0..COUNT).collect::<Vec<_>>()
    );
}
