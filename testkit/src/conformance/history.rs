//! What groups keep for those who come later or back (contract §5, §10).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use towpath_layer_core::{
    ChannelLayer, GroupName, History, Limits, LocalId, Position, Recalled, Reply, SendError,
};

use super::support::{Peer, add, empty, group, limits, reply, reply_number, within};
use crate::Factory;

/// Keeps more than any case publishes, for longer than any lasts.
const AMPLE: History = History {
    size: 1_000,
    ttl: Duration::from_mins(5),
};

/// As much as is asked for where all is wanted.
const ALL: usize = 10_000;

type Layer = Arc<dyn ChannelLayer>;

async fn publish_as(layer: &Layer, group: &GroupName, number: u64, history: History) -> Position {
    let published = layer.group_publish(group, reply(number), &history);
    within("group_publish", published).await.unwrap().1
}

async fn publish(layer: &Layer, group: &GroupName, number: u64) -> Position {
    publish_as(layer, group, number, AMPLE).await
}

async fn recall(layer: &Layer, group: &GroupName, since: Option<Position>, max: usize) -> Recalled {
    let recalled = layer.group_history(group, since, max);
    within("group_history", recalled).await.unwrap()
}

fn at(position: Position, offset: u64) -> Option<Position> {
    Some(Position { offset, ..position })
}

fn numbers(recalled: &Recalled) -> Vec<u64> {
    recalled.messages.iter().map(reply_number).collect()
}

fn offset(reply: &Reply) -> u64 {
    let position = reply.position.as_deref();
    position.expect("a published message").offset
}

fn with_position(number: u64, position: Position) -> Reply {
    Reply {
        position: Some(Box::new(position)),
        ..reply(number)
    }
}

/// A published message reaches members as a group send does, in order with
/// group sends, and carries the position that its publisher is told.
pub async fn a_published_message_reaches_members_with_its_position(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let peers = [Peer::new(&*backend).await, Peer::new(&*backend).await];
    let other = backend.node().await;
    let room = group("room");
    let mut members = Vec::new();
    for peer in &peers {
        let (local, name) = peer.connect();
        add(&other, &room, &name).await;
        members.push((peer, local));
    }
    for number in 0..10 {
        let published = other.group_publish(&room, reply(number), &AMPLE);
        let (sent, position) = within("group_publish", published).await.unwrap();
        assert_eq!((sent.nodes, sent.delivered, sent.dropped), (2, 2, 0));
        assert_eq!(position.offset, number + 1);
        let sent = other.group_send(&room, reply(100 + number));
        within("group_send", sent).await.unwrap();
        for (peer, local) in &members {
            let published = with_position(number, position);
            peer.sink.expect(*local, &published).await;
            peer.sink.expect(*local, &reply(100 + number)).await;
        }
    }
    for peer in &peers {
        let seen = peer.sink.seen().group_messages;
        assert_eq!(seen, 20, "one message a node");
    }
}

/// Nobody has to be there: what is published to a group without members is kept.
pub async fn a_group_without_members_keeps_messages(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let (layer, other) = (backend.node().await, backend.node().await);
    let (room, beside) = (group("room"), group("beside"));
    let published = layer.group_publish(&room, reply(7), &AMPLE);
    let (sent, position) = within("group_publish", published).await.unwrap();
    assert_eq!((sent.nodes, sent.delivered, sent.dropped), (0, 0, 0));
    let kept = recall(&other, &room, at(position, 0), ALL).await;
    assert_eq!(kept.messages, [with_position(7, position)]);
    assert_eq!((kept.position, kept.complete), (position, true));
    assert_eq!(publish(&other, &beside, 8).await.offset, 1);
    assert_eq!(publish(&other, &room, 9).await.offset, 2);
}

