//! What a layer counts (contract §6).

use std::time::Duration;

use towpath_layer_core::{ChannelStatistics, Counter, SendError};

use super::support::{
    BRIEF, LEASE, Peer, Reader, channel, empty, eventually, limits, message, send, within,
};
use crate::Factory;

/// What was counted shows after this much time, at the latest.
const COUNTED_MAX: Duration = Duration::from_secs(2);

/// A channel counts what was sent, received, refused and expired on it, what
/// waits and for how long.
pub async fn a_channel_counts_what_happened_on_it(factory: &dyn Factory) {
    let mut limits = limits();
    limits.expiry = limits.expiry.rule("small.*", 4 * BRIEF);
    let backend = factory.backend(limits).await;
    let (layer, asks) = (backend.node().await, backend.node().await);
    let name = channel("small.work");
    let seen = async || {
        let seen = within("statistics", asks.channel_statistics(&name)).await;
        seen.unwrap()
    };
    assert_eq!(seen().await, ChannelStatistics::default());
    for number in 0..3 {
        send(&layer, &name, number).await;
    }
    let refused = within("send", layer.send(&name, message(3))).await;
    assert!(matches!(refused, Err(SendError::ChannelFull { .. })));
    backend.pass(BRIEF).await;
    let waiting = seen().await;
    assert_eq!((waiting.sent, waiting.full, waiting.pending), (3, 1, 3));
    let age = waiting.oldest_age.unwrap();
    assert!(age >= BRIEF && age < 4 * BRIEF, "{age:?}");
    let mut reader = Reader::new(&layer, &[&name]);
    assert_eq!(reader.take(1).await, [0]);
    reader.close().await;
    backend.pass(4 * BRIEF).await;
    let expected = ChannelStatistics {
        delayed: 0,
        sent: 3,
        received: 1,
        full: 1,
        expired: 2,
        pending: 0,
        oldest_age: None,
    };
    eventually(&*backend, "all is counted", COUNTED_MAX, async || {
        seen().await == expected
    })
    .await;
}

/// The total is the sum of all shared channels, each of which is listed.
pub async fn the_total_is_the_sum_of_the_channels(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let (layer, asks) = (backend.node().await, backend.node().await);
    let names = [channel("a"), channel("b"), channel("small.c")];
    for (name, count) in names.iter().zip([5, 3, 4]) {
        for number in 0..count {
            let sent = within("send", layer.send(name, message(number))).await;
            assert_eq!(sent.is_ok(), name.as_str() != "small.c" || number < 3);
        }
    }
    let mut reader = Reader::new(&layer, &[&names[0]]);
    reader.take(5).await;
    reader.close().await;
    eventually(&*backend, "all is counted", COUNTED_MAX, async || {
        let seen = within("statistics", asks.statistics()).await.unwrap();
        let listed: Vec<_> = seen.channels.keys().collect();
        let total = &seen.total;
        listed == names.iter().collect::<Vec<_>>()
            && (total.sent, total.received, total.full, total.pending) == (11, 5, 1, 6)
            && total.oldest_age.is_some()
            && seen.channels[&names[0]].received == 5
            && seen.channels[&names[1]].pending == 3
    })
    .await;
}

/// What one node counts shows to every node after a second.
pub async fn what_a_node_counts_shows_everywhere(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let (layer, asks) = (backend.node().await, backend.node().await);
    layer.count(Counter::Dropped, 3);
    layer.count(Counter::Stale, 4);
    layer.count(Counter::Stale, 1);
    asks.count(Counter::Lost, 6);
    for node in [&layer, &asks] {
        eventually(&*backend, "it shows", COUNTED_MAX, async || {
            let seen = within("statistics", node.statistics()).await.unwrap();
            (seen.dropped, seen.stale, seen.lost) == (3, 5, 6)
        })
        .await;
    }
}

/// Nodes that live are counted, nodes that died are not.
pub async fn living_nodes_are_counted(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let peers = [
        Peer::new(&*backend).await,
        Peer::new(&*backend).await,
        Peer::new(&*backend).await,
    ];
    let nodes = async || {
        let seen = within("statistics", peers[0].layer.statistics()).await;
        seen.unwrap().nodes
    };
    assert_eq!(nodes().await, 3);
    backend.crash(peers[2].layer.node()).await;
    eventually(&*backend, "one died", 3 * LEASE, async || {
        nodes().await == 2
    })
    .await;
    within("close", peers[1].layer.close()).await;
    assert_eq!(nodes().await, 1);
}
