//! Sending later, and cancelling (contract §6).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinSet;
use towpath_layer_core::{
    ChannelLayer, ChannelName, ChannelStatistics, Content, DelayKey, Limits, LocalId, Message,
    SendError, SystemEntropy,
};

use super::support::{
    BRIEF, Reader, channel, empty, eventually, limits, message, nothing_waits, number, send, within,
};
use crate::Factory;

/// How long the messages of these cases wait.
const DELAY: Duration = Duration::from_millis(300);

/// After this much time of the layer, what is due has been sent and counted.
const SOON: Duration = Duration::from_secs(3);

async fn try_later(
    layer: &Arc<dyn ChannelLayer>,
    delay: Duration,
    name: &ChannelName,
    message: Message,
) -> Result<DelayKey, SendError> {
    within("send_after", layer.send_after(delay, name, message)).await
}

async fn later(
    layer: &Arc<dyn ChannelLayer>,
    delay: Duration,
    name: &ChannelName,
    number: u64,
) -> DelayKey {
    let waits = try_later(layer, delay, name, message(number)).await;
    waits.unwrap()
}

async fn cancel(layer: &Arc<dyn ChannelLayer>, key: &DelayKey) -> bool {
    within("cancel", layer.cancel(key)).await.unwrap()
}

async fn seen(layer: &Arc<dyn ChannelLayer>, name: &ChannelName) -> ChannelStatistics {
    let seen = within("statistics", layer.channel_statistics(name)).await;
    seen.unwrap()
}

/// A delayed message is not there before its time, and then it is, for
/// receivers in any node, on shared and single-reader channels.
pub async fn a_delayed_message_comes_when_it_is_due(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let (sender, layer) = (backend.node().await, backend.node().await);
    let body = layer.new_channel("body").unwrap();
    for name in [&channel("work"), &body] {
        later(&sender, 2 * DELAY, name, 7).await;
        let mut reader = Reader::new(&layer, &[name]);
        let early = reader.give_up_after(DELAY / 2, 1).await;
        assert!(early.is_empty(), "{name}");
        backend.pass(2 * DELAY).await;
        assert_eq!(reader.take(1).await, [7]);
    }
}

/// A receiver that waits already gets the message when it is due.
pub async fn a_waiting_receiver_is_woken_at_the_due_time(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let (sender, layer) = (backend.node().await, backend.node().await);
    let name = channel("work");
    let mut reader = Reader::new(&layer, &[&channel("other"), &name]);
    let sends = async {
        tokio::task::yield_now().await;
        later(&sender, 3 * DELAY, &name, 2).await;
        later(&sender, DELAY, &name, 1).await;
        backend.pass(DELAY).await;
        backend.pass(2 * DELAY).await;
    };
    let (numbers, ()) = futures_util::join!(reader.take(2), sends);
    assert_eq!(numbers, [1, 2]);
}

/// Without a delay a message is due at once, and cannot be cancelled any more.
pub async fn without_a_delay_it_is_due_at_once(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let layer = backend.node().await;
    let name = channel("work");
    let key = later(&layer, Duration::ZERO, &name, 1).await;
    send(&layer, &name, 2).await;
    assert!(!cancel(&layer, &key).await);
    let mut reader = Reader::new(&layer, &[&name]);
    assert_eq!(reader.take(2).await, [1, 2]);
}

/// What is due first comes first; of what is due at the same time, what was
/// asked for first.
pub async fn what_is_due_first_comes_first(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let (layer, other) = (backend.node().await, backend.node().await);
    let name = channel("work");
    for number in 20..40 {
        later(&layer, 3 * DELAY, &name, number).await;
    }
    for number in 0..20 {
        later(&other, DELAY, &name, number).await;
    }
    backend.pass(4 * DELAY).await;
    let mut reader = Reader::new(&layer, &[&name]);
    assert_eq!(reader.take(40).await, (0..40).collect::<Vec<_>>());
}