/// Offsets have no holes and no doubles, whoever publishes at the same time; each
/// publisher's messages have theirs in its order.
pub async fn concurrent_publishers_get_dense_offsets(factory: &dyn Factory) {
    const PUBLISHERS: u64 = 4;
    const MESSAGES: u64 = 50;
    let backend = empty(factory).await;
    let room = group("room");
    let layer = backend.node().await;
    let mut tasks = JoinSet::new();
    for publisher in 0..PUBLISHERS {
        // Two of them are in one node.
        let layer = if publisher < 2 {
            Arc::clone(&layer)
        } else {
            backend.node().await
        };
        let room = room.clone();
        tasks.spawn(async move {
            let mut given = Vec::new();
            for number in 0..MESSAGES {
                let number = publisher * MESSAGES + number;
                given.push((publish(&layer, &room, number).await, number));
            }
            given
        });
    }
    let mut by_offset = BTreeMap::new();
    let mut epochs = Vec::new();
    while let Some(given) = tasks.join_next().await {
        let given = given.unwrap();
        assert!(
            given.is_sorted_by(|(one, _), (next, _)| one.offset < next.offset),
            "{given:?}"
        );
        epochs.extend(given.iter().map(|(position, _)| position.epoch));
        let numbers = given.into_iter();
        by_offset.extend(numbers.map(|(position, number)| (position.offset, number)));
    }
    epochs.dedup();
    assert_eq!(epochs.len(), 1, "{epochs:?}");
    let dense: Vec<_> = (1..=PUBLISHERS * MESSAGES).collect();
    assert_eq!(by_offset.keys().copied().collect::<Vec<_>>(), dense);
    let kept = recall(&layer, &room, None, ALL).await;
    let offsets: Vec<_> = kept.messages.iter().map(offset).collect();
    assert_eq!(offsets, dense);
    assert_eq!(numbers(&kept), by_offset.into_values().collect::<Vec<_>>());
}

/// What is recalled begins behind the position that is given, is oldest first, and
/// goes no further than asked; without a position it is the last.
pub async fn a_recall_begins_behind_the_position_given(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let (layer, other) = (backend.node().await, backend.node().await);
    let room = group("room");
    let mut last = publish(&layer, &room, 1).await;
    for number in 2..=10 {
        last = publish(&layer, &room, number).await;
    }
    for (since, max, expected) in [
        (at(last, 0), ALL, (1..=10).collect()),
        (at(last, 6), ALL, vec![7, 8, 9, 10]),
        (at(last, 6), 2, vec![7, 8]),
        (at(last, 8), 2, vec![9, 10]),
        (at(last, 10), ALL, vec![]),
        (at(last, 3), 0, vec![]),
        (None, ALL, (1..=10).collect()),
        (None, 3, vec![8, 9, 10]),
        (None, 0, vec![]),
    ] {
        let recalled = recall(&other, &room, since, max).await;
        assert_eq!(numbers(&recalled), expected, "{since:?}, {max}");
        assert_eq!((recalled.position, recalled.complete), (last, true));
        let offsets: Vec<_> = recalled.messages.iter().map(offset).collect();
        assert_eq!(offsets, expected, "each has its position");
    }
}

/// No more messages are kept than the size says, the newest; whoever has missed
/// more is told.
pub async fn a_gap_larger_than_what_is_kept_is_told(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let layer = backend.node().await;
    let room = group("room");
    let few = History { size: 3, ..AMPLE };
    let mut last = publish_as(&layer, &room, 1, few).await;
    for number in 2..=10 {
        last = publish_as(&layer, &room, number, few).await;
    }
    for (since, complete, expected) in [
        (2, false, vec![8, 9, 10]),
        (6, false, vec![8, 9, 10]),
        (7, true, vec![8, 9, 10]),
        (9, true, vec![10]),
        (10, true, vec![]),
    ] {
        let recalled = recall(&layer, &room, at(last, since), ALL).await;
        assert_eq!(numbers(&recalled), expected, "{since}");
        assert_eq!((recalled.position, recalled.complete), (last, complete));
    }
    let none = History { size: 0, ..AMPLE };
    let last = publish_as(&layer, &room, 11, none).await;
    assert_eq!(last.offset, 11);
    let recalled = recall(&layer, &room, at(last, 10), ALL).await;
    assert_eq!((numbers(&recalled), recalled.complete), (vec![], false));
    assert!(recall(&layer, &room, at(last, 11), ALL).await.complete);
}

