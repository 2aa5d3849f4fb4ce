//! History: how much of it one client is told.

use std::time::Duration;

use towpath_layer_core::{
    Broadcast, ChannelLayer, EventKind, GroupName, History, Reply, Resume, TopicReply,
};

use super::resume::{TOPIC, response, said};
use super::stage::{Stage, json, pushed};
use crate::rig::within;

const KEPT: History = History {
    size: 2000,
    ttl: Duration::from_mins(1),
};

impl Stage {
    /// Publishes numbers, each with so many bytes beside it.
    async fn publish_all(&self, numbers: std::ops::RangeInclusive<u64>, bytes: usize) {
        self.publish_in(TOPIC, "said", numbers, bytes).await;
    }

    async fn publish_in(
        &self,
        topic: &str,
        event: &str,
        numbers: std::ops::RangeInclusive<u64>,
        bytes: usize,
    ) {
        for number in numbers {
            let padding = "x".repeat(bytes);
            let broadcast = Broadcast {
                topic: topic.into(),
                event: event.into(),
                payload: json(&format!(r#"{{"n":{number},"padding":"{padding}"}}"#)),
                except: None,
            };
            let reply = Reply {
                topic: vec![TopicReply::Broadcast(broadcast)],
                ..Reply::default()
            };
            let group = GroupName::topic(topic);
            let published = self.rig.layer.group_publish(&group, reply, &KEPT);
            published.await.unwrap();
        }
    }

    async fn newest(&self) -> String {
        let group = GroupName::topic(TOPIC);
        let recalled = self.rig.layer.group_history(&group, None, 0).await;
        recalled.unwrap().position.to_string()
    }
}

#[tokio::test]
async fn what_was_missed_may_be_more_than_a_socket_may_leave_unread() {
    let mut stage = Stage::start().await;
    let seen = stage.newest().await;
    stage.publish_all(1..=100, 9000).await;
    let mut client = stage.connect().await;
    let answer = stage.resumed(&mut client, Some(&seen), 0).await;
    assert_eq!(answer["resync"], false);
    // Most of it waits to be read; what comes now has room beside it.
    stage.publish_all(101..=110, 9000).await;
    let mut bystander = stage.connect().await;
    stage.resumed(&mut bystander, None, 1).await;
    assert_eq!(said(&mut bystander).await.0, 110);
    for expected in 1..=110 {
        assert_eq!(said(&mut client).await.0, expected);
    }
}

#[tokio::test]
async fn one_who_missed_more_than_is_told_is_told_the_latest_and_goes_on_without_a_gap() {
    let mut stage = Stage::start().await;
    let seen = stage.newest().await;
    stage.publish_all(1..=1500, 0).await;
    let mut client = stage.connect().await;
    let answer = stage.resumed(&mut client, Some(&seen), 0).await;
    assert_eq!(answer["resync"], true);
    assert!(answer["last_seen_id"].as_str().unwrap().ends_with("-500"));
    stage.publish_all(1501..=1501, 0).await;
    within(async {
        for expected in 501..=1501 {
            assert_eq!(said(&mut client).await.0, expected);
        }
    })
    .await;
}

#[tokio::test]
async fn one_that_shows_no_position_is_told_no_more_than_one_that_has_seen_nothing() {
    let mut stage = Stage::start().await;
    stage.publish_all(1..=5, 0).await;
    let mut client = stage.connect().await;
    let join = stage.asked(&mut client).await;
    stage.welcome_back(&join, Some("nonsense"), 2).await;
    assert_eq!(response(&mut client).await["resync"], true);
    for expected in 4..=5 {
        assert_eq!(said(&mut client).await.0, expected);
    }
}

#[tokio::test]
async fn what_comes_while_a_join_waits_may_be_more_than_a_socket_may_leave_unread() {
    let mut stage = Stage::start().await;
    let mut client = stage.connect().await;
    let join = stage.asked(&mut client).await;
    stage.publish_all(1..=80, 9000).await;
    let joined = TopicReply::Joined {
        response: json(r#"{"hello":1}"#),
    };
    stage.complete(&join, vec![joined]).await;
    response(&mut client).await;
    for expected in 1..=80 {
        assert_eq!(said(&mut client).await.0, expected);
    }
}

#[tokio::test]
async fn what_was_missed_goes_by_its_consumer_however_much_it_is() {
    let topic = "watched:1";
    let mut stage = Stage::start().await;
    let group = GroupName::topic(topic);
    let recalled = stage.rig.layer.group_history(&group, None, 0).await;
    let seen = recalled.unwrap().position;
    stage.publish_in(topic, "secret", 1..=200, 0).await;
    let mut client = stage.connect().await;
    client
        .send(&format!(r#"["1","1","{topic}","phx_join",{{}}]"#))
        .await;
    let join = stage.worker.next().await;
    let added = stage
        .rig
        .layer
        .group_add(&group, &join.reply_channel, "".into());
    added.await.unwrap();
    let resume = Resume {
        topic: topic.into(),
        last_seen_id: Some(seen.to_string().into()),
        latest: 0,
        from: None,
        member: None,
    };
    let joined = TopicReply::Joined {
        response: json(r#"{"hello":1}"#),
    };
    let said = vec![TopicReply::Resume(Box::new(resume)), joined];
    stage.complete(&join, said).await;
    response(&mut client).await;
    stage.publish_in(topic, "secret", 201..=210, 0).await;
    for expected in 1..=210 {
        let event = stage.worker.next().await;
        assert!(matches!(event.kind, EventKind::Out(_)), "{event:?}");
        let payload = format!("{:?}", pushed(&event).payload);
        let number = format!(r#"\"n\":{expected},"#);
        assert!(payload.contains(&number), "{number} in {payload}");
        stage.worker.done(&event).await;
    }
}