/// A cancelled message never comes. Its key is enough to cancel it, as text,
/// in another node; it works once.
pub async fn a_cancelled_message_never_comes(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let (layer, other) = (backend.node().await, backend.node().await);
    let name = channel("work");
    let kept = later(&layer, 3 * DELAY, &name, 1).await;
    let key = later(&layer, 3 * DELAY, &name, 2).await;
    let written = key.to_string();
    assert!(cancel(&other, &written.parse().unwrap()).await);
    assert!(!cancel(&other, &key).await);
    assert!(!cancel(&layer, &key).await);
    backend.pass(4 * DELAY).await;
    let mut reader = Reader::new(&other, &[&name]);
    assert_eq!(reader.take(1).await, [1]);
    reader.close().await;
    assert!(!cancel(&layer, &kept).await, "it came");
    nothing_waits(&layer, &name).await;
}

/// A key that stands for nothing cancels nothing.
pub async fn a_key_of_nothing_cancels_nothing(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let layer = backend.node().await;
    let name = channel("work");
    later(&layer, DELAY, &name, 1).await;
    let reply = ChannelName::reply(layer.node(), LocalId(1));
    for name in [&name, &channel("other"), &reply] {
        let guessed = DelayKey::new(name, &SystemEntropy);
        assert!(!cancel(&layer, &guessed).await);
    }
    backend.pass(2 * DELAY).await;
    let mut reader = Reader::new(&layer, &[&name]);
    assert_eq!(reader.take(1).await, [1]);
}

/// Whenever it is cancelled, and by however many: a message either comes, or
/// exactly one was told that it was still waiting.
pub async fn a_cancel_tells_the_truth_whenever_it_comes(factory: &dyn Factory) {
    const ROUNDS: u64 = 24;
    const ROUND: u64 = 12;
    let backend = empty(factory).await;
    let nodes = [backend.node().await, backend.node().await];
    let name = channel("big.work");
    let mut cancels = JoinSet::new();
    for round in 0..ROUNDS {
        let mut keys = Vec::new();
        for place in 0..ROUND {
            let delay = Duration::from_millis(2 * place);
            let number = round * ROUND + place;
            keys.push((number, later(&nodes[0], delay, &name, number).await));
        }
        // Some are due by now, some are not, and some just are.
        backend.pass(Duration::from_millis(ROUND)).await;
        for (number, key) in keys {
            for layer in &nodes {
                let (layer, key) = (Arc::clone(layer), key.clone());
                cancels.spawn(async move { (number, cancel(&layer, &key).await) });
            }
        }
    }
    let cancelled = within("cancels", cancels.join_all()).await;
    backend.pass(DELAY).await;
    let mut told: Vec<_> = cancelled
        .into_iter()
        .filter_map(|(number, was_waiting)| was_waiting.then_some(number))
        .collect();
    let sentinel = u64::MAX;
    send(&nodes[1], &name, sentinel).await;
    let mut reader = Reader::new(&nodes[1], &[&name]);
    while told.last() != Some(&sentinel) {
        told.extend(reader.take(1).await);
    }
    told.pop();
    told.sort_unstable();
    assert_eq!(told, (0..ROUNDS * ROUND).collect::<Vec<_>>());
}

/// Any message can be delayed, and arrives as it was sent.
pub async fn bytes_can_be_delayed(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let (layer, other) = (backend.node().await, backend.node().await);
    let name = channel("work");
    let bytes = Bytes::from((0..=255).collect::<Vec<u8>>());
    let large = Bytes::from(vec![0xfe; limits().message_size_max]);
    let sent: Vec<Message> = [bytes, large, Bytes::new()]
        .map(|bytes| Content::from_encoded(bytes).into())
        .into();
    for message in &sent {
        let waits = try_later(&layer, DELAY, &name, message.clone()).await;
        waits.unwrap();
    }
    backend.pass(DELAY).await;
    let mut reader = Reader::new(&other, &[&name]);
    let mut received = Vec::new();
    while received.len() < sent.len() {
        received.extend(reader.received(10).await);
    }
    let received: Vec<_> = received.into_iter().map(|one| one.message).collect();
    assert!(received == sent, "they arrive as they were sent");
}

