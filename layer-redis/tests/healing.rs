//! What a node does when a part of what it was told is lost on the way.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what it expects by unwrapping"
)]

mod support;

use std::time::Duration;

use bytes::Bytes;
use redis::aio::MultiplexedConnection;
use support::{Peer, Place};
use tokio::time::{Instant, sleep};
use towpath_layer_core::{
    ChannelLayer, ChannelName, Completion, Content, GlobTable, GroupName, Limits, LocalId, Message,
    Outcome, Reply,
};

const LEASE: Duration = Duration::from_millis(1_500);
const STEP_MAX: Duration = Duration::from_secs(15);
const AGAIN: Duration = Duration::from_millis(10);

fn limits() -> Limits {
    Limits {
        lease: LEASE,
        ..Limits::default()
    }
}

fn room() -> GroupName {
    GroupName::new("room").unwrap()
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begin = Instant::now();
    while !holds().await {
        let late = begin.elapsed() >= STEP_MAX;
        assert!(!late, "{what}: not within {STEP_MAX:?}");
        sleep(AGAIN).await;
    }
}

impl Peer {
    async fn member(&self) -> (LocalId, ChannelName) {
        let (local, name) = self.open();
        self.layer
            .group_add(&room(), &name, Bytes::from_static(b"meta"))
            .await
            .unwrap();
        until("the join", async || self.sink.knows(&room(), local)).await;
        (local, name)
    }

    fn key(&self, name: &str) -> String {
        format!("towpath:n:{{{}}}:{name}", self.layer.node())
    }

    fn members(&self) -> String {
        self.key(&format!("members:{}", room()))
    }
}

/// Cuts the connections that wait inside Redis.
async fn cut_waiting(admin: &mut MultiplexedConnection) {
    let mut list = redis::cmd("CLIENT");
    list.arg("LIST");
    let list: String = list.query_async(admin).await.unwrap();
    let waiting = list.lines().filter(|line| line.contains("cmd=blmpop"));
    for id in waiting.filter_map(|line| line.split(' ').next()?.strip_prefix("id=")) {
        let mut kill = redis::cmd("CLIENT");
        kill.arg("KILL").arg("ID").arg(id);
        kill.query_async::<i64>(admin).await.unwrap();
    }
}

/// The entries that a connection had taken when it broke are gone, and with
/// them joins and leaves: the node compares, and does not go on in error.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn joins_and_leaves_that_are_lost_with_a_connection_are_made_up_for() {
    let place = Place::new(limits()).await;
    let (peer, other) = (Peer::new(&place).await, Peer::new(&place).await);
    let (stays, _) = peer.member().await;
    let (left, _) = peer.member().await;
    let (joined, _) = peer.open();
    let mut admin = place.admin().await;
    until("the pump waits", async || {
        let mut list = redis::cmd("CLIENT");
        list.arg("LIST");
        let list: String = list.query_async(&mut admin).await.unwrap();
        list.matches("cmd=blmpop").count() == 2
    })
    .await;
    // As if they had been told to a connection that broke before it answered.
    let mut change = redis::pipe();
    change
        .atomic()
        .hdel(peer.members(), left.to_string())
        .hset(peer.members(), joined.to_string(), "late")
        .sadd(peer.key("groups"), room().as_str())
        .sadd(peer.key(&format!("of:{joined}")), room().as_str())
        .ignore();
    change.query_async::<()>(&mut admin).await.unwrap();
    cut_waiting(&mut admin).await;
    until("the gap is known", async || peer.sink.seen().gaps > 0).await;
    until("the join", async || peer.sink.knows(&room(), joined)).await;
    until("the leave", async || !peer.sink.knows(&room(), left)).await;
    assert!(peer.sink.knows(&room(), stays));
    let meta = peer.sink.meta(&room(), joined);
    assert_eq!(meta.as_deref(), Some(b"late".as_slice()));
    let reply = Reply::text("a");
    let sent = other.layer.group_send(&room(), reply.clone()).await;
    assert_eq!(sent.unwrap().delivered, 1);
    peer.sink.expect(joined, &reply).await;
    peer.sink.expect(stays, &reply).await;
    assert_eq!(other.layer.group_count(&room()).await.unwrap(), 2);
    assert!(peer.sink.replies(left).is_empty());
}

/// A discard that returned holds, although the owner is declared dead before
/// it hears of it, and comes back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_discard_that_the_owner_never_heard_of_is_not_undone() {
    let limits = Limits {
        inbox_entries_max: 2,
        ..limits()
    };
    let place = Place::new(limits).await;
    let (away, other) = (Peer::new(&place).await, Peer::new(&place).await);
    let (first, first_name) = away.member().await;
    let (second, second_name) = away.member().await;
    let (third, third_name) = away.member().await;
    let mut admin = place.admin().await;
    // Nobody drains the sink: the pump waits with what it has, and more does
    // not come to it.
    let full = async || {
        let sent = other.layer.send(&first_name, Reply::text("a").into()).await;
        sent.is_err()
    };
    until("the inbox is full", full).await;
    other
        .layer
        .group_discard(&room(), &second_name)
        .await
        .unwrap();
    other.layer.discard_all(&third_name).await.unwrap();
    // What declaring it dead does.
    let mut dead = redis::cmd("DEL");
    for key in ["lease", "inbox", "bytes", "gap", "room"] {
        dead.arg(away.key(key));
    }
    dead.arg(away.members())
        .arg(away.key("groups"))
        .arg(away.key(&format!("of:{first}")));
    dead.query_async::<i64>(&mut admin).await.unwrap();
    until("it announces the first again", async || {
        away.layer.is_member(&room(), &first_name).await.unwrap()
    })
    .await;
    until("and the end of it", async || {
        let mut lease = redis::cmd("GET");
        lease.arg(away.key("lease"));
        let lease: Option<String> = lease.query_async(&mut admin).await.unwrap();
        lease.is_some_and(|lease| lease.ends_with('l'))
    })
    .await;
    assert_eq!(other.layer.group_count(&room()).await.unwrap(), 1);
    until("the sink hears", async || {
        !away.sink.knows(&room(), second) && !away.sink.knows(&room(), third)
    })
    .await;
    assert!(away.sink.knows(&room(), first));
}

