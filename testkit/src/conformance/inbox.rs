//! Reply channels and the inbox of their node (contract §4).

use std::sync::Arc;
use std::time::Duration;

use towpath_layer_core::{
    ChannelLayer, ChannelName, Completion, Limits, LocalId, NodeId, Outcome, Reply, SendError,
    SystemEntropy,
};

use super::support::{Peer, empty, eventually, limits, reply, within};
use crate::{Backend, Factory};

/// Entries in the inbox of a case that fills it.
const INBOX_MAX: usize = 8;

/// More sends than any inbox of [`INBOX_MAX`] entries takes, with whatever is
/// on the way to it.
const TRIES_MAX: u64 = 1000;

/// After this much time of the layer, whatever was counted shows.
const COUNTED_MAX: Duration = Duration::from_secs(2);

async fn small_inboxes(factory: &dyn Factory) -> Arc<dyn Backend> {
    let limits = Limits {
        inbox_entries_max: INBOX_MAX,
        ..limits()
    };
    factory.backend(limits).await
}

async fn try_reply(
    layer: &Arc<dyn ChannelLayer>,
    to: &ChannelName,
    number: u64,
) -> Result<(), SendError> {
    within("send", layer.send(to, reply(number).into())).await
}

/// Sends until the inbox is full. Returns how many it accepted.
async fn fill(layer: &Arc<dyn ChannelLayer>, to: &ChannelName) -> u64 {
    for number in 0..TRIES_MAX {
        match try_reply(layer, to, number).await {
            Ok(()) => {}
            Err(SendError::ChannelFull { channel }) => {
                assert_eq!(&channel, to);
                assert!(number >= INBOX_MAX as u64, "full with {number} entries");
                return number;
            }
            Err(other) => panic!("{other}"),
        }
    }
    panic!("an inbox of {INBOX_MAX} entries took {TRIES_MAX}");
}

async fn dropped(backend: &dyn Backend, layer: &Arc<dyn ChannelLayer>, peers: &[&Peer], by: u64) {
    eventually(backend, "the drop is counted", COUNTED_MAX, async || {
        let statistics = within("statistics", layer.statistics()).await.unwrap();
        let by_sinks: u64 = peers.iter().map(|peer| peer.sink.seen().dropped).sum();
        statistics.dropped + by_sinks == by
    })
    .await;
}

/// A reply reaches its connection, sent by its own node or by another.
pub async fn a_reply_reaches_its_connection_from_any_node(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let (peer, other) = (Peer::new(&*backend).await, backend.node().await);
    let (local, name) = peer.connect();
    for (layer, number) in [(&other, 1), (&peer.layer, 2), (&other, 3)] {
        try_reply(layer, &name, number).await.unwrap();
        peer.sink.expect(local, &reply(number)).await;
    }
}

/// Replies of one sender arrive in the order of sending, also those to
/// different connections and those in a batch.
pub async fn replies_keep_their_order(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let (peer, other) = (Peer::new(&*backend).await, backend.node().await);
    let connections = [peer.connect(), peer.connect()];
    for number in 0..100 {
        for (_, name) in &connections {
            try_reply(&other, name, number).await.unwrap();
        }
    }
    let batch = (100..200).flat_map(|number| {
        let names = connections.iter().map(|(_, name)| name.clone());
        names.map(move |name| (name, reply(number).into()))
    });
    let sent = within("send_many", other.send_many(batch.collect())).await;
    assert!(sent.iter().all(Result::is_ok));
    for number in 0..200 {
        for (local, _) in &connections {
            peer.sink.expect(*local, &reply(number)).await;
        }
    }
}

