//! Emptying a layer (contract §6).

use std::time::Duration;

use towpath_layer_core::{ChannelStatistics, Counter};

use super::support::{
    LEASE, Peer, Reader, add, channel, empty, eventually, group, members, nothing_waits, reply,
    send, within,
};
use crate::Factory;

/// After a flush by one node, no node sees a message, a membership or a count
/// from before, then or later.
pub async fn a_flush_empties_for_every_observer(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let (peer, flushes) = (Peer::new(&*backend).await, backend.node().await);
    let (name, body) = (channel("work"), peer.layer.new_channel("body").unwrap());
    let room = group("room");
    let (local, member) = peer.connect();
    send(&peer.layer, &name, 1).await;
    send(&peer.layer, &body, 2).await;
    add(&peer.layer, &room, &member).await;
    peer.layer.count(Counter::Lost, 1);
    let counted = Duration::from_secs(2);
    eventually(&*backend, "it is counted", counted, async || {
        let seen = within("statistics", flushes.statistics()).await.unwrap();
        seen.lost == 1
    })
    .await;
    assert!(peer.sink.knows(&room, local) || members(&flushes, &room).await.len() == 1);

    within("flush", flushes.flush()).await.unwrap();
    for layer in [&peer.layer, &flushes] {
        let seen = within("statistics", layer.statistics()).await.unwrap();
        assert_eq!(seen.total, ChannelStatistics::default());
        assert_eq!((seen.dropped, seen.stale, seen.lost), (0, 0, 0));
        assert!(members(layer, &room).await.is_empty());
        let groups = within("groups", layer.groups()).await;
        assert!(groups.unwrap().is_empty());
        let sent = within("group_send", layer.group_send(&room, reply(1))).await;
        assert_eq!(sent.unwrap().delivered, 0);
    }
    for name in [&name, &body] {
        nothing_waits(&peer.layer, name).await;
    }
    eventually(&*backend, "the node forgets", counted, async || {
        !peer.sink.knows(&room, local)
    })
    .await;
    backend.pass(2 * LEASE).await;
    assert!(members(&flushes, &room).await.is_empty());
    assert!(peer.sink.replies(local).is_empty());
}

/// A flush ends nothing: nodes live, waiting receivers wait on, and new
/// memberships hold.
pub async fn after_a_flush_all_goes_on(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let (peer, other) = (Peer::new(&*backend).await, backend.node().await);
    let name = channel("work");
    let room = group("room");
    let (local, member) = peer.connect();
    let mut reader = Reader::new(&peer.layer, &[&name]);
    add(&other, &room, &member).await;
    let flush_and_send = async {
        within("flush", other.flush()).await.unwrap();
        send(&other, &name, 7).await;
    };
    let (numbers, ()) = futures_util::join!(reader.take(1), flush_and_send);
    assert_eq!(numbers, [7]);
    let absent = within("absent", other.absent(&[peer.layer.node()])).await;
    assert!(absent.unwrap().is_empty());
    add(&other, &room, &member).await;
    let sent = within("group_send", other.group_send(&room, reply(8))).await;
    assert_eq!(sent.unwrap().delivered, 1);
    peer.sink.expect(local, &reply(8)).await;
    let sent = within("send", other.send(&member, reply(9).into())).await;
    sent.unwrap();
    peer.sink.expect(local, &reply(9)).await;
    backend.pass(2 * LEASE).await;
    assert_eq!(members(&other, &room).await.len(), 1);
}
