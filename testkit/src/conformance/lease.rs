//! Nodes live by a lease, memberships by their connection (contract §4, §5.3;
//! I9).

use towpath_layer_core::Limits;

use super::support::{LEASE, Peer, add, empty, eventually, group, limits, members, reply, within};
use crate::Factory;

/// Two lease periods, and a little for looking.
const GONE_MAX: std::time::Duration = LEASE.saturating_mul(3);

/// A node whose process died is absent, and its memberships go with it, within
/// two lease periods; the other members stay.
pub async fn a_node_that_died_is_absent_and_its_memberships_go(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let (dies, lives) = (Peer::new(&*backend).await, Peer::new(&*backend).await);
    let room = group("room");
    let (local, staying) = lives.connect();
    for name in [&dies.connect().1, &dies.connect().1, &staying] {
        add(&lives.layer, &room, name).await;
    }
    let node = dies.layer.node();
    let nodes = [node, lives.layer.node()];
    let absent = within("absent", lives.layer.absent(&nodes)).await;
    assert!(absent.unwrap().is_empty());
    backend.crash(node).await;
    eventually(&*backend, "it is absent", GONE_MAX, async || {
        let absent = within("absent", lives.layer.absent(&nodes)).await.unwrap();
        !absent.is_empty()
    })
    .await;
    let absent = within("absent", lives.layer.absent(&nodes)).await;
    assert_eq!(absent.unwrap(), [node]);
    eventually(&*backend, "its members go", GONE_MAX, async || {
        members(&lives.layer, &room).await.len() == 1
    })
    .await;
    let sent = within("group_send", lives.layer.group_send(&room, reply(1))).await;
    assert_eq!(sent.unwrap().delivered, 1);
    lives.sink.expect(local, &reply(1)).await;
}

/// A node that lives renews its lease and its memberships, however short
/// `group_expiry` is.
pub async fn a_node_that_lives_keeps_its_memberships(factory: &dyn Factory) {
    let limits = Limits {
        group_expiry: 2 * LEASE,
        ..limits()
    };
    let backend = factory.backend(limits).await;
    let peer = Peer::new(&*backend).await;
    let other = backend.node().await;
    let room = group("room");
    let (local, name) = peer.connect();
    add(&other, &room, &name).await;
    for number in 0..4 {
        backend.pass(LEASE).await;
        let member = within("is_member", other.is_member(&room, &name)).await;
        assert!(member.unwrap(), "after {} leases", number + 1);
        let sent = within("group_send", other.group_send(&room, reply(number))).await;
        assert_eq!(sent.unwrap().delivered, 1);
        peer.sink.expect(local, &reply(number)).await;
    }
    let absent = within("absent", other.absent(&[peer.layer.node()])).await;
    assert!(absent.unwrap().is_empty());
}

/// A connection that is gone without a word leaves no membership behind, and
/// the others of its node stay.
pub async fn a_connection_that_is_gone_leaves_no_ghost(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let peer = Peer::new(&*backend).await;
    let other = backend.node().await;
    let room = group("room");
    let (gone, leaving) = peer.connect();
    let (_, staying) = peer.connect();
    for name in [&leaving, &staying] {
        add(&peer.layer, &room, name).await;
    }
    peer.sink.drain();
    peer.sink.close(gone);
    eventually(&*backend, "the ghost goes", GONE_MAX, async || {
        let left = members(&other, &room).await;
        assert!(left.contains_key(&staying));
        left.len() == 1
    })
    .await;
}

/// A membership that arrives for a connection that is closed already is undone.
pub async fn an_add_for_a_closed_connection_is_undone(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let peer = Peer::new(&*backend).await;
    let other = backend.node().await;
    let room = group("room");
    let (gone, name) = peer.connect();
    peer.sink.close(gone);
    add(&other, &room, &name).await;
    eventually(&*backend, "the ghost goes", GONE_MAX, async || {
        peer.sink.drain();
        let count = within("group_count", other.group_count(&room)).await;
        count.unwrap() == 0
    })
    .await;
}

/// Adding a connection of a node that has died leaves no membership.
pub async fn an_add_for_a_node_that_died_leaves_nothing(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let (dies, other) = (Peer::new(&*backend).await, backend.node().await);
    let room = group("room");
    let (_, name) = dies.connect();
    let node = dies.layer.node();
    backend.crash(node).await;
    eventually(&*backend, "it is absent", GONE_MAX, async || {
        let absent = within("absent", other.absent(&[node])).await.unwrap();
        absent == [node]
    })
    .await;
    add(&other, &room, &name).await;
    eventually(&*backend, "nothing is left", GONE_MAX, async || {
        let count = within("group_count", other.group_count(&room)).await;
        count.unwrap() == 0
    })
    .await;
}
