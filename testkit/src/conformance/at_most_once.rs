//! No message reaches two receivers (contract §3.2; I2).

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use towpath_layer_core::MessageId;

use super::support::{Reader, channel, empty, message, number, send, within};
use crate::Factory;

const COUNT: usize = 2000;

/// Four receivers in two nodes share one channel: each message reaches one.
pub async fn receivers_in_two_nodes_share_without_doubles(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let (one, other) = (backend.node().await, backend.node().await);
    let name = channel("big.work");
    let (handed_out, mut seen) = mpsc::channel(COUNT * 2);
    let mut receivers = JoinSet::new();
    for layer in [&one, &other, &one, &other] {
        let mut reader = Reader::new(layer, &[&name]);
        let handed_out = handed_out.clone();
        receivers.spawn(async move {
            let mut buffer = Vec::new();
            while reader.inner().receive_many(&mut buffer, 7).await.is_ok() {
                for received in buffer.drain(..) {
                    handed_out.send(number(&received.message)).await.unwrap();
                }
            }
        });
    }
    let mut senders = JoinSet::new();
    for (layer, first) in [(&one, 0), (&other, COUNT as u64 / 2)] {
        let (layer, name) = (Arc::clone(layer), name.clone());
        senders.spawn(async move {
            for number in first..first + COUNT as u64 / 2 {
                send(&layer, &name, number).await;
            }
        });
    }
    let mut numbers = BTreeSet::new();
    while numbers.len() < COUNT {
        let number = within("receive", seen.recv()).await.unwrap();
        assert!(numbers.insert(number), "{number} came twice");
    }
    assert!(seen.try_recv().is_err(), "a message too many");
    for layer in [one, other] {
        within("close", layer.close()).await;
    }
    while let Some(ended) = within("end", receivers.join_next()).await {
        ended.unwrap();
    }
    drop(handed_out);
    assert_eq!(seen.recv().await, None, "a message too many");
}

/// No two messages have the same id, whoever sent them.
pub async fn every_message_has_an_id_of_its_own(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let (one, other) = (backend.node().await, backend.node().await);
    let name = channel("big.work");
    for layer in [&one, &other] {
        let batch = (0..200).map(|number| (name.clone(), message(number)));
        let sent = within("send_many", layer.send_many(batch.collect())).await;
        assert!(sent.iter().all(Result::is_ok));
    }
    let mut reader = Reader::new(&one, &[&name]);
    let mut ids: BTreeSet<MessageId> = BTreeSet::new();
    while ids.len() < 400 {
        for received in reader.received(50).await {
            assert!(ids.insert(received.id), "{:?} came twice", received.id);
        }
    }
}

/// A receiver whose process dies takes what it held with it; what it had handed
/// out comes to nobody else, and what it had not taken comes to others.
pub async fn a_receiver_that_dies_doubles_nothing(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let (dies, lives) = (backend.node().await, backend.node().await);
    let name = channel("big.work");
    let mut reader = Reader::new(&dies, &[&name]);
    for number in 0..1000 {
        send(&lives, &name, number).await;
    }
    let mut numbers: BTreeSet<_> = reader.take(10).await.into_iter().collect();
    backend.crash(dies.node()).await;
    let last = 1000;
    send(&lives, &name, last).await;
    let mut others = Reader::new(&lives, &[&name]);
    loop {
        let number = others.take(1).await[0];
        assert!(numbers.insert(number), "{number} came twice");
        if number == last {
            break;
        }
    }
    drop((reader, dies));
}
