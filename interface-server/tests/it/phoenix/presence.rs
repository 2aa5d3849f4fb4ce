//! Who is here: state, then differences, on one node and between two.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use towpath_layer_core::{ChannelLayer, Event, Limits, TopicReply, Tracking};

use super::stage::{Stage, answer};
use crate::client::Client;
use crate::rig::{Rig, Worker, config};

pub(super) const TOPIC: &str = "room:1";

pub(super) fn track(key: &str, meta: &str) -> TopicReply {
    TopicReply::Tracking(Tracking::Track {
        topic: TOPIC.into(),
        key: key.into(),
        meta: meta.into(),
    })
}

pub(super) fn untrack(key: &str) -> TopicReply {
    TopicReply::Tracking(Tracking::Untrack {
        topic: TOPIC.into(),
        key: key.into(),
    })
}

pub(super) fn watch(diffs: bool) -> TopicReply {
    TopicReply::Tracking(Tracking::Watch {
        topic: TOPIC.into(),
        diffs,
    })
}

/// A client that has joined, and what it knows of who is here: for each key the
/// references of its metas.
pub(super) struct Watcher {
    pub(super) client: Client,
    pub(super) join: Event,
    pub(super) here: BTreeMap<String, Vec<String>>,
    /// Every difference that it was told.
    pub(super) diffs: Vec<Value>,
}

impl Watcher {
    pub(super) async fn enter(stage: &mut Stage, said: Vec<TopicReply>) -> Self {
        let (client, join) = stage.joined(TOPIC).await;
        let mut watcher = Self {
            client,
            join,
            here: BTreeMap::new(),
            diffs: Vec::new(),
        };
        watcher.say(&stage.worker, said).await;
        watcher
    }

    pub(super) async fn say(&mut self, worker: &Worker, said: Vec<TopicReply>) {
        let reply = towpath_layer_core::Reply {
            topic: said,
            ..Default::default()
        };
        worker.reply(&self.join, reply).await;
    }

    /// Takes the next message, which is a state or a difference.
    pub(super) async fn hear(&mut self) {
        let text = self.client.text().await;
        let frame: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(frame[2], TOPIC, "{text}");
        let payload = &frame[4];
        match frame[3].as_str().unwrap() {
            "presence_state" => self.here = keys(payload),
            "presence_diff" => {
                for (key, joined) in keys(&payload["joins"]) {
                    for reference in joined {
                        let metas = self.here.entry(key.clone()).or_default();
                        assert!(!metas.contains(&reference), "told twice: {text}");
                        metas.push(reference);
                    }
                }
                for (key, left) in keys(&payload["leaves"]) {
                    let metas = self.here.get_mut(&key).unwrap();
                    for reference in left {
                        let at = metas.iter().position(|known| *known == reference);
                        metas.remove(at.unwrap_or_else(|| panic!("nobody left: {text}")));
                    }
                    self.here.retain(|_, metas| !metas.is_empty());
                }
                self.diffs.push(payload.clone());
            }
            other => panic!("{other}"),
        }
    }

    /// Listens until exactly these are here, by keys and how often.
    pub(super) async fn sees(&mut self, expected: &[(&str, usize)]) {
        loop {
            let here: Vec<_> = self
                .here
                .iter()
                .map(|(key, metas)| (&**key, metas.len()))
                .collect();
            if here == expected {
                return;
            }
            self.hear().await;
        }
    }
}

fn keys(object: &Value) -> BTreeMap<String, Vec<String>> {
    let references = |metas: &Value| {
        let metas = metas["metas"].as_array().unwrap().iter();
        metas
            .map(|meta| meta["phx_ref"].as_str().unwrap().to_owned())
            .collect()
    };
    let all = object.as_object().unwrap().iter();
    all.map(|(key, metas)| (key.clone(), references(metas)))
        .collect()
}