/// What is older than its time is not recalled, and whoever has missed it is told;
/// offsets go on.
pub async fn what_is_older_than_its_time_is_not_recalled(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let layer = backend.node().await;
    let room = group("room");
    let brief = History {
        ttl: Duration::from_millis(400),
        ..AMPLE
    };
    for number in 1..=3 {
        publish_as(&layer, &room, number, brief).await;
    }
    backend.pass(Duration::from_millis(500)).await;
    let last = publish_as(&layer, &room, 4, AMPLE).await;
    assert_eq!(last.offset, 4);
    for (since, complete) in [(0, false), (2, false), (3, true)] {
        let recalled = recall(&layer, &room, at(last, since), ALL).await;
        assert_eq!((numbers(&recalled), recalled.complete), (vec![4], complete));
        assert_eq!(recalled.position, last);
    }
    let mixed = group("mixed");
    publish_as(&layer, &mixed, 1, AMPLE).await;
    publish_as(&layer, &mixed, 2, brief).await;
    let beside = group("beside");
    let gone = publish_as(&layer, &beside, 1, brief).await;
    backend.pass(Duration::from_millis(500)).await;
    let recalled = recall(&layer, &beside, at(gone, 0), ALL).await;
    assert_eq!((numbers(&recalled), recalled.complete), (vec![], false));
    assert_eq!(recalled.position, gone);
    assert!(recall(&layer, &beside, Some(gone), ALL).await.complete);
    let recalled = recall(&layer, &mixed, None, ALL).await;
    assert_eq!(numbers(&recalled), [1, 2], "none goes before an older one");
}

/// A group keeps no more bytes than the limit, the newest messages; but the
/// newest of all whatever its size.
pub async fn bytes_bound_what_is_kept(factory: &dyn Factory) {
    let limits = Limits {
        history_bytes_max: 10_000,
        ..limits()
    };
    let backend = factory.backend(limits).await;
    let layer = backend.node().await;
    let room = group("room");
    let publish = async |size: usize| {
        let published = layer.group_publish(&room, Reply::bytes(vec![0; size]), &AMPLE);
        within("group_publish", published).await.unwrap().1
    };
    let offsets = async || {
        let recalled = recall(&layer, &room, None, ALL).await;
        recalled.messages.iter().map(offset).collect::<Vec<_>>()
    };
    for _ in 0..8 {
        publish(2_600).await;
    }
    assert_eq!(offsets().await, [6, 7, 8].as_slice());
    let last = publish(50_000).await;
    assert_eq!(offsets().await, [9].as_slice());
    assert!(!recall(&layer, &room, at(last, 7), ALL).await.complete);
    assert!(recall(&layer, &room, at(last, 8), ALL).await.complete);
    publish(2_600).await;
    assert_eq!(offsets().await, [10].as_slice());
    publish(2_600).await;
    assert_eq!(offsets().await, [10, 11].as_slice());
}

/// A position of another epoch, or one that was never given, is told as a gap,
/// with all that is kept.
pub async fn a_position_of_another_epoch_is_told(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let layer = backend.node().await;
    let room = group("room");
    publish(&layer, &room, 1).await;
    let last = publish(&layer, &room, 2).await;
    let other = Position {
        epoch: last.epoch ^ 1,
        ..last
    };
    let ahead = Position { offset: 3, ..last };
    let far = Position {
        offset: u64::MAX,
        ..last
    };
    for since in [other, ahead, far] {
        let recalled = recall(&layer, &room, Some(since), ALL).await;
        assert_eq!(numbers(&recalled), [1, 2], "{since}");
        assert_eq!((recalled.position, recalled.complete), (last, false));
        let first = recall(&layer, &room, Some(since), 1).await;
        assert_eq!(numbers(&first), [1], "the oldest first");
    }
}

