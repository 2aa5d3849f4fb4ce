//! What holds in memory beyond the conformance suite.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what it expects by unwrapping"
)]

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

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
    let (mut taken, mut other) = (Vec::new(), Vec::new());
    let mut waits = Box::pin(second.receive_many(&mut other, 1));
    {
        let mut woken = Box::pin(first.receive_many(&mut taken, 1));
        poll_fn(|context| {
            assert!(woken.as_mut().poll(context).is_pending());
            assert!(waits.as_mut().poll(context).is_pending());
            Poll::Ready(())
        })
        .await;
        layer.send(&name, message(1)).await.unwrap();
    }
    let received = tokio::time::timeout(Duration::from_secs(5), waits).await;
    assert_eq!(received.unwrap().unwrap(), 1);
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
