//! Groups that become empty and full again all the time: who is a member gets
//! what is sent, whoever sends it, and what nobody needs is cleared away.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test says what it expects by unwrapping"
)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use support::Place;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use towpath_layer_core::{ChannelLayer, ChannelName, GroupName, Limits, LocalId, Reply};
use towpath_layer_redis::RedisLayer;
use towpath_testkit::CollectingSink;

const NODES: usize = 3;
const TASKS: usize = 12;
const ROUNDS: usize = 150;
const GROUPS: usize = 2;
const STEP_MAX: Duration = Duration::from_secs(15);
const AGAIN: Duration = Duration::from_millis(1);

#[derive(Clone)]
struct Peer {
    layer: Arc<RedisLayer>,
    sink: Arc<CollectingSink>,
}

impl Peer {
    async fn new(place: &Place) -> Self {
        let layer = place.connect().await;
        let sink = Arc::new(CollectingSink::new(layer.limits()));
        layer.attach(sink.clone()).await.unwrap();
        Self { layer, sink }
    }

    /// Waits until a connection gets a reply, among others.
    async fn gets(&self, local: LocalId, reply: &Reply) {
        let begin = Instant::now();
        while !self.sink.replies(local).contains(reply) {
            assert!(begin.elapsed() < STEP_MAX, "{reply:?} did not come");
            sleep(AGAIN).await;
        }
    }
}

fn group(number: usize) -> GroupName {
    GroupName::new(format!("group-{number}")).unwrap()
}

/// Joins, hears itself, leaves, and hears no more; from any node.
async fn come_and_go(peers: [Peer; NODES], task: usize) {
    let own = &peers[task % NODES];
    for round in 0..ROUNDS {
        let any = |step: usize| &peers[(task + round * step + step) % NODES].layer;
        let room = group((task + round) % GROUPS);
        let local = own.sink.open();
        let name = ChannelName::reply(own.layer.node(), local);
        any(1).group_add(&room, &name, Bytes::new()).await.unwrap();
        let during = Reply::text(format!("{task} {round} during"));
        let sent = any(2).group_send(&room, during.clone()).await.unwrap();
        assert!(sent.delivered >= 1 && sent.dropped == 0, "{sent:?}");
        own.gets(local, &during).await;
        if round % 2 == 0 {
            any(5).group_discard(&room, &name).await.unwrap();
        } else {
            any(5).discard_all(&name).await.unwrap();
        }
        let after = Reply::text(format!("{task} {round} after"));
        any(4).group_send(&room, after.clone()).await.unwrap();
        let last = Reply::text(format!("{task} {round} last"));
        any(7).send(&name, last.clone().into()).await.unwrap();
        let begin = Instant::now();
        let mut heard = Vec::new();
        while !heard.contains(&last) {
            assert!(begin.elapsed() < STEP_MAX, "{last:?} did not come");
            heard.extend(own.sink.replies(local));
            sleep(AGAIN).await;
        }
        assert!(!heard.contains(&after), "heard after it had left");
        own.sink.close(local);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn members_that_come_and_go_in_small_groups_hear_what_is_for_them() {
    let place = Place::new(Limits::default()).await;
    let peers = [
        Peer::new(&place).await,
        Peer::new(&place).await,
        Peer::new(&place).await,
    ];
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        tasks.spawn(come_and_go(peers.clone(), task));
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    // Nobody is left, and the registries are empty once the fences are through.
    let mut admin = place.admin().await;
    let begin = Instant::now();
    loop {
        let left: Vec<String> = redis::cmd("KEYS")
            .arg("towpath:g:*")
            .query_async(&mut admin)
            .await
            .unwrap();
        if left.is_empty() {
            break;
        }
        assert!(begin.elapsed() < STEP_MAX, "left in the registry: {left:?}");
        sleep(AGAIN).await;
    }
    assert!(peers[0].layer.groups().await.unwrap().is_empty());
    assert_eq!(peers.map(|peer| peer.sink.seen().gaps), [0; NODES]);
}