/// A group to which nothing was published has a position, from which whoever was
/// told can go on later.
pub async fn an_empty_group_has_a_position_to_go_on_from(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let (layer, other) = (backend.node().await, backend.node().await);
    let room = group("room");
    let nothing = recall(&layer, &room, None, ALL).await;
    assert_eq!((nothing.position.offset, nothing.complete), (0, true));
    assert!(nothing.messages.is_empty());
    let again = recall(&other, &room, Some(nothing.position), ALL).await;
    assert_eq!(again, nothing);
    let first = publish(&other, &room, 1).await;
    assert_eq!(Some(first), at(nothing.position, 1));
    let recalled = recall(&layer, &room, Some(nothing.position), ALL).await;
    assert_eq!((numbers(&recalled), recalled.complete), (vec![1], true));
}

/// A history that is used lives on without messages; one that nobody uses ends,
/// and another epoch begins.
pub async fn offsets_outlive_messages_while_they_are_used(factory: &dyn Factory) {
    const LIFE: Duration = Duration::from_millis(1_500);
    let limits = Limits {
        group_expiry: LIFE,
        ..limits()
    };
    let backend = factory.backend(limits).await;
    let layer = backend.node().await;
    let room = group("room");
    let brief = History {
        ttl: Duration::from_millis(100),
        ..AMPLE
    };
    let last = publish_as(&layer, &room, 1, brief).await;
    for _ in 0..3 {
        backend.pass(LIFE / 2).await;
        let recalled = recall(&layer, &room, Some(last), ALL).await;
        assert_eq!((recalled.position, recalled.complete), (last, true));
    }
    assert_eq!(Some(publish_as(&layer, &room, 2, brief).await), at(last, 2));
    backend.pass(LIFE + LIFE / 5).await;
    let recalled = recall(&layer, &room, Some(last), ALL).await;
    assert_ne!(recalled.position.epoch, last.epoch);
    assert_eq!((recalled.position.offset, recalled.complete), (0, false));
}

/// Whoever joins and then recalls has, with what comes to it, all that is
/// published meanwhile: no message falls between the two.
pub async fn nothing_falls_between_a_join_and_a_recall(factory: &dyn Factory) {
    const MESSAGES: u64 = 150;
    let backend = empty(factory).await;
    let room = group("room");
    let publisher = backend.node().await;
    let begin = recall(&publisher, &room, None, 0).await.position;
    let publishing = async {
        for number in 1..=MESSAGES {
            publish(&publisher, &room, number).await;
            tokio::task::yield_now().await;
        }
    };
    let joining = async {
        let mut joined = Vec::new();
        for _ in 0..4 {
            let peer = Peer::new(&*backend).await;
            let (local, name) = peer.connect();
            add(&peer.layer, &room, &name).await;
            let recalled = recall(&peer.layer, &room, Some(begin), ALL).await;
            joined.push((peer, local, recalled));
        }
        joined
    };
    let ((), joined) = futures_util::join!(publishing, joining);
    for (peer, local, recalled) in joined {
        assert!(recalled.complete);
        let mut offsets: Vec<_> = recalled.messages.iter().map(offset).collect();
        assert_eq!(offsets.len() as u64, recalled.position.offset);
        offsets.extend(live(&peer, local, MESSAGES, recalled.position.offset).await);
        assert_eq!(offsets, (1..=MESSAGES).collect::<Vec<_>>());
    }
}

/// The offsets that come to a member up to the last message, without those that it
/// has recalled.
async fn live(peer: &Peer, local: LocalId, last: u64, recalled: u64) -> Vec<u64> {
    let mut offsets = Vec::new();
    let mut reached = recalled;
    while reached < last {
        let reply = peer.sink.next(local).await;
        reached = offset(&reply);
        if reached > recalled {
            offsets.push(reached);
        }
    }
    offsets
}

/// A flush forgets what was kept, and begins another epoch.
pub async fn a_flush_begins_another_epoch(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let (layer, other) = (backend.node().await, backend.node().await);
    let room = group("room");
    publish(&layer, &room, 1).await;
    let last = publish(&layer, &room, 2).await;
    within("flush", other.flush()).await.unwrap();
    for layer in [&layer, &other] {
        let recalled = recall(layer, &room, at(last, 1), ALL).await;
        assert!(recalled.messages.is_empty());
        assert!(!recalled.complete);
        assert_ne!(recalled.position.epoch, last.epoch);
    }
    let first = publish(&layer, &room, 3).await;
    assert_eq!(first.offset, 1);
    assert_ne!(first.epoch, last.epoch);
}

