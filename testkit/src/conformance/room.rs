//! Waiting for room (contract §3.3).

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use towpath_layer_core::SendError;

use super::support::{Reader, channel, empty, message, send, time, within};
use crate::Factory;

/// How long a wait for room takes if nobody makes any.
const FALLBACK: Duration = Duration::from_secs(1);

/// Who asks where there is room does not wait.
pub async fn there_is_room_at_once_where_there_is_room(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let layer = backend.node().await;
    let name = channel("small.work");
    for number in 0..3 {
        let took = time(async { layer.room(&name).await.unwrap() }).await;
        assert!(took < FALLBACK / 2, "{took:?}");
        send(&layer, &name, number).await;
    }
}

/// The receive that makes room wakes who waits for it, in whichever node.
pub async fn the_receive_that_makes_room_wakes_a_sender(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let (sender, layer) = (backend.node().await, backend.node().await);
    let name = channel("small.work");
    for number in 0..3 {
        send(&sender, &name, number).await;
    }
    let mut fastest = FALLBACK;
    for number in 0..3 {
        let mut reader = Reader::new(&layer, &[&name]);
        let wait = time(async { sender.room(&name).await.unwrap() });
        let receive = async {
            tokio::task::yield_now().await;
            reader.take(1).await;
            reader.close().await;
        };
        let (took, ()) = futures_util::join!(wait, receive);
        fastest = fastest.min(took);
        send(&sender, &name, number).await;
    }
    // One of three, so that a slow machine does not fail the case.
    assert!(fastest < FALLBACK / 2, "woken after {fastest:?}");
}

/// Where nobody receives, the wait ends after the fallback.
pub async fn a_wait_for_room_ends_by_itself(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let layer = backend.node().await;
    let name = channel("small.work");
    for number in 0..3 {
        send(&layer, &name, number).await;
    }
    let took = time(async { layer.room(&name).await.unwrap() }).await;
    assert!(took < FALLBACK * 4, "{took:?}");
}

/// Many senders that wait for room on a small channel all get through.
pub async fn senders_that_wait_for_room_all_get_through(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let nodes = [backend.node().await, backend.node().await];
    let name = channel("small.work");
    let mut senders = JoinSet::new();
    for sender in 0..6 {
        let (layer, name) = (Arc::clone(&nodes[sender % 2]), name.clone());
        senders.spawn(async move {
            for number in 0..20 {
                loop {
                    match layer.send(&name, message(number)).await {
                        Ok(()) => break,
                        Err(SendError::ChannelFull { .. }) => layer.room(&name).await.unwrap(),
                        Err(other) => panic!("{other}"),
                    }
                }
            }
        });
    }
    let mut reader = Reader::new(&nodes[0], &[&name]);
    let mut numbers = reader.take(120).await;
    within("send", senders.join_all()).await;
    numbers.sort_unstable();
    let expected: Vec<_> = (0..20).flat_map(|number| [number; 6]).collect();
    assert_eq!(numbers, expected);
}