#[tokio::test]
async fn whoever_watches_is_told_the_state_and_then_what_changes() {
    let mut stage = Stage::start().await;
    let ada = vec![track("ada", r#"{"at":1}"#), watch(true)];
    let mut ada = Watcher::enter(&mut stage, ada).await;
    ada.sees(&[("ada", 1)]).await;
    let bob = vec![watch(true), track("bob", "{}")];
    let mut bob = Watcher::enter(&mut stage, bob).await;
    bob.sees(&[("ada", 1), ("bob", 1)]).await;
    ada.sees(&[("ada", 1), ("bob", 1)]).await;
    // A second tab, an update, and its end.
    let tab = Watcher::enter(&mut stage, vec![track("bob", "{}")]).await;
    ada.sees(&[("ada", 1), ("bob", 2)]).await;
    let told = ada.diffs.len();
    bob.say(&stage.worker, vec![track("bob", r#"{"at":2}"#)])
        .await;
    ada.hear().await;
    let [diff] = &ada.diffs[told..] else {
        panic!("one difference");
    };
    let (joined, left) = (
        &diff["joins"]["bob"]["metas"][0],
        &diff["leaves"]["bob"]["metas"][0],
    );
    assert_eq!(
        (&joined["at"], &joined["phx_ref_prev"]),
        (&2.into(), &left["phx_ref"])
    );
    bob.say(&stage.worker, vec![untrack("bob")]).await;
    ada.sees(&[("ada", 1), ("bob", 1)]).await;
    drop(tab);
    ada.sees(&[("ada", 1)]).await;
    bob.sees(&[("ada", 1)]).await;
}

#[tokio::test]
async fn whoever_wants_no_differences_is_told_the_state_alone() {
    let mut stage = Stage::start().await;
    let mut quiet = Watcher::enter(&mut stage, vec![track("ada", "{}"), watch(false)]).await;
    quiet.sees(&[("ada", 1)]).await;
    let mut other = Watcher::enter(&mut stage, vec![track("bob", "{}"), watch(true)]).await;
    other.sees(&[("ada", 1), ("bob", 1)]).await;
    quiet.client.send(r#"["1","2","room:1","ask",{}]"#).await;
    let ask = stage.worker.next().await;
    stage.complete(&ask, vec![answer(&ask, "{}")]).await;
    assert!(quiet.client.text().await.contains("phx_reply"));
}

#[tokio::test]
async fn changes_among_many_watchers_are_told_together() {
    let mut stage = Stage::start().await;
    let mut watchers = Vec::new();
    for number in 0..100 {
        let said = vec![track(&format!("user{number:02}"), "{}"), watch(true)];
        watchers.push(Watcher::enter(&mut stage, said).await);
    }
    let expected: Vec<String> = (0..100).map(|number| format!("user{number:02}")).collect();
    let expected: Vec<(&str, usize)> = expected.iter().map(|key| (&**key, 1)).collect();
    for watcher in &mut watchers {
        watcher.sees(&expected).await;
    }
}

/// A client of another node; one worker serves both.
pub(super) async fn enter(stage: &mut Stage, rig: &Rig, said: Vec<TopicReply>) -> Watcher {
    let path = "/socket/websocket?vsn=2.0.0";
    let (mut client, _) = tokio::join!(rig.connect(path), stage.worker.welcome());
    let join = stage.join(&mut client, TOPIC).await;
    let mut watcher = Watcher {
        client,
        join,
        here: BTreeMap::new(),
        diffs: Vec::new(),
    };
    watcher.say(&stage.worker, said).await;
    watcher
}

#[tokio::test]
async fn a_node_that_dies_takes_its_users_along_once() {
    let limits = Limits {
        lease: Duration::from_millis(600),
        ..Limits::default()
    };
    let rig = Rig::start_with(config(), limits, None, None).await;
    let layer = rig.layer.another_node();
    let same = Arc::clone(&layer) as Arc<dyn ChannelLayer>;
    let other = Rig::start_on(config(), layer, same, None, None).await;
    let worker = rig.worker();
    let mut stage = Stage { rig, worker };
    let mut ada = Watcher::enter(&mut stage, vec![track("ada", "{}"), watch(true)]).await;
    ada.sees(&[("ada", 1)]).await;
    let mut bob = enter(&mut stage, &other, vec![track("bob", "{}"), watch(true)]).await;
    bob.sees(&[("ada", 1), ("bob", 1)]).await;
    ada.sees(&[("ada", 1), ("bob", 1)]).await;
    other.layer.abandon();
    ada.sees(&[("ada", 1)]).await;
    let leaves = ada
        .diffs
        .iter()
        .filter(|diff| !diff["leaves"]["bob"].is_null());
    assert_eq!(leaves.count(), 1);
}
