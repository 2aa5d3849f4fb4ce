//! Capacity holds exactly (contract §3.3; I5).

use std::sync::Arc;

use tokio::task::JoinSet;
use towpath_layer_core::{ChannelLayer, ChannelName, SendError};

use super::support::{Reader, channel, empty, message, nothing_waits, send, within};
use crate::Factory;

async fn refused(layer: &Arc<dyn ChannelLayer>, name: &ChannelName) {
    let sent = within("send", layer.send(name, message(999))).await;
    match sent.unwrap_err() {
        SendError::ChannelFull { channel } => assert_eq!(&channel, name),
        other => panic!("{name}: {other}"),
    }
}

/// The first send over the capacity gets `ChannelFull` and enqueues nothing.
pub async fn the_send_over_capacity_is_refused_and_enqueues_nothing(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let (layer, other) = (backend.node().await, backend.node().await);
    let name = channel("small.work");
    for number in 0..3 {
        send(&layer, &name, number).await;
    }
    refused(&layer, &name).await;
    refused(&other, &name).await;
    let mut reader = Reader::new(&layer, &[&name]);
    assert_eq!(reader.take(3).await, [0, 1, 2]);
    reader.close().await;
    nothing_waits(&layer, &name).await;
}

/// Capacity is chosen by the first glob that matches the channel's name.
pub async fn capacity_is_chosen_by_glob(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let layer = backend.node().await;
    let (plain, body) = (channel("work"), layer.new_channel("small.body").unwrap());
    for (name, capacity) in [(plain, 100), (body, 3)] {
        for number in 0..capacity {
            send(&layer, &name, number).await;
        }
        refused(&layer, &name).await;
    }
}

/// A full channel leaves the room of others alone.
pub async fn one_full_channel_does_not_fill_another(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let layer = backend.node().await;
    let (full, free) = (channel("small.full"), channel("small.free"));
    for number in 0..3 {
        send(&layer, &full, number).await;
    }
    refused(&layer, &full).await;
    for number in 0..3 {
        send(&layer, &free, number).await;
    }
    refused(&layer, &free).await;
}

/// Eight senders in two nodes at once: exactly the capacity is accepted, and
/// exactly that comes out.
pub async fn capacity_is_exact_under_concurrency(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let nodes = [backend.node().await, backend.node().await];
    let name = channel("work");
    for round in 0..5 {
        let mut senders = JoinSet::new();
        for sender in 0..8 {
            let (layer, name) = (Arc::clone(&nodes[sender % 2]), name.clone());
            senders.spawn(async move {
                let mut accepted = 0;
                for _ in 0..30 {
                    match within("send", layer.send(&name, message(round))).await {
                        Ok(()) => accepted += 1,
                        Err(SendError::ChannelFull { .. }) => {}
                        Err(other) => panic!("{other}"),
                    }
                }
                accepted
            });
        }
        let accepted: usize = senders.join_all().await.into_iter().sum();
        assert_eq!(accepted, 100, "8 × 30 sends for 100 places");
        let mut reader = Reader::new(&nodes[0], &[&name]);
        assert_eq!(reader.take(100).await, [round; 100]);
        reader.close().await;
    }
    nothing_waits(&nodes[0], &name).await;
}

/// Receiving makes room for as many messages as were received, at once.
pub async fn a_receive_makes_room_for_as_many(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let layer = backend.node().await;
    let name = channel("small.work");
    for number in 0..3 {
        send(&layer, &name, number).await;
    }
    for number in 0..10 {
        let mut reader = Reader::new(&layer, &[&name]);
        assert_eq!(reader.take(1).await, [number]);
        reader.close().await;
        send(&layer, &name, number + 3).await;
        refused(&layer, &name).await;
    }
}

/// Of a batch, the messages up to the capacity are sent and each further one is
/// refused.
pub async fn a_batch_is_refused_from_the_first_over_capacity(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let layer = backend.node().await;
    let (small, plain) = (channel("small.work"), channel("work"));
    let mut batch: Vec<_> = (0..5)
        .map(|number| (small.clone(), message(number)))
        .collect();
    batch.push((plain.clone(), message(5)));
    let sent = within("send_many", layer.send_many(batch)).await;
    let accepted: Vec<_> = sent.iter().map(Result::is_ok).collect();
    assert_eq!(accepted, [true, true, true, false, false, true]);
    let mut reader = Reader::new(&layer, &[&small]);
    assert_eq!(reader.take(3).await, [0, 1, 2]);
    reader.close().await;
    nothing_waits(&layer, &small).await;
}
