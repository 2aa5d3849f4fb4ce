//! Who is here, after troubles: a node that was paused, a layer out of reach,
//! messages that did not arrive.

use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use towpath_interface_server::ServerConfig;
use towpath_layer_core::{
    ChannelLayer, Event, GroupName, Limits, Member, Reply, TopicReply, channels,
};
use towpath_testkit::{Trouble, Troubled};

use super::presence::{TOPIC, Watcher, enter, track, untrack, watch};
use super::stage::{Stage, json};
use crate::rig::{Rig, config, layer, until};

/// Longer than any test: what is told is told without a beat.
const NO_BEAT: Duration = Duration::from_mins(30);

/// A lease, and a third of it from beat to beat, that a test can wait for.
const SHORT: Duration = Duration::from_millis(600);

fn limits(lease: Duration) -> Limits {
    Limits {
        lease,
        ..Limits::default()
    }
}

/// A server with one shard, whose own calls of the layer have troubles.
async fn troubled(memory: Arc<towpath_layer_memory::MemoryLayer>) -> (Rig, Arc<Troubled>) {
    let troubled = Troubled::new(memory.clone());
    let same = Arc::clone(&troubled) as Arc<dyn ChannelLayer>;
    let config = ServerConfig {
        shards: 1,
        ..config()
    };
    let rig = Rig::start_on(config, memory, same, None, None).await;
    (rig, troubled)
}

/// Two nodes, each with its troubles; the stage is the first's.
struct Pair {
    stage: Stage,
    here: Arc<Troubled>,
    other: Rig,
    there: Arc<Troubled>,
}

impl Pair {
    async fn start(limits: Limits) -> Self {
        let (rig, here) = troubled(layer(limits)).await;
        let (other, there) = troubled(rig.layer.another_node()).await;
        let worker = rig.worker();
        Self {
            stage: Stage { rig, worker },
            here,
            other,
            there,
        }
    }

    async fn watcher_here(&mut self, key: &str) -> Watcher {
        Watcher::enter(&mut self.stage, vec![track(key, "{}"), watch(true)]).await
    }

    async fn watcher_there(&mut self, key: &str) -> Watcher {
        let said = vec![track(key, "{}"), watch(true)];
        enter(&mut self.stage, &self.other, said).await
    }
}

async fn stored(rig: &Rig) -> Vec<Member> {
    let group = GroupName::presences(TOPIC);
    let members = rig.layer.group_members(&group);
    members.try_collect().await.unwrap()
}

#[tokio::test]
async fn whoever_comes_to_a_topic_of_a_node_that_was_paused_is_seen_by_the_others() {
    let mut pair = Pair::start(limits(SHORT)).await;
    let mut ada = pair.watcher_here("ada").await;
    let mut bob = pair.watcher_there("bob").await;
    bob.sees(&[("ada", 1), ("bob", 1)]).await;
    ada.sees(&[("ada", 1), ("bob", 1)]).await;
    pair.here.set(Trouble::Alone);
    ada.sees(&[("ada", 1)]).await;
    // Nobody is present there when the node hears that it was taken for dead.
    bob.say(&pair.stage.worker, vec![untrack("bob")]).await;
    bob.sees(&[("ada", 1)]).await;
    pair.here.set(Trouble::None);
    pair.there.sink().memberships().await;
    bob.say(&pair.stage.worker, vec![track("bob", "{}")]).await;
    ada.sees(&[("ada", 1), ("bob", 1)]).await;
}

/// Changes a presence so many times.
async fn update(stage: &Stage, join: &Event, key: &str, times: usize) {
    for at in 0..times.div_ceil(1000) {
        let number = (times - at * 1000).min(1000);
        let reply = Reply {
            topic: vec![track(key, "{}"); number],
            ..Reply::default()
        };
        stage.worker.reply(join, reply).await;
    }
}

/// Waits until a node has done what its worker said before.
async fn heard(stage: &Stage, watcher: &mut Watcher) {
    let event = "heard".into();
    let payload = json("{}");
    let push = TopicReply::Push { event, payload };
    watcher.say(&stage.worker, vec![push]).await;
    assert!(watcher.client.text().await.contains("heard"));
}