/// While its channel is full a message goes on waiting; the receive that makes
/// room lets it in, behind what was there.
pub async fn a_full_channel_keeps_it_waiting(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let (layer, other) = (backend.node().await, backend.node().await);
    let name = channel("small.work");
    for number in 0..3 {
        send(&layer, &name, number).await;
    }
    later(&layer, DELAY, &name, 3).await;
    let cancelled = later(&layer, DELAY, &name, 4).await;
    later(&layer, DELAY, &name, 5).await;
    backend.pass(2 * DELAY).await;
    let stuck = seen(&other, &name).await;
    assert_eq!((stuck.pending, stuck.delayed, stuck.full), (3, 3, 0));
    assert!(cancel(&other, &cancelled).await, "it was still waiting");
    let mut reader = Reader::new(&other, &[&name]);
    for expected in [0, 1, 2, 3, 5] {
        assert_eq!(reader.take(1).await, [expected]);
    }
    reader.close().await;
    nothing_waits(&layer, &name).await;
}

/// Capacity holds for what becomes due, and no more is let in than a receiver
/// makes room for; in the end all of it comes, in order.
pub async fn capacity_holds_for_what_becomes_due(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let (layer, other) = (backend.node().await, backend.node().await);
    let name = channel("small.work");
    for number in 0..30 {
        later(&layer, DELAY, &name, number).await;
    }
    backend.pass(2 * DELAY).await;
    eventually(&*backend, "some of it is let in", SOON, async || {
        seen(&other, &name).await.pending == 3
    })
    .await;
    let refused = within("send", layer.send(&name, message(99))).await;
    assert!(matches!(refused, Err(SendError::ChannelFull { .. })));
    let mut reader = Reader::new(&other, &[&name]);
    for expected in 0..30 {
        assert_eq!(reader.take(1).await, [expected]);
        assert!(seen(&layer, &name).await.pending <= 3);
    }
    reader.close().await;
    nothing_waits(&layer, &name).await;
}

/// The expiry of a delayed message counts from its due time.
pub async fn expiry_counts_from_the_due_time(factory: &dyn Factory) {
    let mut limits = limits();
    limits.expiry = limits.expiry.rule("a-while.*", 4 * BRIEF);
    let backend = factory.backend(limits).await;
    let layer = backend.node().await;
    let name = channel("a-while.work");
    later(&layer, 5 * BRIEF, &name, 1).await;
    backend.pass(5 * BRIEF + BRIEF / 3).await;
    let mut reader = Reader::new(&layer, &[&name]);
    assert_eq!(reader.take(1).await, [1], "sent long ago, due just now");
    reader.close().await;
    later(&layer, BRIEF, &name, 2).await;
    backend.pass(6 * BRIEF).await;
    nothing_waits(&layer, &name).await;
    eventually(&*backend, "it is counted", SOON, async || {
        seen(&layer, &name).await.expired == 1
    })
    .await;
}

/// What has waited for room until its expiry is gone, and does not come later.
pub async fn what_waits_for_room_expires_too(factory: &dyn Factory) {
    let mut limits = limits();
    limits.expiry = limits.expiry.rule("small.brief", 3 * BRIEF);
    let backend = factory.backend(limits).await;
    let layer = backend.node().await;
    let name = channel("small.brief");
    later(&layer, Duration::ZERO, &name, 0).await;
    for number in 1..3 {
        later(&layer, BRIEF, &name, number).await;
    }
    later(&layer, Duration::ZERO, &name, 3).await;
    later(&layer, Duration::ZERO, &name, 4).await;
    backend.pass(8 * BRIEF).await;
    eventually(&*backend, "all of it is gone", SOON, async || {
        let seen = seen(&layer, &name).await;
        seen.expired == 5 && seen.pending + seen.delayed == 0
    })
    .await;
    nothing_waits(&layer, &name).await;
}