/// A message that is too large is not kept, and takes no offset.
pub async fn a_message_that_is_refused_takes_no_offset(factory: &dyn Factory) {
    let limits = Limits {
        message_size_max: 100,
        ..limits()
    };
    let backend = factory.backend(limits).await;
    let layer = backend.node().await;
    let room = group("room");
    publish(&layer, &room, 1).await;
    let refused = layer.group_publish(&room, Reply::bytes(vec![0; 101]), &AMPLE);
    let error = within("group_publish", refused).await.unwrap_err();
    assert!(
        matches!(
            error,
            SendError::MessageTooLarge {
                size: 101,
                size_max: 100
            }
        ),
        "{error}"
    );
    assert_eq!(publish(&layer, &room, 2).await.offset, 2);
    let recalled = recall(&layer, &room, None, ALL).await;
    assert_eq!(numbers(&recalled), [1, 2]);
}

/// A full inbox loses its copy, never the kept one: the publish is counted as a
/// group send is, and the message is recalled.
pub async fn what_a_full_inbox_refuses_is_recalled(factory: &dyn Factory) {
    let limits = Limits {
        inbox_entries_max: 4,
        ..limits()
    };
    let backend = factory.backend(limits).await;
    let (full, layer) = (Peer::new(&*backend).await, backend.node().await);
    let room = group("room");
    add(&layer, &room, &full.connect().1).await;
    let mut dropped = 0;
    let mut published = 0;
    while dropped < 5 {
        published += 1;
        let sent = layer.group_publish(&room, reply(published), &AMPLE);
        dropped += within("group_publish", sent).await.unwrap().0.dropped;
        assert!(published < 500, "an inbox of 4 entries took 500");
    }
    let recalled = recall(&layer, &room, None, ALL).await;
    assert_eq!(numbers(&recalled), (1..=published).collect::<Vec<_>>());
}

/// A local send reaches the members of the node that sends, in order with what is
/// sent to all, and nobody else.
pub async fn a_local_send_stays_on_its_node(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let (here, there) = (Peer::new(&*backend).await, Peer::new(&*backend).await);
    let room = group("room");
    let local_send = async |layer: &Layer, number| {
        let sent = layer.group_send_local(&room, reply(number));
        let sent = within("group_send_local", sent).await.unwrap();
        (sent.nodes, sent.delivered, sent.dropped)
    };
    assert_eq!(local_send(&here.layer, 0).await, (0, 0, 0));
    let (far, far_name) = there.connect();
    add(&here.layer, &room, &far_name).await;
    assert_eq!(local_send(&here.layer, 0).await, (0, 0, 0));
    let (near, near_name) = here.connect();
    add(&there.layer, &room, &near_name).await;
    for number in 1..=10 {
        let sent = there.layer.group_send(&room, reply(number));
        within("group_send", sent).await.unwrap();
        there.sink.expect(far, &reply(number)).await;
        assert_eq!(local_send(&here.layer, 100 + number).await, (1, 1, 0));
        here.sink.expect(near, &reply(number)).await;
        here.sink.expect(near, &reply(100 + number)).await;
    }
    let sent = here.layer.group_send(&room, reply(99));
    within("group_send", sent).await.unwrap();
    there.sink.expect(far, &reply(99)).await;
}

/// After a close nothing is published and nothing recalled.
pub async fn a_closed_node_keeps_nothing(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let (layer, other) = (backend.node().await, backend.node().await);
    let room = group("room");
    within("close", layer.close()).await;
    let published = within("publish", layer.group_publish(&room, reply(1), &AMPLE)).await;
    assert!(matches!(published, Err(SendError::Closed)));
    let sent = within("local", layer.group_send_local(&room, reply(1))).await;
    assert!(matches!(sent, Err(SendError::Closed)));
    let recalled = within("recall", layer.group_history(&room, None, 1)).await;
    let closed = towpath_layer_core::LayerError::Closed;
    assert_eq!(recalled.unwrap_err().to_string(), closed.to_string());
    assert_eq!(publish(&other, &room, 2).await.offset, 1);
}
