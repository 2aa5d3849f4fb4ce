//! What a node does when its Redis, its connection or another node fails.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what it expects by unwrapping"
)]

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use support::{Peer, Place};
use tokio::time::{Instant, sleep, timeout};
use towpath_layer_core::{
    ChannelLayer, ChannelName, Content, GroupName, Limits, LocalId, Message, Reply, SendError,
};
use towpath_layer_redis::RedisLayer;

const LEASE: Duration = Duration::from_millis(1_500);
const STEP_MAX: Duration = Duration::from_secs(15);
const AGAIN: Duration = Duration::from_millis(10);

fn limits() -> Limits {
    Limits {
        lease: LEASE,
        ..Limits::default()
    }
}

fn group(number: usize) -> GroupName {
    GroupName::new(format!("group-{number}")).unwrap()
}

fn work() -> ChannelName {
    ChannelName::new("work").unwrap()
}

fn message(number: u64) -> Message {
    Content::encode(&number).unwrap().into()
}

fn number(message: &Message) -> u64 {
    let Message::Custom(content) = message else {
        panic!("not a number: {message:?}");
    };
    content.decode().unwrap()
}

/// Waits until something holds, and says how long that took.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) -> Duration {
    let begin = Instant::now();
    while !holds().await {
        assert!(
            begin.elapsed() < STEP_MAX,
            "{what}: not within {STEP_MAX:?}"
        );
        sleep(AGAIN).await;
    }
    begin.elapsed()
}

impl Peer {
    /// A new connection that is a member, and known to be by the sink.
    async fn member(&self, group: &GroupName) -> (LocalId, ChannelName) {
        let local = self.sink.open();
        let name = ChannelName::reply(self.layer.node(), local);
        let meta = Bytes::from_static(b"meta");
        self.layer.group_add(group, &name, meta).await.unwrap();
        until("the join", async || self.sink.knows(group, local)).await;
        (local, name)
    }
}

