//! Groups (contract §5; I6, I8).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinSet;
use towpath_layer_core::{
    ChannelLayer, Delivery, GroupError, GroupName, Limits, LocalId, SendError,
};

use super::support::{
    Peer, add, add_with, discard, empty, eventually, group, limits, members, reply, reply_number,
    within,
};
use crate::Factory;

async fn group_send(layer: &Arc<dyn ChannelLayer>, group: &GroupName, number: u64) -> Delivery {
    let sent = within("group_send", layer.group_send(group, reply(number))).await;
    sent.unwrap()
}

/// The next reply of a connection is this one: no other came before it.
async fn next_is(peer: &Peer, local: LocalId, number: u64) {
    peer.sink.expect(local, &reply(number)).await;
}

/// Sends to the connection itself: when that has come, all that was sent
/// before has.
async fn and_then_nothing(peer: &Peer, local: LocalId) {
    let name = towpath_layer_core::ChannelName::reply(peer.layer.node(), local);
    let sent = peer.layer.send(&name, reply(u64::MAX).into());
    within("send", sent).await.unwrap();
    next_is(peer, local, u64::MAX).await;
}

/// A group send that starts after an add returned reaches the member, whoever
/// added it and whoever sends.
pub async fn a_send_after_an_add_reaches_the_member(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let peer = Peer::new(&*backend).await;
    let others = [backend.node().await, backend.node().await];
    for number in 0..40 {
        let room = group(&format!("room-{}", number % 3));
        let (local, name) = peer.connect();
        let (adds, sends) = match number % 4 {
            0 => (&others[0], &others[1]),
            1 => (&others[0], &peer.layer),
            2 => (&peer.layer, &others[1]),
            _ => (&peer.layer, &peer.layer),
        };
        add(adds, &room, &name).await;
        group_send(sends, &room, number).await;
        next_is(&peer, local, number).await;
    }
}

/// A group send that starts after a discard returned does not reach who was a
/// member, whoever discarded and whoever sends.
pub async fn a_send_after_a_discard_does_not(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let peer = Peer::new(&*backend).await;
    let other = backend.node().await;
    let room = group("room");
    let (stays, staying) = peer.connect();
    add(&other, &room, &staying).await;
    for number in 0..20 {
        let (local, name) = peer.connect();
        let (adds, discards) = if number % 2 == 0 {
            (&peer.layer, &other)
        } else {
            (&other, &peer.layer)
        };
        add(adds, &room, &name).await;
        discard(discards, &room, &name).await;
        group_send(&other, &room, number).await;
        next_is(&peer, stays, number).await;
        and_then_nothing(&peer, local).await;
    }
}

/// Adding twice is once, discarding twice is once, and discarding who is no
/// member is fine.
pub async fn adding_and_discarding_twice_is_once(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let peer = Peer::new(&*backend).await;
    let other = backend.node().await;
    let room = group("room");
    let (local, name) = peer.connect();
    discard(&other, &room, &name).await;
    for layer in [&peer.layer, &other, &peer.layer] {
        add(layer, &room, &name).await;
    }
    group_send(&other, &room, 1).await;
    next_is(&peer, local, 1).await;
    and_then_nothing(&peer, local).await;
    assert_eq!(members(&other, &room).await.len(), 1);
    for layer in [&other, &peer.layer] {
        discard(layer, &room, &name).await;
        assert!(members(&other, &room).await.is_empty());
    }
}

/// A second add replaces the metadata, for those who ask and for the owner.
pub async fn a_second_add_replaces_the_metadata(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let peer = Peer::new(&*backend).await;
    let other = backend.node().await;
    let room = group("room");
    let (local, name) = peer.connect();
    for meta in [&b"\x00old"[..], b"", b"new"] {
        add_with(&other, &room, &name, meta).await;
        assert_eq!(members(&peer.layer, &room).await[&name], meta);
        and_then_nothing(&peer, local).await;
        assert_eq!(peer.sink.meta(&room, local).unwrap(), meta);
    }
}

/// Metadata of the largest size is kept, one byte more is refused.
pub async fn metadata_over_its_limit_is_refused(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let peer = Peer::new(&*backend).await;
    let room = group("room");
    let (_, name) = peer.connect();
    let size_max = peer.layer.limits().group_meta_size_max;
    let largest = Bytes::from(vec![1; size_max]);
    let added = peer.layer.group_add(&room, &name, largest.clone());
    within("add", added).await.unwrap();
    let larger = Bytes::from(vec![2; size_max + 1]);
    let refused = peer.layer.group_add(&room, &name, larger);
    match within("add", refused).await.unwrap_err() {
        GroupError::MetaTooLarge { size, size_max: of } => {
            assert_eq!((size, of), (size_max + 1, size_max));
        }
        other => panic!("{other}"),
    }
    assert_eq!(members(&peer.layer, &room).await[&name], largest);
}

