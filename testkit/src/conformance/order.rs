//! Order on the way to a connection (contract §5.6; I10).

use std::sync::Arc;

use towpath_layer_core::{ChannelLayer, GroupName};

use super::support::{Peer, add, discard, empty, group, reply, within};
use crate::Factory;

async fn group_send(layer: &Arc<dyn ChannelLayer>, group: &GroupName, number: u64) {
    let sent = within("group_send", layer.group_send(group, reply(number))).await;
    assert_eq!(sent.unwrap().dropped, 0);
}

/// Group sends in order reach each member in order, in groups of many members
/// and in several nodes.
pub async fn group_sends_reach_each_member_in_order(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let peers = [Peer::new(&*backend).await, Peer::new(&*backend).await];
    let senders = [backend.node().await, backend.node().await];
    let room = group("room");
    let mut members = Vec::new();
    for number in 0..100 {
        let peer = &peers[number % 2];
        let (local, name) = peer.connect();
        add(&peer.layer, &room, &name).await;
        members.push((peer, local));
    }
    for number in 0..150 {
        group_send(&senders[usize::from(number % 2 == 1)], &room, number).await;
    }
    for (peer, local) in members {
        for number in 0..150 {
            peer.sink.expect(local, &reply(number)).await;
        }
    }
}

/// A direct reply that is sent after a group send comes after it.
pub async fn a_direct_reply_does_not_overtake_a_group_send(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let peer = Peer::new(&*backend).await;
    let sender = backend.node().await;
    let room = group("room");
    let (local, name) = peer.connect();
    add(&sender, &room, &name).await;
    for number in 0..100 {
        group_send(&sender, &room, 2 * number).await;
        let sent = sender.send(&name, reply(2 * number + 1).into());
        within("send", sent).await.unwrap();
    }
    for number in 0..200 {
        peer.sink.expect(local, &reply(number)).await;
    }
}

/// Of a row of group sends a member gets those between its add and its discard.
pub async fn a_member_gets_what_is_sent_between_its_add_and_its_discard(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let peer = Peer::new(&*backend).await;
    let sender = backend.node().await;
    let room = group("room");
    let connections: Vec<_> = (0..10).map(|_| peer.connect()).collect();
    // Connection n is a member from the n-th send up to the 2n-th, without it.
    for number in 0..20 {
        for (at, (_, name)) in (0..).zip(&connections) {
            if number == 2 * at {
                discard(&peer.layer, &room, name).await;
            } else if number == at {
                add(&sender, &room, name).await;
            }
        }
        group_send(&sender, &room, number).await;
    }
    for (at, (local, name)) in (0..).zip(&connections) {
        for number in at..2 * at {
            peer.sink.expect(*local, &reply(number)).await;
        }
        let sent = sender.send(name, reply(1000).into());
        within("send", sent).await.unwrap();
        peer.sink.expect(*local, &reply(1000)).await;
    }
}