#[tokio::test]
async fn who_left_while_the_layer_was_away_does_not_stay_in_the_store() {
    for overflows in [true, false] {
        let (rig, away) = troubled(layer(limits(NO_BEAT))).await;
        let worker = rig.worker();
        let mut stage = Stage { rig, worker };
        let mut bob = Watcher::enter(&mut stage, vec![track("bob", "{}")]).await;
        let cyd = Watcher::enter(&mut stage, vec![track("cyd", "{}")]).await;
        until(async || stored(&stage.rig).await.len() == 2).await;
        away.set(Trouble::Away);
        // More than are stored at one time, and then more than may wait.
        update(&stage, &cyd.join, "cyd", 100).await;
        bob.say(&stage.worker, vec![untrack("bob")]).await;
        if overflows {
            update(&stage, &cyd.join, "cyd", 5000).await;
        }
        heard(&stage, &mut bob).await;
        if !overflows {
            away.sink().memberships().await;
        }
        away.set(Trouble::None);
        until(async || stored(&stage.rig).await.len() == 1).await;
        let left = stored(&stage.rig).await;
        assert_eq!(left[0].channel, cyd.join.reply_channel);
    }
}

#[tokio::test]
async fn a_beat_that_nobody_heard_is_repeated() {
    let mut pair = Pair::start(limits(SHORT)).await;
    let mut ada = pair.watcher_here("ada").await;
    let mut bob = pair.watcher_there("bob").await;
    ada.sees(&[("ada", 1), ("bob", 1)]).await;
    pair.there.set(Trouble::Mute);
    bob.say(&pair.stage.worker, vec![untrack("bob")]).await;
    until(async || stored(&pair.stage.rig).await.len() == 1).await;
    // For some beats.
    tokio::time::sleep(SHORT).await;
    // Nothing else was told her meanwhile.
    heard(&pair.stage, &mut ada).await;
    pair.there.set(Trouble::None);
    ada.sees(&[("ada", 1)]).await;
}

#[tokio::test]
async fn presences_that_do_not_go_into_one_message_are_read() {
    let limits = Limits {
        message_size_max: 16 << 10,
        ..limits(NO_BEAT)
    };
    let mut pair = Pair::start(limits).await;
    let mut ada = pair.watcher_here("ada").await;
    let meta = format!(r#"{{"long":"{}"}}"#, "x".repeat(3500));
    let keys = ["bo1", "bo2", "bo3", "bo4", "bo5", "bo6"];
    let mut bobs = Vec::new();
    for key in keys {
        let said = vec![track(key, &meta)];
        bobs.push(enter(&mut pair.stage, &pair.other, said).await);
    }
    let mut all = vec![("ada", 1)];
    all.extend(keys.map(|key| (key, 1)));
    ada.sees(&all).await;
    pair.there.set(Trouble::Mute);
    // One leaves unheard; then all there is, is said.
    bobs[0].say(&pair.stage.worker, vec![untrack("bo1")]).await;
    until(async || stored(&pair.stage.rig).await.len() == 6).await;
    heard(&pair.stage, &mut bobs[0]).await;
    pair.there.set(Trouble::None);
    pair.there.sink().memberships().await;
    all.remove(1);
    ada.sees(&all).await;
}

#[tokio::test]
async fn a_drain_does_not_wait_for_a_layer_that_stays_away() {
    let mut limits = limits(SHORT);
    let soon = Duration::from_millis(300);
    limits.expiry = limits.expiry.rule(channels::DISCONNECT, soon);
    let (rig, away) = troubled(layer(limits)).await;
    let worker = rig.worker();
    let mut stage = Stage { rig, worker };
    let mut bob = Watcher::enter(&mut stage, vec![track("bob", "{}")]).await;
    until(async || stored(&stage.rig).await.len() == 1).await;
    away.set(Trouble::Away);
    let update = track("bob", r#"{"at":2}"#);
    bob.say(&stage.worker, vec![update]).await;
    heard(&stage, &mut bob).await;
    // It may take 30 seconds, which is longer than the test's patience.
    stage.rig.end().await;
}