/// A group send costs one message for each node with members, and says so.
pub async fn a_send_costs_one_message_a_node(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let peers = [Peer::new(&*backend).await, Peer::new(&*backend).await];
    let bystander = Peer::new(&*backend).await;
    let room = group("room");
    let mut locals = Vec::new();
    for peer in &peers {
        for _ in 0..50 {
            let (local, name) = peer.connect();
            add(&peer.layer, &room, &name).await;
            locals.push((peer, local));
        }
    }
    let sent = group_send(&bystander.layer, &room, 1).await;
    assert_eq!((sent.nodes, sent.delivered, sent.dropped), (2, 2, 0));
    for (peer, local) in locals {
        next_is(peer, local, 1).await;
    }
    for peer in &peers {
        assert_eq!(peer.sink.seen().group_messages, 1);
    }
    assert_eq!(bystander.sink.seen().group_messages, 0);
}

/// A group that nobody is in takes messages, and nobody gets them.
pub async fn a_group_without_members_takes_messages(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let peer = Peer::new(&*backend).await;
    let room = group("room");
    let (local, name) = peer.connect();
    let sent = group_send(&peer.layer, &room, 1).await;
    assert_eq!((sent.nodes, sent.delivered, sent.dropped), (0, 0, 0));
    add(&peer.layer, &room, &name).await;
    discard(&peer.layer, &room, &name).await;
    let sent = group_send(&peer.layer, &room, 2).await;
    assert_eq!(sent.dropped, 0);
    and_then_nothing(&peer, local).await;
}

/// A full inbox never fails a group send: the message is dropped and counted,
/// the node learns of the gap, and other nodes get theirs.
pub async fn a_refused_group_message_is_counted_and_leaves_a_gap(factory: &dyn Factory) {
    let limits = Limits {
        inbox_entries_max: 8,
        ..limits()
    };
    let backend = factory.backend(limits).await;
    let (full, free) = (Peer::new(&*backend).await, Peer::new(&*backend).await);
    let sender = backend.node().await;
    let room = group("room");
    let (stuck, stuck_name) = full.connect();
    let (local, name) = free.connect();
    for name in [&stuck_name, &name] {
        add(&sender, &room, name).await;
    }
    let mut accepted = Vec::new();
    let mut dropped = 0;
    for number in 0..500 {
        let sent = group_send(&sender, &room, number).await;
        assert_eq!((sent.nodes, sent.delivered + sent.dropped), (2, 2));
        if sent.dropped == 0 {
            accepted.push(number);
        }
        dropped += u64::from(sent.dropped);
        next_is(&free, local, number).await;
        if dropped == 5 {
            break;
        }
    }
    assert_eq!(dropped, 5, "an inbox of 8 entries took 500");
    for number in accepted {
        next_is(&full, stuck, number).await;
    }
    assert!(
        full.sink.replies(stuck).is_empty(),
        "a dropped message came"
    );
    let wait = Duration::from_secs(2);
    eventually(&*backend, "the node learns of it", wait, async || {
        full.sink.seen().gaps > 0
    })
    .await;
    assert_eq!(free.sink.seen().gaps, 0);
    eventually(&*backend, "drops are counted", wait, async || {
        let statistics = within("statistics", sender.statistics()).await.unwrap();
        statistics.dropped == dropped
    })
    .await;
}

/// `discard_all` ends every membership of one connection and no other.
pub async fn discard_all_ends_every_membership(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let peer = Peer::new(&*backend).await;
    let other = backend.node().await;
    let (leaves, leaving) = peer.connect();
    let (stays, staying) = peer.connect();
    let rooms: Vec<_> = (0..10).map(|number| group(&format!("r{number}"))).collect();
    for room in &rooms {
        add(&other, room, &leaving).await;
        add(&other, room, &staying).await;
    }
    within("discard_all", other.discard_all(&leaving))
        .await
        .unwrap();
    for (number, room) in (0..).zip(&rooms) {
        assert_eq!(members(&peer.layer, room).await.len(), 1);
        group_send(&other, room, number).await;
        next_is(&peer, stays, number).await;
    }
    and_then_nothing(&peer, leaves).await;
    let groups = within("channel_groups", other.channel_groups(&leaving)).await;
    assert!(groups.unwrap().is_empty());
}

/// While other members of the same group come and go in other tasks and nodes,
/// every send after an add arrives.
pub async fn members_that_come_and_go_beside_lose_nothing(factory: &dyn Factory) {
    const ROUNDS: u64 = 60;
    let backend = empty(factory).await;
    let room = group("room");
    let mut tasks = JoinSet::new();
    for _ in 0..3 {
        let peer = Peer::new(&*backend).await;
        let sender = backend.node().await;
        let room = room.clone();
        tasks.spawn(async move {
            for number in 0..ROUNDS {
                let (local, name) = peer.connect();
                add(&peer.layer, &room, &name).await;
                let sent = sender.group_send(&room, reply(number)).await;
                match sent {
                    Ok(sent) => assert_eq!(sent.dropped, 0, "nobody is full or dead"),
                    Err(SendError::ChannelFull { .. }) => panic!("a group is never full"),
                    Err(other) => panic!("{other}"),
                }
                // Others send to the group too; this one has to be among them.
                let mine = async { while reply_number(&peer.sink.next(local).await) != number {} };
                within("the own message", mine).await;
                discard(&sender, &room, &name).await;
                peer.sink.close(local);
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    let layer = backend.node().await;
    assert!(members(&layer, &room).await.is_empty());
}
