//! Sending later to connections (contract §6).

use std::sync::Arc;
use std::time::Duration;

use towpath_layer_core::{
    ChannelLayer, ChannelName, Content, DelayKey, Limits, LocalId, NodeId, SendError, SystemEntropy,
};

use super::support::{Peer, empty, eventually, limits, reply, within};
use crate::{Backend, Factory};

/// How long the replies of these cases wait.
const DELAY: Duration = Duration::from_millis(300);

/// After this much time of the layer, what is due has been sent and counted.
const SOON: Duration = Duration::from_secs(3);

async fn later(
    layer: &Arc<dyn ChannelLayer>,
    delay: Duration,
    to: &ChannelName,
    number: u64,
) -> DelayKey {
    let waits = layer.send_after(delay, to, reply(number).into());
    within("send_after", waits).await.unwrap()
}

async fn dropped(backend: &dyn Backend, layer: &Arc<dyn ChannelLayer>, by: u64) {
    eventually(backend, "the drop is counted", SOON, async || {
        let statistics = within("statistics", layer.statistics()).await.unwrap();
        assert!(statistics.dropped <= by, "{} drops", statistics.dropped);
        statistics.dropped == by
    })
    .await;
}

/// A delayed reply reaches its connection when it is due, in order, asked for
/// in any node; what was cancelled does not.
pub async fn a_delayed_reply_reaches_its_connection(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let (peer, other) = (Peer::new(&*backend).await, backend.node().await);
    let connections = [peer.connect(), peer.connect()];
    for (_, name) in &connections {
        later(&other, 3 * DELAY, name, 3).await;
        later(&peer.layer, 2 * DELAY, name, 1).await;
        let cancelled = later(&other, 2 * DELAY, name, 9).await;
        later(&other, 2 * DELAY, name, 2).await;
        assert!(within("cancel", other.cancel(&cancelled)).await.unwrap());
        let seen = within("statistics", other.channel_statistics(name)).await;
        assert_eq!(seen.unwrap().delayed, 3);
    }
    let all = within("statistics", other.statistics()).await.unwrap();
    assert_eq!((all.delayed, all.total.delayed), (6, 0));
    for (local, _) in &connections {
        assert!(peer.sink.replies(*local).is_empty(), "before its time");
    }
    backend.pass(2 * DELAY).await;
    backend.pass(DELAY).await;
    for (local, name) in &connections {
        for number in 1..=3 {
            peer.sink.expect(*local, &reply(number)).await;
        }
        let at_once = later(&other, Duration::ZERO, name, 4).await;
        peer.sink.expect(*local, &reply(4)).await;
        assert!(!within("cancel", other.cancel(&at_once)).await.unwrap());
        assert!(peer.sink.replies(*local).is_empty());
    }
}

/// A delayed reply whose connection is gone when it is due is dropped and
/// counted then; others on its node do not mind.
pub async fn a_delayed_reply_for_nobody_is_dropped_and_counted(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let (peer, other) = (Peer::new(&*backend).await, backend.node().await);
    let (gone, name) = peer.connect();
    let (local, living) = peer.connect();
    later(&other, 3 * DELAY, &name, 1).await;
    later(&other, 3 * DELAY, &living, 2).await;
    let nobody = ChannelName::reply(NodeId::random(&SystemEntropy), LocalId(1));
    later(&other, 3 * DELAY, &nobody, 3).await;
    peer.sink.close(gone);
    let statistics = within("statistics", other.statistics()).await.unwrap();
    assert_eq!(statistics.dropped, 0, "their time has not come");
    backend.pass(3 * DELAY).await;
    peer.sink.expect(local, &reply(2)).await;
    dropped(&*backend, &other, 2).await;
}

/// What is no reply says nothing to a connection, later as well as now.
pub async fn what_is_no_reply_is_dropped(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let (peer, other) = (Peer::new(&*backend).await, backend.node().await);
    let (local, name) = peer.connect();
    let content = Content::encode(&1).unwrap();
    let waits = other.send_after(DELAY, &name, content.into());
    within("send_after", waits).await.unwrap();
    later(&other, DELAY, &name, 2).await;
    backend.pass(DELAY).await;
    peer.sink.expect(local, &reply(2)).await;
    dropped(&*backend, &other, 1).await;
}

/// While an inbox is full, a delayed reply for it goes on waiting and comes
/// when there is room; another node gets its own.
pub async fn a_full_inbox_keeps_a_delayed_reply_waiting(factory: &dyn Factory) {
    let limits = Limits {
        inbox_entries_max: 8,
        ..limits()
    };
    let backend = factory.backend(limits).await;
    let (full, free) = (Peer::new(&*backend).await, Peer::new(&*backend).await);
    let sender = backend.node().await;
    let (stuck, name) = full.connect();
    let (local, living) = free.connect();
    let mut accepted = 0;
    loop {
        let sent = sender.send(&name, reply(accepted).into());
        match within("send", sent).await {
            Ok(()) => accepted += 1,
            Err(SendError::ChannelFull { .. }) => break,
            Err(other) => panic!("{other}"),
        }
    }
    later(&sender, DELAY, &name, accepted).await;
    later(&sender, DELAY, &name, accepted + 1).await;
    later(&sender, 2 * DELAY, &living, 7).await;
    backend.pass(DELAY).await;
    backend.pass(DELAY).await;
    free.sink.expect(local, &reply(7)).await;
    for number in 0..accepted + 2 {
        full.sink.expect(stuck, &reply(number)).await;
    }
    let seen = within("statistics", sender.channel_statistics(&name)).await;
    assert_eq!(seen.unwrap().delayed, 0);
}

/// A flush takes along the replies that wait.
pub async fn a_flush_takes_along_delayed_replies(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let (peer, other) = (Peer::new(&*backend).await, backend.node().await);
    let (local, name) = peer.connect();
    let key = later(&peer.layer, DELAY, &name, 1).await;
    within("flush", other.flush()).await.unwrap();
    assert!(!within("cancel", other.cancel(&key)).await.unwrap());
    later(&peer.layer, DELAY, &name, 2).await;
    backend.pass(DELAY).await;
    peer.sink.expect(local, &reply(2)).await;
    assert!(peer.sink.replies(local).is_empty());
}

/// So many replies wait for one connection; others have a bound of their own.
pub async fn no_more_replies_wait_than_may(factory: &dyn Factory) {
    let limits = Limits {
        delayed_max: 2,
        ..limits()
    };
    let backend = factory.backend(limits).await;
    let (peer, other) = (Peer::new(&*backend).await, backend.node().await);
    let (local, name) = peer.connect();
    let (_, neighbour) = peer.connect();
    let first = later(&other, 3 * DELAY, &name, 1).await;
    later(&other, 3 * DELAY, &name, 2).await;
    let over = other.send_after(3 * DELAY, &name, reply(3).into());
    match within("send_after", over).await {
        Err(SendError::ChannelFull { channel }) => assert_eq!(channel, name),
        more => panic!("{more:?}"),
    }
    later(&other, 3 * DELAY, &neighbour, 3).await;
    assert!(within("cancel", other.cancel(&first)).await.unwrap());
    later(&peer.layer, 3 * DELAY, &name, 4).await;
    backend.pass(3 * DELAY).await;
    for number in [2, 4] {
        peer.sink.expect(local, &reply(number)).await;
    }
}
