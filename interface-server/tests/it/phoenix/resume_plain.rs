//! History without Phoenix: plain sockets, and the streams of one.

use std::collections::HashMap;

use serde_json::Value;
use towpath_layer_core::{
    Broadcast, ChannelLayer, Close, EventKind, GroupName, PlainMember, Position, Reply, Resume,
    TopicReply,
};

use super::resume::TOPIC;
use super::stage::{Stage, json};
use crate::client::Client;
use crate::rig::accept;

/// What a worker says of a join that resumes behind an offset.
fn joined(topic: &str, seen: Position, stream: &str) -> [TopicReply; 2] {
    let resume = Resume {
        topic: topic.into(),
        last_seen_id: Some(seen.to_string().into()),
        latest: 0,
        from: None,
        member: Some(stream.into()),
    };
    let response = json(&format!(r#"{{"of":"{topic}"}}"#));
    [
        TopicReply::Resume(Box::new(resume)),
        TopicReply::Joined { response },
    ]
}

impl Stage {
    async fn position(&self, topic: &str) -> Position {
        let group = GroupName::topic(topic);
        let recalled = self.rig.layer.group_history(&group, None, 0).await;
        recalled.unwrap().position
    }

    /// A plain socket whose worker says that, reply by reply.
    async fn plain(&mut self, replies: Vec<Reply>) -> Client {
        let (client, ()) = tokio::join!(self.rig.connect("/chat"), async {
            let connect = self.worker.next().await;
            for reply in replies {
                self.worker.reply(&connect, reply).await;
            }
            self.worker.done(&connect).await;
        });
        client
    }
}

fn accepting(topic: Vec<TopicReply>) -> Reply {
    Reply { topic, ..accept() }
}

async fn frame(client: &mut Client) -> Value {
    serde_json::from_str(&client.text().await).unwrap()
}

#[tokio::test]
async fn a_plain_socket_resumes_by_what_it_has_seen() {
    let mut stage = Stage::start().await;
    stage.publish_to(TOPIC, 1).await;
    let seen = stage.position(TOPIC).await;
    stage.publish_to(TOPIC, 2).await;
    let replies = accepting(joined(TOPIC, seen, "").to_vec());
    let mut client = stage.plain(vec![replies]).await;
    let answer = frame(&mut client).await;
    let event = (&answer["topic"], &answer["event"]);
    assert_eq!(event, (&TOPIC.into(), &"phx_reply".into()));
    assert_eq!(answer["payload"]["response"]["resync"], false);
    let missed = frame(&mut client).await;
    let event = (&missed["event"], &missed["payload"]["n"]);
    assert_eq!(event, (&"said".into(), &2.into()));
    stage.publish_to(TOPIC, 3).await;
    assert_eq!(frame(&mut client).await["payload"]["n"], 3);
}

#[tokio::test]
async fn what_a_consumer_writes_goes_behind_the_answer_and_what_was_missed() {
    let mut stage = Stage::start().await;
    let seen = stage.position(TOPIC).await;
    stage.publish_to(TOPIC, 1).await;
    let written = Reply {
        frame: Some(json(r#""written""#)),
        ..accepting(joined(TOPIC, seen, "").to_vec())
    };
    let mut client = stage.plain(vec![written, Reply::text(r#""later""#)]).await;
    // What stands in the reply that announces the history goes before all.
    assert_eq!(frame(&mut client).await, "written");
    assert_eq!(frame(&mut client).await["event"], "phx_reply");
    assert_eq!(frame(&mut client).await["payload"]["n"], 1);
    assert_eq!(frame(&mut client).await, "later");
}

#[tokio::test]
async fn what_was_written_is_written_before_a_close() {
    let mut stage = Stage::start().await;
    let seen = stage.position(TOPIC).await;
    let close = Reply {
        close: Some(Close {
            code: 1000,
            reason: "".into(),
        }),
        ..Reply::text(r#""farewell""#)
    };
    let replies = vec![accepting(joined(TOPIC, seen, "").to_vec()), close];
    let mut client = stage.plain(replies).await;
    while frame(&mut client).await != "farewell" {}
    assert_eq!(client.closed().await, 1000);
}

#[tokio::test]
async fn streams_of_one_socket_resume_each_where_it_was() {
    let mut stage = Stage::start().await;
    let (left, right) = ("room:left", "room:right");
    let mut seen = Vec::new();
    for (topic, number) in [(left, 1), (right, 11)] {
        stage.publish_to(topic, number).await;
        seen.push(stage.position(topic).await);
        stage.publish_to(topic, number + 1).await;
    }
    let both = [
        joined(left, seen[0], "l").to_vec(),
        joined(right, seen[1], "r").to_vec(),
    ];
    let mut client = stage.plain(vec![accepting(both.concat())]).await;
    // No more than is kept: the histories may be read after all of it.
    for number in 3..=6 {
        stage.publish_to(left, number).await;
        stage.publish_to(right, number + 10).await;
    }
    let mut heard: HashMap<String, Vec<u64>> = HashMap::new();
    for _ in 0..12 {
        let frame = frame(&mut client).await;
        let stream = frame["stream"].as_str().unwrap().to_owned();
        let payload = &frame["payload"]["payload"];
        let heard = heard.entry(stream).or_default();
        match &payload["response"] {
            Value::Null => heard.push(payload["n"].as_u64().unwrap()),
            response => {
                assert!(heard.is_empty(), "the answer comes first: {frame}");
                assert_eq!(response["of"], frame["payload"]["topic"]);
                assert_eq!(response["resync"], false);
            }
        }
    }
    assert_eq!(heard["l"], (2..=6).collect::<Vec<_>>());
    assert_eq!(heard["r"], (12..=16).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_a_plain_sockets_consumer_intercepts_is_the_consumers_to_push() {
    let mut stage = Stage::start().await;
    let group = GroupName::topic(TOPIC);
    // The end of one would be an event, too.
    let mut clients = Vec::new();
    for stream in ["", "feed"] {
        let (mut client, channel) = tokio::join!(stage.rig.connect("/chat"), async {
            let connect = stage.worker.next().await;
            stage.worker.accept(&connect).await;
            stage.worker.done(&connect).await;
            connect.reply_channel
        });
        let member = PlainMember {
            stream: stream.into(),
            intercepts: vec!["first".into(), "secret".into()],
        };
        let meta = member.to_text().into_bytes();
        let added = stage.rig.layer.group_add(&group, &channel, meta).await;
        added.unwrap();
        for event in ["secret", "open"] {
            let broadcast = TopicReply::Broadcast(Broadcast {
                topic: TOPIC.into(),
                event: event.into(),
                payload: json("{}"),
                except: None,
            });
            let reply = Reply {
                topic: vec![broadcast],
                ..Reply::default()
            };
            stage.rig.layer.group_send(&group, reply).await.unwrap();
        }
        // What is not intercepted does not wait for the consumer.
        let heard = frame(&mut client).await;
        let open = if stream.is_empty() {
            &heard
        } else {
            &heard["payload"]
        };
        assert_eq!(open["event"], "open", "{heard}");
        let out = stage.worker.next().await;
        let EventKind::Out(push) = &out.kind else {
            panic!("no message on its way: {out:?}");
        };
        assert_eq!((&*push.event, &push.payload), ("secret", &json("{}")));
        let named = (!stream.is_empty()).then_some(stream);
        assert_eq!(push.stream.as_deref(), named);
        stage.worker.done(&out).await;
        stage
            .rig
            .layer
            .group_discard(&group, &channel)
            .await
            .unwrap();
        clients.push(client);
    }
}