/// A node gets what is for its connections and nothing else, though the local
/// ids of two nodes are the same.
pub async fn a_node_gets_only_what_is_for_it(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let peers = [Peer::new(&*backend).await, Peer::new(&*backend).await];
    let sender = backend.node().await;
    let connections = [peers[0].connect(), peers[1].connect()];
    assert_eq!(connections[0].0, connections[1].0);
    for number in 0..20 {
        let (_, name) = &connections[usize::from(number % 2 == 1)];
        try_reply(&sender, name, number).await.unwrap();
    }
    for (peer, (local, _)) in peers.iter().zip(&connections) {
        let first = u64::from(Arc::ptr_eq(&peer.sink, &peers[1].sink));
        for number in (first..20).step_by(2) {
            peer.sink.expect(*local, &reply(number)).await;
        }
        assert!(peer.sink.replies(*local).is_empty());
    }
}

/// A reply for a connection that is closed is dropped and counted once.
pub async fn a_reply_for_a_closed_connection_is_dropped_and_counted(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let (peer, other) = (Peer::new(&*backend).await, backend.node().await);
    let (gone, name) = peer.connect();
    let (local, living) = peer.connect();
    peer.sink.close(gone);
    try_reply(&other, &name, 1).await.unwrap();
    try_reply(&other, &living, 2).await.unwrap();
    peer.sink.expect(local, &reply(2)).await;
    dropped(&*backend, &other, &[&peer], 1).await;
}

/// A reply for a node that nobody knows is dropped and counted once.
pub async fn a_reply_for_a_node_that_never_was_is_dropped_and_counted(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let layer = backend.node().await;
    let nobody = ChannelName::reply(NodeId::random(&SystemEntropy), LocalId(1));
    try_reply(&layer, &nobody, 1).await.unwrap();
    dropped(&*backend, &layer, &[], 1).await;
}

/// A full inbox refuses with `ChannelFull`; what it accepted before arrives, in
/// order, and when it has been emptied it takes more.
pub async fn a_full_inbox_refuses_and_what_it_accepted_arrives(factory: &dyn Factory) {
    let backend = small_inboxes(factory).await;
    let (peer, other) = (Peer::new(&*backend).await, backend.node().await);
    let (local, name) = peer.connect();
    let accepted = fill(&other, &name).await;
    for number in 0..accepted {
        peer.sink.expect(local, &reply(number)).await;
    }
    assert!(peer.sink.replies(local).is_empty(), "a refused reply came");
    let again = async {
        while let Err(error) = try_reply(&other, &name, accepted).await {
            assert!(error.is_transient(), "{error}");
            other.room(&name).await.unwrap();
        }
    };
    within("room", again).await;
    peer.sink.expect(local, &reply(accepted)).await;
}

/// Completions pass outside the limits of an inbox.
pub async fn a_full_inbox_takes_completions(factory: &dyn Factory) {
    let backend = small_inboxes(factory).await;
    let (peer, other) = (Peer::new(&*backend).await, backend.node().await);
    let (local, name) = peer.connect();
    let accepted = fill(&other, &name).await;
    let completion = |attempt| {
        Reply::completion(Completion {
            attempt,
            outcome: Outcome::Retry,
            groups: Vec::new(),
        })
    };
    for attempt in 0..20 {
        let sent = other.send(&name, completion(attempt).into());
        within("send", sent).await.unwrap();
    }
    for number in 0..accepted {
        peer.sink.expect(local, &reply(number)).await;
    }
    for attempt in 0..20 {
        peer.sink.expect(local, &completion(attempt)).await;
    }
}

/// One node that does not look at its inbox leaves another's alone.
pub async fn a_full_inbox_does_not_concern_another_node(factory: &dyn Factory) {
    let backend = small_inboxes(factory).await;
    let (full, free) = (Peer::new(&*backend).await, Peer::new(&*backend).await);
    let sender = backend.node().await;
    let (_, stuck) = full.connect();
    let (local, name) = free.connect();
    fill(&sender, &stuck).await;
    for number in 0..20 {
        try_reply(&sender, &name, number).await.unwrap();
        free.sink.expect(local, &reply(number)).await;
    }
}
