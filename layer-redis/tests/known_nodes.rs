//! Whoever sends to a group remembers its nodes, and hears of every change in time.

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
use towpath_layer_core::{ChannelLayer, ChannelName, Delivery, GroupName, Limits, LocalId, Reply};
use towpath_layer_redis::RedisLayer;

const STEP_MAX: Duration = Duration::from_secs(15);
const AGAIN: Duration = Duration::from_millis(1);

fn room() -> GroupName {
    GroupName::new("room").unwrap()
}

impl Peer {
    async fn join(&self) -> (LocalId, ChannelName) {
        let local = self.sink.open();
        let name = ChannelName::reply(self.layer.node(), local);
        let begin = Instant::now();
        // Without a connection it is refused, until there is one again.
        while let Err(error) = self.layer.group_add(&room(), &name, Bytes::new()).await {
            assert!(begin.elapsed() < STEP_MAX, "{error}");
            sleep(AGAIN).await;
        }
        (local, name)
    }
}

/// Sends once it can.
async fn send(layer: &RedisLayer, reply: &Reply) -> Delivery {
    let begin = Instant::now();
    loop {
        match layer.group_send(&room(), reply.clone()).await {
            Ok(delivery) => return delivery,
            Err(error) => assert!(begin.elapsed() < STEP_MAX, "{error}"),
        }
        sleep(AGAIN).await;
    }
}

async fn ask<T: redis::FromRedisValue>(admin: &mut MultiplexedConnection, words: &[&str]) -> T {
    let mut command = redis::Cmd::new();
    command.arg(words);
    command.query_async(admin).await.unwrap()
}

/// How often registries were read.
async fn readings(admin: &mut MultiplexedConnection) -> usize {
    let statistics: String = ask(admin, &["INFO", "commandstats"]).await;
    let calls = statistics.split("cmdstat_hgetall:calls=").nth(1);
    let number = calls.and_then(|rest| rest.split(',').next());
    number.map_or(0, |number| number.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_on_a_new_node_is_reached_by_the_next_send() {
    let place = Place::new(Limits::default()).await;
    let (first, second) = (Peer::new(&place).await, Peer::new(&place).await);
    let sender = place.connect().await;
    first.join().await;
    for round in 0..200 {
        let alone = Reply::text(format!("{round} alone"));
        send(&sender, &alone).await;
        let (local, name) = second.join().await;
        let both = Reply::text(format!("{round} both"));
        let sent = send(&sender, &both).await;
        assert_eq!((sent.nodes, sent.delivered), (2, 2), "round {round}");
        second.sink.expect(local, &both).await;
        second.layer.group_discard(&room(), &name).await.unwrap();
        let after = Reply::text(format!("{round} after"));
        send(&sender, &after).await;
        second.sink.drain();
        assert!(second.sink.replies(local).is_empty());
        second.sink.close(local);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changed_while_the_connection_was_gone_is_not_missed() {
    let place = Place::new(Limits::default()).await;
    let (first, second) = (Peer::new(&place).await, Peer::new(&place).await);
    let sender = place.connect().await;
    first.join().await;
    let mut admin = place.admin().await;
    for round in 0..20 {
        send(&sender, &Reply::text(format!("{round} alone"))).await;
        let kill = ["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"];
        ask::<i64>(&mut admin, &kill).await;
        let (local, name) = second.join().await;
        let both = Reply::text(format!("{round} both"));
        let sent = send(&sender, &both).await;
        assert_eq!((sent.nodes, sent.delivered), (2, 2), "round {round}");
        second.sink.expect(local, &both).await;
        second.layer.group_discard(&room(), &name).await.unwrap();
        second.sink.close(local);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_may_not_be_told_of_changes_reads_each_time() {
    const SENDS: usize = 20;
    let place = Place::new(Limits::default()).await;
    let peer = Peer::new(&place).await;
    peer.join().await;
    let told = place.connect().await;
    let mut admin = place.admin().await;
    let deny = ["ACL", "SETUSER", "default", "-client|tracking"];
    ask::<()>(&mut admin, &deny).await;
    let untold = place.connect().await;
    for (sender, expected) in [(told, 1), (untold, SENDS)] {
        ask::<()>(&mut admin, &["CONFIG", "RESETSTAT"]).await;
        for _ in 0..SENDS {
            assert_eq!(send(&sender, &Reply::text("hello")).await.delivered, 1);
        }
        assert_eq!(readings(&mut admin).await, expected);
    }
}