async fn take_all(layer: &RedisLayer, count: usize) -> Vec<u64> {
    let mut receiver = layer.receiver(vec![work()]).unwrap();
    let mut taken = Vec::new();
    while taken.len() < count {
        let receive = receiver.receive_many(&mut taken, count);
        timeout(STEP_MAX, receive).await.unwrap().unwrap();
    }
    receiver.close().await.unwrap();
    taken.iter().map(|one| number(&one.message)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_heal_within_two_seconds_of_an_empty_restart() {
    const MEMBERS: usize = 200;
    const GROUPS: usize = 20;
    let place = Place::new(Limits::default()).await;
    let peers = [
        Peer::new(&place).await,
        Peer::new(&place).await,
        Peer::new(&place).await,
    ];
    let mut members = Vec::new();
    for number in 0..MEMBERS {
        for peer in &peers {
            members.push((peer, peer.member(&group(number % GROUPS)).await));
        }
    }
    let asks = place.connect().await;
    place.server.kill().await.unwrap();
    place.server.start().await.unwrap();
    let back = Instant::now();
    for number in 0..GROUPS {
        until("the group reaches every node", async || {
            let sent = asks.group_send(&group(number), Reply::text("healed")).await;
            sent.is_ok_and(|sent| {
                assert!(!sent.certain, "the epoch is young");
                sent.delivered == 3
            })
        })
        .await;
    }
    let took = back.elapsed();
    assert!(took < Duration::from_secs(2), "healed after {took:?}");
    for (peer, (local, name)) in members {
        assert_eq!(peer.sink.next(local).await, Reply::text("healed"));
        until("every member is stored", async || {
            let groups = asks.channel_groups(&name).await;
            groups.is_ok_and(|groups| groups.len() == 1)
        })
        .await;
    }
    for peer in &peers {
        until("the gap is known", async || peer.sink.seen().gaps > 0).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_lease_after_a_restart_all_members_are_certain() {
    let place = Place::new(limits()).await;
    let (peer, asks) = (Peer::new(&place).await, place.connect().await);
    let room = group(0);
    peer.member(&room).await;
    place.server.kill().await.unwrap();
    place.server.start().await.unwrap();
    let back = Instant::now();
    let mut sent = None;
    until("all is certain", async || {
        sent = asks.group_send(&room, Reply::text("a")).await.ok();
        sent.is_some_and(|sent| sent.certain)
    })
    .await;
    let took = back.elapsed();
    assert!(
        took >= LEASE - Duration::from_millis(200),
        "certain after {took:?}"
    );
    assert_eq!(sent.unwrap().delivered, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_redis_is_down_calls_fail_at_once_and_say_so() {
    let place = Place::new(limits()).await;
    let peer = Peer::new(&place).await;
    let room = group(0);
    let (_, name) = peer.member(&room).await;
    place.server.kill().await.unwrap();
    let layer = &peer.layer;
    until("the loss is known", async || layer.ping().await.is_err()).await;
    let begin = Instant::now();
    for _ in 0..100 {
        let sent = layer.send(&work(), message(1)).await.unwrap_err();
        assert!(sent.is_transient(), "{sent}");
        assert!(matches!(sent, SendError::Unavailable(lost) if !lost.outcome_unknown));
    }
    let batch = vec![
        (work(), message(1)),
        (name.clone(), Reply::text("a").into()),
    ];
    for sent in layer.send_many(batch).await {
        assert!(sent.unwrap_err().is_transient());
    }
    let sent = layer.group_send(&room, Reply::text("a")).await;
    assert!(sent.unwrap_err().is_transient());
    let added = layer.group_add(&room, &name, Bytes::new()).await;
    assert!(added.unwrap_err().is_transient());
    assert!(layer.room(&work()).await.unwrap_err().is_transient());
    assert!(layer.statistics().await.unwrap_err().is_transient());
    assert!(layer.groups().await.unwrap_err().is_transient());
    assert!(layer.flush().await.unwrap_err().is_transient());
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(1), "failing took {took:?}");
    timeout(STEP_MAX, layer.close()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_connections_come_back_and_nothing_is_doubled() {
    const COUNT: u64 = 2_000;
    let place = Place::new(limits()).await;
    let peer = Peer::new(&place).await;
    let (local, name) = peer.member(&group(0)).await;
    let other = place.connect().await;
    let mut admin = place.admin().await;
    let cutting = async {
        for _ in 0..8 {
            sleep(Duration::from_millis(50)).await;
            let mut cut = redis::cmd("CLIENT");
            cut.arg("KILL").arg("SKIPME").arg("yes");
            cut.query_async::<i64>(&mut admin).await.unwrap();
        }
    };
    let sending = async {
        let mut accepted = BTreeSet::new();
        for number in 0..COUNT {
            match other.send(&work(), message(number)).await {
                Ok(()) => assert!(accepted.insert(number)),
                Err(SendError::ChannelFull { channel }) => {
                    let _room_or_not = other.room(&channel).await;
                }
                Err(error) => assert!(error.is_transient(), "{error}"),
            }
        }
        accepted
    };
    let receiving = async {
        let mut receiver = peer.layer.receiver(vec![work()]).unwrap();
        let mut taken = Vec::new();
        let quiet = Duration::from_secs(2);
        while timeout(quiet, receiver.receive_many(&mut taken, 10))
            .await
            .is_ok()
        {}
        taken
            .iter()
            .map(|one| number(&one.message))
            .collect::<Vec<_>>()
    };
    let (accepted, received, ()) = futures_util::join!(sending, receiving, cutting);
    let once: BTreeSet<_> = received.iter().copied().collect();
    assert_eq!(once.len(), received.len(), "something came twice");
    assert!(received.is_sorted(), "something came out of order");
    // What was in the hands of a connection that was cut is gone.
    let lost = accepted.difference(&once).count();
    assert!(lost <= 8 * 10, "{lost} of {} lost", accepted.len());
    until("replies arrive again", async || {
        other.send(&name, Reply::text("a").into()).await.is_ok()
    })
    .await;
    peer.sink.expect(local, &Reply::text("a")).await;
    until("it knows that something may be missed", async || {
        peer.sink.seen().gaps > 0
    })
    .await;
    assert!(peer.sink.knows(&group(0), local), "and is a member still");
}

/// Lets the server hang while a call is under way.
async fn hang<T>(place: &Place, time: Duration, call: impl Future<Output = T>) -> T {
    place.server.pause().unwrap();
    let resuming = async {
        sleep(time).await;
        place.server.resume().unwrap();
    };
    let (done, ()) = futures_util::join!(call, resuming);
    done
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_is_waited_for_and_nothing_is_lost() {
    let place = Place::new(Limits::default()).await;
    let peer = Peer::new(&place).await;
    let room = group(0);
    let (local, name) = peer.member(&room).await;
    let other = place.connect().await;
    let sending = async {
        other
            .send(&name, Reply::text("direct").into())
            .await
            .unwrap();
        other.group_send(&room, Reply::text("group")).await.unwrap()
    };
    let sent = hang(&place, Duration::from_secs(2), sending).await;
    assert_eq!(sent.delivered, 1);
    peer.sink.expect(local, &Reply::text("direct")).await;
    peer.sink.expect(local, &Reply::text("group")).await;
    assert_eq!(peer.sink.seen().gaps, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_for_longer_than_a_lease_kills_nobody() {
    let place = Place::new(limits()).await;
    let peer = Peer::new(&place).await;
    let room = group(0);
    let (local, _) = peer.member(&room).await;
    let other = place.connect().await;
    hang(&place, 2 * LEASE, async {}).await;
    until("the group delivers again", async || {
        let sent = other.group_send(&room, Reply::text("group")).await;
        sent.is_ok_and(|sent| sent.delivered == 1)
    })
    .await;
    peer.sink.expect(local, &Reply::text("group")).await;
    assert_eq!(other.group_count(&room).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_memberships_of_a_dead_node_are_gone_within_two_leases() {
    let place = Place::new(limits()).await;
    let (dies, lives) = (Peer::new(&place).await, Peer::new(&place).await);
    let (room, other) = (group(0), group(1));
    dies.member(&room).await;
    let (_, name) = dies.member(&other).await;
    lives.member(&room).await;
    // Whoever declares others dead has to have watched for a lease.
    sleep(LEASE).await;
    dies.layer.abandon();
    let took = until("the memberships are gone", async || {
        let count = lives.layer.group_count(&room).await.unwrap();
        count == 1 && lives.layer.groups().await.unwrap() == [room.clone()]
    })
    .await;
    assert!(took < 2 * LEASE, "gone after {took:?}");
    assert!(lives.layer.channel_groups(&name).await.unwrap().is_empty());
    let mut admin = place.admin().await;
    let left: Vec<String> = redis::cmd("KEYS")
        .arg(format!("*{{{}}}*", dies.layer.node()))
        .query_async(&mut admin)
        .await
        .unwrap();
    assert!(left.is_empty(), "a dead node leaves {left:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_that_the_server_forgot_are_told_again() {
    let place = Place::new(limits()).await;
    let peer = Peer::new(&place).await;
    let room = group(0);
    let mut admin = place.admin().await;
    let mut forget = async || {
        let mut flush = redis::cmd("SCRIPT");
        flush.arg("FLUSH");
        flush.query_async::<()>(&mut admin).await.unwrap();
    };
    for round in 0..3 {
        forget().await;
        let batch = (0..5).map(|number| (work(), message(number)));
        let sent = peer.layer.send_many(batch.collect()).await;
        assert!(sent.iter().all(Result::is_ok), "{sent:?}");
        forget().await;
        assert_eq!(take_all(&peer.layer, 5).await, [0, 1, 2, 3, 4]);
        forget().await;
        let (local, name) = peer.member(&room).await;
        forget().await;
        let reply = Reply::text(round.to_string());
        peer.layer.group_send(&room, reply.clone()).await.unwrap();
        peer.sink.expect(local, &reply).await;
        forget().await;
        peer.layer.discard_all(&name).await.unwrap();
        assert_eq!(peer.layer.group_count(&room).await.unwrap(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_held_for_dead_announces_itself_anew() {
    let place = Place::new(limits()).await;
    let (paused, other) = (Peer::new(&place).await, Peer::new(&place).await);
    let room = group(0);
    let (local, name) = paused.member(&room).await;
    let node = paused.layer.node();
    // As if it had been paused for longer than its lease, and been buried.
    let mut admin = place.admin().await;
    let keys: Vec<String> = redis::cmd("KEYS")
        .arg(format!("*{{{node}}}*"))
        .query_async(&mut admin)
        .await
        .unwrap();
    let mut unlink = redis::cmd("DEL");
    unlink.arg(keys).arg(format!("towpath:g:{{{room}}}"));
    unlink.query_async::<i64>(&mut admin).await.unwrap();
    let took = until("it is back", async || {
        let sent = other.layer.group_send(&room, Reply::text("a")).await;
        sent.unwrap().delivered == 1
    })
    .await;
    assert!(took < LEASE, "back after {took:?}");
    paused.sink.expect(local, &Reply::text("a")).await;
    until("the gap is known", async || paused.sink.seen().gaps == 1).await;
    assert!(other.layer.is_member(&room, &name).await.unwrap());
    assert!(other.layer.absent(&[node]).await.unwrap().is_empty());
}

/// Takes a node's lease away; it notices with the next renewal.
async fn take_lease(place: &Place, peer: &Peer) {
    let mut admin = place.admin().await;
    let mut unlink = redis::cmd("DEL");
    unlink.arg(format!("towpath:n:{{{}}}:lease", peer.layer.node()));
    let gone: i64 = unlink.query_async(&mut admin).await.unwrap();
    assert_eq!(gone, 1);
}

async fn back(other: &Peer, peer: &Peer) {
    let node = [peer.layer.node()];
    until("the node is back", async || {
        other.layer.absent(&node).await.unwrap().is_empty()
    })
    .await;
    until("and has announced its members", async || {
        peer.sink.seen().gaps > 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_discard_while_the_owner_is_away_is_not_undone_by_its_return() {
    let place = Place::new(limits()).await;
    let (away, other) = (Peer::new(&place).await, Peer::new(&place).await);
    let (room, hall) = (group(0), group(1));
    let (first, _) = away.member(&room).await;
    let (second, second_name) = away.member(&room).await;
    let (third, third_name) = away.member(&hall).await;
    take_lease(&place, &away).await;
    other
        .layer
        .group_discard(&room, &second_name)
        .await
        .unwrap();
    other.layer.discard_all(&third_name).await.unwrap();
    back(&other, &away).await;
    assert_eq!(other.layer.group_count(&room).await.unwrap(), 1);
    assert_eq!(other.layer.group_count(&hall).await.unwrap(), 0);
    let reply = Reply::text("a");
    for group in [&room, &hall] {
        other.layer.group_send(group, reply.clone()).await.unwrap();
    }
    away.sink.expect(first, &reply).await;
    until("the sink knows", async || !away.sink.knows(&hall, third)).await;
    assert!(away.sink.replies(second).is_empty());
    assert!(away.sink.replies(third).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_add_while_the_owner_is_away_is_found_when_it_returns() {
    let place = Place::new(limits()).await;
    let (away, other) = (Peer::new(&place).await, Peer::new(&place).await);
    let room = group(0);
    let local = away.sink.open();
    let name = ChannelName::reply(away.layer.node(), local);
    take_lease(&place, &away).await;
    let meta = Bytes::from_static(b"meta");
    other
        .layer
        .group_add(&room, &name, meta.clone())
        .await
        .unwrap();
    back(&other, &away).await;
    until("the sink hears", async || {
        away.sink.meta(&room, local).as_ref() == Some(&meta)
    })
    .await;
    let sent = other.layer.group_send(&room, Reply::text("a")).await;
    assert_eq!(sent.unwrap().delivered, 1);
    away.sink.expect(local, &Reply::text("a")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_receiver_holds_nothing_that_another_could_have() {
    let place = Place::new(limits()).await;
    let (idle, busy) = (place.connect().await, place.connect().await);
    let mut receiver = idle.receiver(vec![work()]).unwrap();
    let mut taken = Vec::new();
    let receive = receiver.receive_many(&mut taken, 100);
    let given_up = timeout(Duration::from_millis(50), receive).await;
    assert!(given_up.is_err(), "there was nothing to receive");
    for number in 0..20 {
        busy.send(&work(), message(number)).await.unwrap();
    }
    let numbers = take_all(&busy, 20).await;
    assert_eq!(numbers.into_iter().collect::<BTreeSet<_>>().len(), 20);
    assert!(taken.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_that_cannot_be_read_are_passed_over() {
    let place = Place::new(limits()).await;
    let peer = Peer::new(&place).await;
    let (local, name) = peer.member(&group(0)).await;
    let mut admin = place.admin().await;
    let inbox = format!("towpath:n:{{{}}}:inbox", peer.layer.node());
    let mut from_the_future = u64::MAX.to_be_bytes().to_vec();
    from_the_future.extend([0xff; 40]);
    for list in ["towpath:c:{work}", &inbox] {
        for entry in [&b"?"[..], &[0; 8], &from_the_future] {
            let mut push = redis::cmd("RPUSH");
            push.arg(list).arg(entry);
            push.query_async::<i64>(&mut admin).await.unwrap();
        }
    }
    peer.layer.send(&work(), message(7)).await.unwrap();
    assert_eq!(take_all(&peer.layer, 1).await, [7]);
    let reply = Reply::text("a");
    peer.layer.send(&name, reply.clone().into()).await.unwrap();
    peer.sink.expect(local, &reply).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_layer_without_redis_does_not_connect_and_says_why() {
    let place = Place::new(limits()).await;
    place.server.kill().await.unwrap();
    let error = place.try_connect().await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    let mut causes = Vec::new();
    let mut cause: Option<&dyn std::error::Error> = Some(&error);
    while let Some(one) = cause {
        causes.push(one.to_string());
        cause = one.source();
    }
    let chain = causes.join(": ");
    assert!(chain.to_lowercase().contains("refused"), "{chain}");
}
