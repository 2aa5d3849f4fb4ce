//! Reply channels that tasks read (contract §4, §5).

use std::sync::Arc;

use towpath_layer_core::{ChannelLayer, GroupName, Mail, Mailbox};

use super::support::{LEASE, Peer, add, discard, empty, eventually, group, reply, within};
use crate::Factory;

async fn mailbox(layer: &Arc<dyn ChannelLayer>) -> Mailbox {
    within("mailbox", layer.mailbox()).await.unwrap()
}

async fn expect(mailbox: &mut Mailbox, expected: Mail) {
    let mail = within("mail", mailbox.next()).await;
    assert_eq!(mail, Some(expected));
}

fn sent(number: u64) -> Mail {
    Mail::Reply(reply(number))
}

fn told(group: &GroupName, number: u64) -> Mail {
    Mail::Group {
        group: group.clone(),
        reply: reply(number),
    }
}

/// A task without a sink reads what is sent to it and to its groups, in order,
/// from any node; after a discard it is told no more.
pub async fn a_mailbox_brings_replies_and_group_messages_in_order(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let (layer, other) = (backend.node().await, backend.node().await);
    let mut mailbox = mailbox(&layer).await;
    let name = mailbox.channel().clone();
    let (room, hall) = (group("room"), group("hall"));
    add(&layer, &room, &name).await;
    add(&other, &hall, &name).await;
    for number in 0..20 {
        within("send", other.send(&name, reply(number).into()))
            .await
            .unwrap();
        for group in [&room, &hall] {
            let delivery = within("group_send", other.group_send(group, reply(number))).await;
            assert_eq!(delivery.unwrap().delivered, 1);
        }
    }
    for number in 0..20 {
        expect(&mut mailbox, sent(number)).await;
        expect(&mut mailbox, told(&room, number)).await;
        expect(&mut mailbox, told(&hall, number)).await;
    }
    discard(&layer, &room, &name).await;
    let delivery = within("group_send", other.group_send(&room, reply(20))).await;
    assert_eq!(delivery.unwrap().delivered, 0);
    within("send", other.send(&name, reply(21).into()))
        .await
        .unwrap();
    expect(&mut mailbox, sent(21)).await;
}

/// Connections and mailboxes of one node are members of one group, and each gets
/// what is its own besides; a group message still costs one message.
pub async fn a_mailbox_stands_beside_a_sink(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let (peer, other) = (Peer::new(&*backend).await, backend.node().await);
    let mut boxes = [mailbox(&peer.layer).await, mailbox(&peer.layer).await];
    let room = group("room");
    let (local, name) = peer.connect();
    add(&peer.layer, &room, &name).await;
    for mailbox in &boxes {
        add(&peer.layer, &room, mailbox.channel()).await;
    }
    let delivery = within("group_send", other.group_send(&room, reply(1))).await;
    assert_eq!(delivery.unwrap().nodes, 1);
    let batch = [&name, boxes[0].channel(), boxes[1].channel()];
    let batch = batch.into_iter().cloned().zip((2..).map(reply));
    let batch = batch.map(|(name, reply)| (name, reply.into())).collect();
    let results = within("send_many", other.send_many(batch)).await;
    assert!(results.iter().all(Result::is_ok));
    peer.sink.expect(local, &reply(1)).await;
    peer.sink.expect(local, &reply(2)).await;
    for (mailbox, number) in boxes.iter_mut().zip(3..) {
        expect(mailbox, told(&room, 1)).await;
        expect(mailbox, sent(number)).await;
    }
    let count = within("group_count", other.group_count(&room)).await;
    assert_eq!(count.unwrap(), 3);
}

/// A mailbox that nobody reads loses what finds no room, and is told so; its
/// neighbours lose nothing and nobody waits for it.
pub async fn a_full_mailbox_loses_its_own_and_says_so(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let (peer, other) = (Peer::new(&*backend).await, backend.node().await);
    let mut mailbox = mailbox(&peer.layer).await;
    let (local, name) = peer.connect();
    let to = mailbox.channel().clone();
    let held = Mailbox::ENTRIES_MAX as u64;
    for number in 0..held + 10 {
        within("send", other.send(&to, reply(number).into()))
            .await
            .unwrap();
    }
    within("send", other.send(&name, reply(0).into()))
        .await
        .unwrap();
    peer.sink.expect(local, &reply(0)).await;
    for number in 0..held {
        expect(&mut mailbox, sent(number)).await;
    }
    expect(&mut mailbox, Mail::Gap).await;
    within("send", other.send(&to, reply(1).into()))
        .await
        .unwrap();
    expect(&mut mailbox, sent(1)).await;
}

/// The memberships of a mailbox that was dropped end within a lease or two.
pub async fn a_dropped_mailbox_leaves_no_ghost(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let (layer, other) = (backend.node().await, backend.node().await);
    let room = group("room");
    let mailbox = mailbox(&layer).await;
    add(&layer, &room, mailbox.channel()).await;
    drop(mailbox);
    eventually(&*backend, "the ghost goes", LEASE * 4, async || {
        other.group_count(&room).await.unwrap() == 0
    })
    .await;
}

/// A mailbox ends when its node leaves the layer.
pub async fn a_mailbox_ends_with_its_node(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let layer = backend.node().await;
    let mut mailbox = mailbox(&layer).await;
    within("close", layer.close()).await;
    assert_eq!(within("the end", mailbox.next()).await, None);
    layer.mailbox().await.unwrap_err();
}
