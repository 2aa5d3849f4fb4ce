//! History: what a client is told that comes back.

use std::time::Duration;

use serde_json::Value;
use towpath_layer_core::{
    Broadcast, ChannelLayer, Event, GroupName, History, Reply, Resume, TopicReply,
};

use super::stage::{Stage, json};
use crate::client::Client;

pub(super) const TOPIC: &str = "room:1";
const KEPT: History = History {
    size: 5,
    ttl: Duration::from_secs(60),
};

fn resume(last_seen_id: Option<&str>, latest: u32, stream: Option<&str>) -> TopicReply {
    TopicReply::Resume(Box::new(Resume {
        topic: TOPIC.into(),
        last_seen_id: last_seen_id.map(Into::into),
        latest,
        from: None,
        member: stream.map(Into::into),
    }))
}

impl Stage {
    async fn publish(&self, number: u64) {
        self.publish_to(TOPIC, number).await;
    }

    pub(super) async fn publish_to(&self, topic: &str, number: u64) {
        let broadcast = Broadcast {
            topic: topic.into(),
            event: "said".into(),
            payload: json(&format!(r#"{{"n":{number}}}"#)),
            except: None,
        };
        let reply = Reply {
            topic: vec![TopicReply::Broadcast(broadcast)],
            ..Reply::default()
        };
        let group = GroupName::topic(topic);
        self.rig
            .layer
            .group_publish(&group, reply, &KEPT)
            .await
            .unwrap();
    }

    /// Asks to join; the join waits, with its topic's group joined.
    pub(super) async fn asked(&mut self, client: &mut Client) -> Event {
        client.send(r#"["1","1","room:1","phx_join",{}]"#).await;
        let join = self.worker.next().await;
        let group = GroupName::topic(TOPIC);
        self.rig
            .layer
            .group_add(&group, &join.reply_channel, "".into())
            .await
            .unwrap();
        join
    }

    /// Lets a client join that has seen something, or nothing; the answer.
    pub(super) async fn resumed(
        &mut self,
        client: &mut Client,
        seen: Option<&str>,
        latest: u32,
    ) -> Value {
        let join = self.asked(client).await;
        self.welcome_back(&join, seen, latest).await;
        response(client).await
    }

    pub(super) async fn welcome_back(&self, join: &Event, seen: Option<&str>, latest: u32) {
        let joined = TopicReply::Joined {
            response: json(r#"{"hello":1}"#),
        };
        self.complete(join, vec![resume(seen, latest, None), joined])
            .await;
    }
}

pub(super) async fn response(client: &mut Client) -> Value {
    let text = client.text().await;
    let frame: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(frame[3], "phx_reply", "{text}");
    assert_eq!(frame[4]["status"], "ok", "{text}");
    assert_eq!(frame[4]["response"]["hello"], 1, "{text}");
    frame[4]["response"].clone()
}

/// The number of the next message, and where it stands.
pub(super) async fn said(client: &mut Client) -> (u64, String) {
    let text = client.text().await;
    let frame: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(frame[3], "said", "{text}");
    let id = frame[4]["last_seen_id"].as_str().unwrap().to_owned();
    (frame[4]["n"].as_u64().unwrap(), id)
}

#[tokio::test]
async fn a_client_that_comes_back_is_told_what_it_missed_and_then_goes_on() {
    let mut stage = Stage::start().await;
    let mut client = stage.connect().await;
    let first = stage.resumed(&mut client, None, 0).await;
    assert_eq!(first["resync"], false);
    stage.publish(1).await;
    let (number, seen) = said(&mut client).await;
    assert_eq!(number, 1);
    for number in 2..=4 {
        stage.publish(number).await;
    }
    let mut again = stage.connect().await;
    let answer = stage.resumed(&mut again, Some(&seen), 0).await;
    assert_eq!(answer["resync"], false);
    for expected in 2..=4 {
        assert_eq!(said(&mut again).await.0, expected);
    }
    stage.publish(5).await;
    assert_eq!(said(&mut again).await.0, 5);
}

#[tokio::test]
async fn nothing_is_missed_and_nothing_told_twice_while_a_client_joins() {
    let mut stage = Stage::start().await;
    let mut client = stage.connect().await;
    stage.publish(1).await;
    let join = stage.asked(&mut client).await;
    // Told to everybody before the join is answered: held, and recalled, too.
    for number in 2..=4 {
        stage.publish(number).await;
    }
    stage.welcome_back(&join, None, 2).await;
    for number in 5..=40 {
        stage.publish(number).await;
    }
    response(&mut client).await;
    let mut last = said(&mut client).await.0;
    assert!(last > 1);
    while last < 40 {
        let (next, _) = said(&mut client).await;
        assert_eq!(next, last + 1);
        last = next;
    }
}

#[tokio::test]
async fn a_gap_larger_than_the_history_is_said() {
    let mut stage = Stage::start().await;
    let mut client = stage.connect().await;
    stage.resumed(&mut client, None, 0).await;
    stage.publish(1).await;
    let (_, seen) = said(&mut client).await;
    for number in 2..=8 {
        stage.publish(number).await;
    }
    let mut clients = Vec::new();
    // What is kept follows the answer; for what is no position at all, the latest.
    for (unknown, stands) in [
        (&*seen, "-3"),
        ("0000000000000000-3", "-3"),
        ("garbage", "-7"),
    ] {
        let mut again = stage.connect().await;
        let answer = stage.resumed(&mut again, Some(unknown), 1).await;
        assert_eq!(answer["resync"], true, "{unknown}");
        assert!(
            answer["last_seen_id"].as_str().unwrap().ends_with(stands),
            "{unknown}: {answer}"
        );
        // Gone, it would have its end told to the worker.
        clients.push(again);
    }
}

#[tokio::test]
async fn one_who_has_seen_nothing_is_told_the_latest_if_its_consumer_says_so() {
    let mut stage = Stage::start().await;
    for number in 1..=4 {
        stage.publish(number).await;
    }
    let mut client = stage.connect().await;
    stage.resumed(&mut client, None, 2).await;
    assert_eq!(said(&mut client).await.0, 3);
    assert_eq!(said(&mut client).await.0, 4);
}

#[tokio::test]
async fn one_who_has_seen_nothing_misses_nothing_since_it_began_to_join() {
    let mut stage = Stage::start().await;
    for number in 1..=3 {
        stage.publish(number).await;
    }
    let group = GroupName::topic(TOPIC);
    let before = stage.rig.layer.group_history(&group, None, 0).await;
    let before = before.unwrap().position;
    for number in 4..=5 {
        stage.publish(number).await;
    }
    let mut client = stage.connect().await;
    let join = stage.asked(&mut client).await;
    let resume = TopicReply::Resume(Box::new(Resume {
        topic: TOPIC.into(),
        last_seen_id: None,
        latest: 1,
        from: Some(before),
        member: None,
    }));
    let response = json(r#"{"hello":1}"#);
    let joined = TopicReply::Joined { response };
    stage.complete(&join, vec![resume, joined]).await;
    let answer = self::response(&mut client).await;
    assert_eq!(answer["resync"], false);
    let at = answer["last_seen_id"].as_str().unwrap();
    assert!(at.ends_with("-2"), "what follows is behind it: {at}");
    for expected in 3..=5 {
        assert_eq!(said(&mut client).await.0, expected);
    }
}
