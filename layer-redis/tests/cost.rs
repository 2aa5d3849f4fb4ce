//! What a message costs Redis, in commands. The figures stand in the table of
//! `ARCHITECTURE.md` ("What a message costs Redis"), each with its test here.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test says what it expects by unwrapping"
)]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use redis::aio::MultiplexedConnection;
use support::{Peer, Place};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use towpath_layer_core::{
    ChannelLayer, ChannelName, Content, GroupName, History, Limits, LocalId, Reply,
};
use towpath_layer_redis::RedisLayer;

const STEP_MAX: Duration = Duration::from_secs(30);

/// What a few nodes do besides, however long a test takes: leases, counts, what
/// was taken from inboxes.
const ASIDE: u64 = 40;

/// The scripts of a node in each five seconds, at most: it renews its lease once,
/// looks once at what is delayed, tells ten times what it has counted, and counts
/// off twenty times what it took from its inbox.
const ASIDE_5_S: u64 = 32;

fn channel() -> ChannelName {
    ChannelName::new("websocket.receive").unwrap()
}

/// How often each command was called, by clients or inside scripts.
async fn calls(admin: &mut MultiplexedConnection) -> BTreeMap<String, u64> {
    let mut question = redis::cmd("INFO");
    question.arg("commandstats");
    let statistics: String = question.query_async(admin).await.unwrap();
    let call = |line: &str| {
        let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        let (calls, _) = rest.split_once(',')?;
        Some((name.to_owned(), calls.parse().unwrap()))
    };
    statistics.lines().filter_map(call).collect()
}

/// Counts what some nodes cost from now on.
struct Meter {
    admin: MultiplexedConnection,
    nodes: u64,
    begun: Instant,
}

/// What was counted.
struct Bill {
    calls: BTreeMap<String, u64>,
    aside: u64,
}

impl Meter {
    async fn start(place: &Place, nodes: u64) -> Self {
        let mut admin = place.admin().await;
        let begun = Instant::now();
        let mut reset = redis::cmd("CONFIG");
        reset.arg("RESETSTAT");
        reset.query_async::<()>(&mut admin).await.unwrap();
        Self {
            admin,
            nodes,
            begun,
        }
    }

    async fn read(mut self) -> Bill {
        let calls = calls(&mut self.admin).await;
        let periods = self.begun.elapsed().as_millis().div_ceil(5_000);
        let periods = u64::try_from(periods).unwrap();
        Bill {
            calls,
            aside: ASIDE + self.nodes * ASIDE_5_S * periods,
        }
    }
}

impl Bill {
    fn count(&self, name: &str) -> u64 {
        self.calls.get(name).copied().unwrap_or(0)
    }

    #[track_caller]
    fn exactly(&self, name: &str, expected: u64) {
        assert_eq!(self.count(name), expected, "{name}: {:?}", self.calls);
    }

    /// No more than so many, and what goes on besides.
    #[track_caller]
    fn at_most(&self, name: &str, max: u64) {
        let (found, aside) = (self.count(name), self.aside);
        assert!(
            found <= max + aside,
            "{found} times {name}, for {max} and {aside} aside: {:?}",
            self.calls
        );
    }
}

async fn receive(layer: &RedisLayer, messages: usize, batch: usize) {
    let mut receiver = layer.receiver(vec![channel()]).unwrap();
    let mut buffer = Vec::new();
    while buffer.len() < messages {
        let receive = receiver.receive_many(&mut buffer, batch);
        timeout(STEP_MAX, receive).await.unwrap().unwrap();
    }
    receiver.close().await.unwrap();
}

async fn send(layer: &RedisLayer, messages: usize, batch: usize) {
    for _ in 0..messages / batch {
        let message = Content::encode("hello").unwrap().into();
        let sent = layer.send_many(vec![(channel(), message); batch]).await;
        assert!(sent.iter().all(Result::is_ok));
    }
}

