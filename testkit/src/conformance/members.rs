//! Questions about members (contract §5.5).

use std::collections::BTreeMap;

use bytes::Bytes;

use super::support::{Peer, add, add_with, discard, empty, group, members, within};
use crate::Factory;

/// The members of a group in all nodes are listed, each once and with its
/// metadata, for whoever asks.
pub async fn members_are_listed_with_their_metadata_from_any_node(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let peers = [Peer::new(&*backend).await, Peer::new(&*backend).await];
    let asks = backend.node().await;
    let (room, hall) = (group("room"), group("hall"));
    let mut expected = BTreeMap::new();
    for (peer, meta) in peers.iter().zip([&b"one"[..], b"other"]) {
        for _ in 0..3 {
            let (_, name) = peer.connect();
            add_with(&asks, &room, &name, meta).await;
            add_with(&asks, &hall, &name, b"elsewhere").await;
            expected.insert(name, Bytes::from_static(meta));
        }
    }
    for layer in [&asks, &peers[0].layer, &peers[1].layer] {
        assert_eq!(members(layer, &room).await, expected);
    }
    assert!(members(&asks, &group("empty")).await.is_empty());
}

/// `group_count`, `is_member`, `channel_groups` and `groups` say the same as
/// the list, after every change.
pub async fn counts_and_questions_agree_with_the_list(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let peers = [Peer::new(&*backend).await, Peer::new(&*backend).await];
    let asks = backend.node().await;
    let rooms = [group("a"), group("b"), group("c")];
    let names: Vec<_> = (0..4).map(|number| peers[number % 2].connect().1).collect();
    let mut changes: Vec<(usize, usize, bool)> = Vec::new();
    for step in 0..24 {
        // A walk that adds and discards in every group, in no simple order.
        changes.push((step % 3, (step * 7 / 3) % 4, step % 5 != 4));
    }
    let mut model: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (room, name, adds) in changes {
        let (room, name) = (&rooms[room], &names[name]);
        let of_room = model.entry(room.clone()).or_default();
        of_room.retain(|known| known != name);
        if adds {
            add(&asks, room, name).await;
            of_room.push(name.clone());
        } else {
            discard(&asks, room, name).await;
        }
        let count = within("group_count", asks.group_count(room)).await;
        assert_eq!(count.unwrap(), of_room.len() as u64);
        let listed: Vec<_> = members(&asks, room).await.into_keys().collect();
        of_room.sort();
        assert_eq!(&listed, of_room);
        let member = within("is_member", asks.is_member(room, name)).await;
        assert_eq!(member.unwrap(), adds);
        let expected: Vec<_> = model
            .iter()
            .filter(|(_, of_room)| of_room.contains(name))
            .map(|(room, _)| room.clone())
            .collect();
        let groups = within("channel_groups", asks.channel_groups(name)).await;
        assert_eq!(groups.unwrap(), expected, "sorted");
        let expected: Vec<_> = model
            .iter()
            .filter(|(_, of_room)| !of_room.is_empty())
            .map(|(room, _)| room.clone())
            .collect();
        let groups = within("groups", asks.groups()).await;
        assert_eq!(groups.unwrap(), expected, "sorted");
    }
    let stranger = peers[0].connect().1;
    let groups = within("channel_groups", asks.channel_groups(&stranger)).await;
    assert!(groups.unwrap().is_empty());
}

/// A group of thousands is listed whole.
pub async fn a_large_group_is_listed_whole(factory: &dyn Factory) {
    const COUNT: usize = 3000;
    let backend = empty(factory).await;
    let peer = Peer::new(&*backend).await;
    let asks = backend.node().await;
    let room = group("room");
    let names: Vec<_> = (0..COUNT).map(|_| peer.connect().1).collect();
    for batch in names.chunks(100) {
        let adds = batch.iter().map(|name| add(&peer.layer, &room, name));
        futures_util::future::join_all(adds).await;
        peer.sink.drain();
    }
    assert_eq!(members(&asks, &room).await.len(), COUNT);
    let count = within("group_count", asks.group_count(&room)).await;
    assert_eq!(count.unwrap(), COUNT as u64);
}