/// So many messages wait for their time on a channel, and not one more; one
/// that was cancelled leaves its place to another.
pub async fn no_more_wait_than_may(factory: &dyn Factory) {
    let limits = Limits {
        delayed_max: 4,
        ..limits()
    };
    let backend = factory.backend(limits).await;
    let (layer, other) = (backend.node().await, backend.node().await);
    let name = channel("work");
    let mut keys = Vec::new();
    for number in 0..4 {
        keys.push(later(&layer, 4 * DELAY, &name, number).await);
    }
    for layer in [&layer, &other] {
        match try_later(layer, 4 * DELAY, &name, message(9)).await {
            Err(SendError::ChannelFull { channel }) => assert_eq!(channel, name),
            more => panic!("{more:?}"),
        }
    }
    later(&layer, 4 * DELAY, &channel("other"), 9).await;
    send(&layer, &name, 10).await;
    assert_eq!(seen(&layer, &name).await.full, 2);
    assert!(cancel(&other, &keys[0]).await);
    later(&other, 4 * DELAY, &name, 4).await;
    backend.pass(5 * DELAY).await;
    let mut reader = Reader::new(&layer, &[&name]);
    assert_eq!(reader.take(5).await, [10, 1, 2, 3, 4]);
}

/// A request that breaks a bound is refused with the reason, and harms neither
/// those that wait nor those that follow.
pub async fn an_invalid_request_harms_nobody(factory: &dyn Factory) {
    let delay_max = 10 * DELAY;
    let limits = Limits {
        message_size_max: 64,
        delay_max,
        ..limits()
    };
    let backend = factory.backend(limits).await;
    let layer = backend.node().await;
    let name = channel("work");
    later(&layer, DELAY, &name, 1).await;
    let too_long = delay_max + Duration::from_millis(1);
    for delay in [too_long, Duration::MAX] {
        match try_later(&layer, delay, &name, message(9)).await {
            Err(SendError::DelayTooLong { delay: of, .. }) => assert_eq!(of, delay),
            other => panic!("{other:?}"),
        }
    }
    let large: Message = Content::from_encoded(Bytes::from(vec![0; 65])).into();
    let refused = try_later(&layer, DELAY, &name, large).await.unwrap_err();
    assert!(matches!(refused, SendError::MessageTooLarge { .. }));
    assert!(!refused.is_transient());
    later(&layer, delay_max, &channel("other"), 9).await;
    later(&layer, DELAY, &name, 2).await;
    backend.pass(2 * DELAY).await;
    let mut reader = Reader::new(&layer, &[&name]);
    assert_eq!(reader.take(2).await, [1, 2]);
    reader.close().await;
    nothing_waits(&layer, &name).await;
}

/// A delayed message outlives the node that asked for it, whether somebody
/// else was there meanwhile or not.
pub async fn it_survives_the_death_of_who_asked(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let name = channel("work");
    let (asker, other) = (backend.node().await, backend.node().await);
    let first = later(&asker, 3 * DELAY, &name, 1).await;
    later(&asker, 3 * DELAY, &name, 2).await;
    let third = later(&asker, 9 * DELAY, &name, 3).await;
    later(&asker, 9 * DELAY, &name, 4).await;
    backend.crash(asker.node()).await;
    assert!(cancel(&other, &first).await);
    backend.pass(4 * DELAY).await;
    let mut reader = Reader::new(&other, &[&name]);
    assert_eq!(reader.take(1).await, [2]);
    reader.close().await;
    backend.crash(other.node()).await;
    let heir = backend.node().await;
    assert!(cancel(&heir, &third).await);
    backend.pass(6 * DELAY).await;
    let mut reader = Reader::new(&heir, &[&name]);
    assert_eq!(reader.take(1).await, [4]);
}

