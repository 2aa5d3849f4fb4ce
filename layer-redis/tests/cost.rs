//! What a message costs Redis, in commands.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what it expects by unwrapping"
)]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use redis::aio::MultiplexedConnection;
use support::Place;
use tokio::time::timeout;
use towpath_layer_core::{ChannelLayer, ChannelName, Content, GroupName, Limits, Reply};
use towpath_layer_redis::RedisLayer;
use towpath_testkit::CollectingSink;

const STEP_MAX: Duration = Duration::from_secs(30);

fn channel() -> ChannelName {
    ChannelName::new("websocket.receive").unwrap()
}

/// How often clients called each command; what scripts call is not a round trip
/// and is left out by asking for the scripts only.
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

async fn reset(admin: &mut MultiplexedConnection) {
    let mut reset = redis::cmd("CONFIG");
    reset.arg("RESETSTAT");
    reset.query_async::<()>(admin).await.unwrap();
}

fn count(calls: &BTreeMap<String, u64>, name: &str) -> u64 {
    calls.get(name).copied().unwrap_or(0)
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_costs_one_script_and_one_pop() {
    const MESSAGES: usize = 10_000;
    const BATCH: usize = 100;
    let place = Place::new(Limits::default()).await;
    let (sender, receiver) = (place.connect().await, place.connect().await);
    let mut admin = place.admin().await;
    reset(&mut admin).await;
    send(&sender, MESSAGES, BATCH).await;
    receive(&receiver, MESSAGES, BATCH).await;
    let calls = calls(&mut admin).await;
    let batches = (MESSAGES / BATCH) as u64;
    // One to send, one to count what was received; a few for the lease.
    let scripts = count(&calls, "evalsha");
    assert!(scripts <= 2 * batches + 20, "{scripts} scripts: {calls:?}");
    let pops = count(&calls, "blmpop");
    assert!(pops <= batches + 5, "{pops} pops: {calls:?}");
    assert_eq!(count(&calls, "eval"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_on_its_own_costs_two_scripts_and_one_pop() {
    const MESSAGES: u64 = 500;
    let place = Place::new(Limits::default()).await;
    let (sender, receiver) = (place.connect().await, place.connect().await);
    let mut admin = place.admin().await;
    let mut waits = receiver.receiver(vec![channel()]).unwrap();
    let mut buffer = Vec::new();
    reset(&mut admin).await;
    for _ in 0..MESSAGES {
        send(&sender, 1, 1).await;
        let receive = waits.receive_many(&mut buffer, 1);
        timeout(STEP_MAX, receive).await.unwrap().unwrap();
    }
    let calls = calls(&mut admin).await;
    let scripts = count(&calls, "evalsha");
    assert!(scripts <= 2 * MESSAGES + 20, "{scripts} scripts: {calls:?}");
    let pops = count(&calls, "blmpop");
    assert!(pops <= MESSAGES + 5, "{pops} pops: {calls:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_send_costs_one_look_and_one_script_whatever_the_members() {
    const SENDS: u64 = 100;
    let place = Place::new(Limits::default()).await;
    let layer = place.connect().await;
    let sink = Arc::new(CollectingSink::new(layer.limits()));
    layer.attach(sink.clone()).await.unwrap();
    let room = GroupName::new("room").unwrap();
    let mut members = Vec::new();
    for _ in 0..200 {
        let local = sink.open();
        let name = ChannelName::reply(layer.node(), local);
        layer.group_add(&room, &name, Bytes::new()).await.unwrap();
        members.push(local);
    }
    let mut admin = place.admin().await;
    reset(&mut admin).await;
    for number in 0..SENDS {
        let reply = Reply::text(number.to_string());
        let sent = layer.group_send(&room, reply.clone()).await.unwrap();
        assert_eq!((sent.nodes, sent.delivered), (1, 1));
        for local in &members {
            sink.expect(*local, &reply).await;
        }
    }
    let calls = calls(&mut admin).await;
    assert_eq!(count(&calls, "hgetall"), SENDS);
    // One to push, one for each step of the pump.
    let scripts = count(&calls, "evalsha");
    assert!(scripts <= 2 * SENDS + 20, "{scripts} scripts: {calls:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_waits_costs_next_to_nothing() {
    let place = Place::new(Limits::default()).await;
    let layer = place.connect().await;
    let sink = Arc::new(CollectingSink::new(layer.limits()));
    layer.attach(sink).await.unwrap();
    let mut receiver = layer.receiver(vec![channel()]).unwrap();
    let mut admin = place.admin().await;
    reset(&mut admin).await;
    let mut buffer = Vec::new();
    let quiet = timeout(
        Duration::from_secs(2),
        receiver.receive_many(&mut buffer, 10),
    );
    assert!(quiet.await.is_err(), "nothing was sent");
    let calls = calls(&mut admin).await;
    let all: u64 = calls.values().sum();
    assert!(all <= 20, "{all} commands in two quiet seconds: {calls:?}");
}