/// An add whose membership was undone before it came to the registry leaves
/// nothing there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_stands_for_nobody_is_cleared() {
    let place = Place::new(limits()).await;
    let (peer, other) = (Peer::new(&place).await, Peer::new(&place).await);
    let mut admin = place.admin().await;
    let registry = format!("towpath:g:{{{}}}", room());
    // The last step of an add that was slower than the discard and its fence.
    let mut late = redis::cmd("HSET");
    late.arg(&registry)
        .arg(peer.layer.node().to_string())
        .arg("token");
    late.query_async::<i64>(&mut admin).await.unwrap();
    let sent = other.layer.group_send(&room(), Reply::text("a")).await;
    assert_eq!(sent.unwrap().nodes, 0);
    let mut exists = redis::cmd("EXISTS");
    exists.arg(&registry);
    let exists: i64 = exists.query_async(&mut admin).await.unwrap();
    assert_eq!(exists, 0, "a ghost in the registry");
    // What is there for somebody ends at last even if nobody clears it.
    let (_, name) = peer.member().await;
    let mut ttl = redis::cmd("PTTL");
    ttl.arg(&registry);
    let ttl: i64 = ttl.query_async(&mut admin).await.unwrap();
    assert!(ttl > 0, "the registry is kept for ever");
    peer.layer.group_discard(&room(), &name).await.unwrap();
}

/// After a restart the owner of a connection may be back later than a worker:
/// what is for it is not thrown away meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_for_a_node_on_its_way_back_is_not_dropped() {
    let place = Place::new(Limits::default()).await;
    let owner = Peer::new(&place).await;
    let worker = place.connect().await;
    let (local, name) = owner.open();
    let reply = Reply::completion(Completion {
        attempt: 1,
        outcome: Outcome::Done { session: None },
        groups: Vec::new(),
    });
    let mut admin = place.admin().await;
    // A long cut: the leases ran out, and the worker is the first one back.
    let mut cut = redis::cmd("CLIENT");
    cut.arg("KILL").arg("SKIPME").arg("yes");
    cut.query_async::<i64>(&mut admin).await.unwrap();
    until("the worker is back", async || worker.ping().await.is_ok()).await;
    until("the owner too", async || owner.layer.ping().await.is_ok()).await;
    let mut lease = redis::cmd("DEL");
    lease.arg(owner.key("lease"));
    // The owner may be about to renew it, and then takes it anew: what it gets
    // until it is without one does no harm.
    until("what is for it is held back", async || {
        lease.query_async::<i64>(&mut admin).await.unwrap();
        let sent = worker.send(&name, reply.clone().into()).await;
        sent.is_err_and(|error| {
            assert!(error.is_transient(), "{error}");
            true
        })
    })
    .await;
    let absent = worker.absent(&[owner.layer.node()]).await.unwrap();
    assert!(absent.is_empty(), "it may be on its way back");
    until("the owner has its lease", async || {
        worker.send(&name, reply.clone().into()).await.is_ok()
    })
    .await;
    owner.sink.expect(local, &reply).await;
}

/// A receiver does not outlive its layer in silence.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_ends_with_its_layer() {
    let place = Place::new(limits()).await;
    let layer = place.connect().await;
    let mut receiver = layer
        .receiver(vec![ChannelName::new("work").unwrap()])
        .unwrap();
    drop(layer);
    let mut taken = Vec::new();
    let received = tokio::time::timeout(STEP_MAX, receiver.receive_many(&mut taken, 1));
    assert!(received.await.unwrap().is_err());
}

/// What has expired on a long list is dropped in steps: Redis does nothing else
/// meanwhile. The counts are whole all the same, and there is room at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_list_that_has_expired_holds_nobody_up() {
    const COUNT: u32 = 3_000;
    let expiry = Duration::from_millis(1_500);
    let limits = Limits {
        expiry: GlobTable::new(expiry),
        capacity: GlobTable::new(COUNT),
        ..Limits::default()
    };
    let place = Place::new(limits).await;
    let layer = place.connect().await;
    let work = ChannelName::new("work").unwrap();
    let message: Message = Content::encode(&"x".repeat(4_096)).unwrap().into();
    let sent = layer
        .send_many(vec![(work.clone(), message.clone()); COUNT as usize])
        .await;
    assert!(sent.iter().all(Result::is_ok));
    sleep(expiry).await;
    let mut admin = place.admin().await;
    layer.room(&work).await.unwrap();
    layer.send(&work, message).await.unwrap();
    let mut length = redis::cmd("LLEN");
    length.arg("towpath:c:{work}");
    let left: u32 = length.query_async(&mut admin).await.unwrap();
    assert!(
        left >= COUNT - 1,
        "a send dropped more than it needed: {left}"
    );
    let statistics = layer.channel_statistics(&work).await.unwrap();
    assert_eq!(statistics.pending, 1);
    assert_eq!(statistics.expired, u64::from(COUNT));
    assert!(statistics.oldest_age.unwrap() < expiry);
}