impl Peer {
    /// Makes new connections members of groups.
    async fn join(&self, groups: &[GroupName], members: usize) -> Vec<LocalId> {
        let mut joining = JoinSet::new();
        let mut locals = Vec::new();
        for group in groups {
            for _ in 0..members {
                let (local, name) = self.open();
                locals.push(local);
                let (layer, group) = (Arc::clone(&self.layer), group.clone());
                joining.spawn(async move { layer.group_add(&group, &name, Bytes::new()).await });
            }
        }
        while let Some(joined) = joining.join_next().await {
            joined.unwrap().unwrap();
            self.sink.drain();
        }
        locals
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_costs_one_script_and_one_pop() {
    const MESSAGES: usize = 10_000;
    const BATCH: usize = 100;
    let place = Place::new(Limits::default()).await;
    let (sender, receiver) = (place.connect().await, place.connect().await);
    let meter = Meter::start(&place, 2).await;
    send(&sender, MESSAGES, BATCH).await;
    receive(&receiver, MESSAGES, BATCH).await;
    let bill = meter.read().await;
    let batches = (MESSAGES / BATCH) as u64;
    bill.at_most("evalsha", batches);
    bill.at_most("rpush", batches);
    bill.at_most("blmpop", batches);
    bill.exactly("eval", 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_on_its_own_costs_one_script_and_one_pop_with_a_question() {
    const MESSAGES: u64 = 500;
    let place = Place::new(Limits::default()).await;
    let (sender, receiver) = (place.connect().await, place.connect().await);
    let mut waits = receiver.receiver(vec![channel()]).unwrap();
    let mut buffer = Vec::new();
    let meter = Meter::start(&place, 2).await;
    for _ in 0..MESSAGES {
        send(&sender, 1, 1).await;
        let receive = waits.receive_many(&mut buffer, 1);
        timeout(STEP_MAX, receive).await.unwrap().unwrap();
    }
    let bill = meter.read().await;
    bill.at_most("evalsha", MESSAGES);
    bill.at_most("blmpop", MESSAGES);
    // One beside each pop, one in each script.
    bill.at_most("exists", 2 * MESSAGES);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_many_send_at_the_same_time_goes_together() {
    const SENDERS: u64 = 2_000;
    let place = Place::new(Limits::default()).await;
    let sender = place.connect().await;
    let meter = Meter::start(&place, 1).await;
    let mut sending = JoinSet::new();
    for _ in 0..SENDERS {
        let sender = Arc::clone(&sender);
        sending.spawn(async move { send(&sender, 1, 1).await });
    }
    while let Some(sent) = sending.join_next().await {
        sent.unwrap();
    }
    // While one pipeline is on its way the next one fills.
    meter.read().await.at_most("evalsha", SENDERS / 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_replies_of_a_batch_cost_one_script_for_each_node() {
    const BATCHES: u64 = 50;
    const NODES: usize = 4;
    let place = Place::new(Limits::default()).await;
    let worker = place.connect().await;
    let mut names = Vec::new();
    let mut peers = Vec::new();
    for _ in 0..NODES {
        let peer = Peer::new(&place).await;
        let (local, name) = peer.open();
        names.push(name);
        peers.push((peer, local));
    }
    let meter = Meter::start(&place, 1 + NODES as u64).await;
    for number in 0..BATCHES {
        let reply = Reply::text(number.to_string());
        let batch = names.iter().cycle().take(25 * NODES);
        let batch = batch.map(|name| (name.clone(), reply.clone().into()));
        let sent = worker.send_many(batch.collect()).await;
        assert!(sent.iter().all(Result::is_ok));
        for (peer, local) in &peers {
            for _ in 0..25 {
                assert_eq!(peer.sink.next(*local).await, reply);
            }
        }
    }
    let bill = meter.read().await;
    bill.at_most("evalsha", BATCHES * NODES as u64);
    bill.at_most("rpush", BATCHES * NODES as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_send_costs_one_script_for_each_node_whatever_the_members() {
    const SENDS: u64 = 200;
    const NODES: usize = 4;
    let place = Place::new(Limits::default()).await;
    let sender = place.connect().await;
    let room = [GroupName::new("room").unwrap()];
    let mut peers = Vec::new();
    for _ in 0..NODES {
        let peer = Peer::new(&place).await;
        let members = peer.join(&room, 16).await;
        peers.push((peer, members));
    }
    let meter = Meter::start(&place, 1 + NODES as u64).await;
    for number in 0..SENDS {
        let reply = Reply::text(number.to_string());
        let sent = sender.group_send(&room[0], reply.clone()).await.unwrap();
        assert_eq!((sent.nodes, sent.delivered), (4, 4));
        for (peer, members) in &peers {
            for local in members {
                peer.sink.expect(*local, &reply).await;
            }
        }
    }
    let bill = meter.read().await;
    // With what the receiving nodes do with scripts.
    bill.at_most("evalsha", SENDS * NODES as u64);
    bill.exactly("hgetall", 1);
    bill.exactly("client|caching", 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_send_to_a_group_on_four_nodes_costs_six_commands() {
    const GROUPS: u64 = 100;
    let place = Place::new(Limits::default()).await;
    let sender = place.connect().await;
    let name = |number| GroupName::new(format!("room-{number}")).unwrap();
    let groups: Vec<_> = (0..GROUPS).map(name).collect();
    let mut peers = Vec::new();
    for _ in 0..4 {
        let peer = Peer::new(&place).await;
        peer.join(&groups, 1).await;
        peers.push(peer);
    }
    let meter = Meter::start(&place, 5).await;
    for group in &groups {
        let sent = sender
            .group_send(group, Reply::text("hello"))
            .await
            .unwrap();
        assert_eq!((sent.nodes, sent.delivered), (4, 4));
    }
    let bill = meter.read().await;
    bill.at_most("evalsha", 4 * GROUPS);
    bill.exactly("hgetall", GROUPS);
    bill.exactly("client|caching", GROUPS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_waits_costs_next_to_nothing() {
    let place = Place::new(Limits::default()).await;
    let peer = Peer::new(&place).await;
    let mut receiver = peer.layer.receiver(vec![channel()]).unwrap();
    let meter = Meter::start(&place, 1).await;
    let mut buffer = Vec::new();
    let quiet = timeout(
        Duration::from_secs(6),
        receiver.receive_many(&mut buffer, 10),
    );
    assert!(quiet.await.is_err(), "nothing was sent");
    let Bill { calls, .. } = meter.read().await;
    let all: u64 = calls.values().sum();
    assert!(all <= 60, "{all} commands in six quiet seconds: {calls:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publish_costs_one_script_and_one_for_each_node() {
    const MESSAGES: u64 = 500;
    const NODES: u64 = 2;
    let place = Place::new(Limits::default()).await;
    let sender = place.connect().await;
    let peers = [Peer::new(&place).await, Peer::new(&place).await];
    let group = [GroupName::new("room").unwrap()];
    for peer in &peers {
        peer.join(&group, 20).await;
    }
    let history = History {
        size: 50,
        ttl: Duration::from_mins(1),
    };
    let meter = Meter::start(&place, 1 + NODES).await;
    for _ in 0..MESSAGES {
        let published = sender.group_publish(&group[0], Reply::text("a"), &history);
        assert_eq!(u64::from(published.await.unwrap().0.delivered), NODES);
        peers.iter().for_each(|peer| peer.sink.drain());
    }
    let bill = meter.read().await;
    bill.at_most("evalsha", MESSAGES * (1 + NODES));
    bill.at_most("hgetall", MESSAGES);
    bill.at_most("ltrim", MESSAGES);
}