/// A flush takes along what waits for its time, for good.
pub async fn a_flush_takes_along_what_waits(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let (layer, other) = (backend.node().await, backend.node().await);
    let name = channel("work");
    let key = later(&layer, DELAY, &name, 1).await;
    within("flush", other.flush()).await.unwrap();
    assert_eq!(seen(&layer, &name).await.delayed, 0);
    assert!(!cancel(&layer, &key).await);
    later(&layer, DELAY, &name, 2).await;
    backend.pass(2 * DELAY).await;
    let mut reader = Reader::new(&other, &[&name]);
    assert_eq!(reader.take(1).await, [2]);
    reader.close().await;
    nothing_waits(&layer, &name).await;
}

/// What waits for its time is counted as such: on its channel, on all, and as
/// sent only once it is.
pub async fn what_waits_is_counted(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let (layer, other) = (backend.node().await, backend.node().await);
    let (name, body) = (channel("work"), layer.new_channel("body").unwrap());
    for number in 0..3 {
        later(&layer, 2 * DELAY, &name, number).await;
    }
    later(&layer, 2 * DELAY, &body, 3).await;
    let before = seen(&other, &name).await;
    assert_eq!((before.delayed, before.sent, before.pending), (3, 0, 0));
    assert_eq!(seen(&other, &body).await.delayed, 1);
    let all = within("statistics", other.statistics()).await.unwrap();
    assert_eq!((all.delayed, all.total.delayed), (4, 3));
    assert_eq!(all.channels[&name].delayed, 3);
    backend.pass(3 * DELAY).await;
    eventually(&*backend, "they are sent", SOON, async || {
        let seen = seen(&other, &name).await;
        (seen.delayed, seen.sent, seen.pending) == (0, 3, 3)
    })
    .await;
    let all = within("statistics", other.statistics()).await.unwrap();
    assert_eq!((all.delayed, all.total.pending), (0, 3));
}

/// Many at once, from many senders: each comes once.
pub async fn many_delays_lose_and_double_nothing(factory: &dyn Factory) {
    const COUNT: u64 = 400;
    let backend = empty(factory).await;
    let nodes = [backend.node().await, backend.node().await];
    let names = [channel("big.a"), channel("big.b")];
    let mut senders = JoinSet::new();
    for sender in 0..4 {
        let layer = Arc::clone(&nodes[sender % 2]);
        let name = names[sender / 2].clone();
        senders.spawn(async move {
            for number in 0..COUNT / 4 {
                let delay = DELAY + Duration::from_millis(number % 7);
                later(&layer, delay, &name, sender as u64 * COUNT + number).await;
            }
        });
    }
    within("send_after", senders.join_all()).await;
    backend.pass(2 * DELAY).await;
    let mut reader = Reader::new(&nodes[1], &[&names[0], &names[1]]);
    let mut numbers = Vec::new();
    while numbers.len() < usize::try_from(COUNT).unwrap() {
        let received = reader.received(64).await;
        numbers.extend(received.iter().map(|one| number(&one.message)));
    }
    numbers.sort_unstable();
    let sent = (0..4).flat_map(|sender| (0..COUNT / 4).map(move |number| sender * COUNT + number));
    assert_eq!(numbers, sent.collect::<Vec<_>>());
    reader.close().await;
    for name in &names {
        nothing_waits(&nodes[0], name).await;
    }
}

/// After a close nothing is sent later, and nothing cancelled.
pub async fn a_closed_node_delays_nothing(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let (layer, other) = (backend.node().await, backend.node().await);
    let name = channel("work");
    let key = later(&layer, DELAY, &name, 1).await;
    within("close", layer.close()).await;
    let refused = try_later(&layer, DELAY, &name, message(2)).await;
    assert!(matches!(refused, Err(SendError::Closed)), "{refused:?}");
    within("cancel", layer.cancel(&key)).await.unwrap_err();
    backend.pass(2 * DELAY).await;
    let mut reader = Reader::new(&other, &[&name]);
    assert_eq!(reader.take(1).await, [1], "what waits does not mind");
}
