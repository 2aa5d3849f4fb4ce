//! Topics without Phoenix: plain sockets, and the streams of one.

use std::collections::HashMap;

use bytes::Bytes;
use serde_json::Value;
use towpath_layer_core::{
    Broadcast, ChannelLayer, ChannelName, Close, EventKind, GroupName, Message, PlainMember,
    Position, Reply, Resume, TopicReply,
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
    async fn resuming(&mut self, replies: Vec<Reply>) -> Client {
        let (client, ()) = tokio::join!(self.rig.connect("/chat"), async {
            let connect = self.worker.next().await;
            for reply in replies {
                self.worker.reply(&connect, reply).await;
            }
            self.worker.done(&connect).await;
        });
        client
    }

    /// A plain socket, and its reply channel.
    async fn plain(&mut self) -> (Client, ChannelName) {
        tokio::join!(self.rig.connect("/chat"), async {
            let connect = self.worker.next().await;
            self.worker.accept(&connect).await;
            self.worker.done(&connect).await;
            connect.reply_channel
        })
    }

    /// Makes it a member of a topic's group.
    async fn add(&self, topic: &str, channel: &ChannelName, member: &PlainMember) {
        let (group, meta) = (GroupName::topic(topic), member.to_text().into_bytes());
        let added = self.rig.layer.group_add(&group, channel, meta).await;
        added.unwrap();
    }

    /// The event of a broadcast that a consumer hears of, and on which stream.
    async fn heard(&mut self) -> (String, String) {
        let told = self.worker.next().await;
        self.worker.done(&told).await;
        let EventKind::Application(told) = told.kind else {
            panic!("no event of the application: {told:?}");
        };
        assert_eq!(told.name, Broadcast::HEARD);
        let heard: Broadcast = told.content.decode().unwrap();
        let stream = told.stream.unwrap_or_default();
        (heard.event.to_string(), stream.to_string())
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
    let mut client = stage.resuming(vec![replies]).await;
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
    let mut client = stage
        .resuming(vec![written, Reply::text(r#""later""#)])
        .await;
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
    let mut client = stage.resuming(replies).await;
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
    let mut client = stage.resuming(vec![accepting(both.concat())]).await;
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
    // The end of one would be an event, too.
    let mut clients = Vec::new();
    for stream in ["", "feed"] {
        let member = PlainMember {
            stream: stream.into(),
            intercepts: vec!["first".into(), "secret".into()],
        };
        let (mut client, channel) = stage.plain().await;
        stage.add(TOPIC, &channel, &member).await;
        for event in ["secret", "open"] {
            stage.broadcast(TOPIC, event, json("{}")).await;
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
        stage.worker.done(&out).await;
        let EventKind::Out(push) = out.kind else {
            panic!("no message on its way: {out:?}");
        };
        assert_eq!((&*push.event, &push.payload), ("secret", &json("{}")));
        let named = (!stream.is_empty()).then_some(stream);
        assert_eq!(push.stream.as_deref(), named);
        let group = GroupName::topic(TOPIC);
        let layer = &stage.rig.layer;
        layer.group_discard(&group, &channel).await.unwrap();
        clients.push(client);
    }
}

#[tokio::test]
async fn a_plain_sockets_consumer_hears_of_another_topic_and_its_peer_does_not() {
    let mut stage = Stage::start().await;
    let mut clients = Vec::new();
    for stream in ["", "feed"] {
        let member = PlainMember {
            stream: stream.into(),
            ..PlainMember::default()
        };
        let (mut client, channel) = stage.plain().await;
        stage.add("news", &channel.listener(7), &member).await;
        stage.broadcast("news", "headline", json("{}")).await;
        assert_eq!(
            stage.heard().await,
            ("headline".to_owned(), stream.to_owned())
        );
        let group = GroupName::topic("news");
        let layer = &stage.rig.layer;
        layer
            .group_discard(&group, &channel.listener(7))
            .await
            .unwrap();
        let next = Message::Reply(Reply::text("next"));
        layer.send(&channel.listener(7), next).await.unwrap();
        assert_eq!(client.text().await, "next");
        clients.push(client);
    }
}

#[tokio::test]
async fn a_topic_is_heard_by_each_listener_and_by_the_socket_itself() {
    let mut stage = Stage::start().await;
    let of = |stream: &str| PlainMember {
        stream: stream.into(),
        ..PlainMember::default()
    };
    let (mut client, channel) = stage.plain().await;
    stage.add("news", &channel, &of("mine")).await;
    let listeners = [(1, "first"), (2, "second")];
    for (number, stream) in listeners {
        stage
            .add("news", &channel.listener(number), &of(stream))
            .await;
    }
    stage.broadcast("news", "headline", json("{}")).await;
    assert_eq!(frame(&mut client).await["stream"], "mine");
    let mut heard = [stage.heard().await.1, stage.heard().await.1];
    heard.sort();
    assert_eq!(heard, ["first", "second"]);
    // One that goes takes nobody with it.
    let group = GroupName::topic("news");
    let layer = stage.rig.layer.clone();
    layer.discard_all(&channel.listener(1)).await.unwrap();
    stage.broadcast("news", "more", json("{}")).await;
    assert_eq!(frame(&mut client).await["payload"]["event"], "more");
    assert_eq!(
        stage.heard().await,
        ("more".to_owned(), "second".to_owned())
    );
    // With the socket all are gone.
    drop(client);
    let gone = stage.worker.next().await;
    assert!(
        matches!(gone.kind, EventKind::Disconnect { .. }),
        "{gone:?}"
    );
    stage.worker.done(&gone).await;
    assert_eq!(layer.group_count(&group).await.unwrap(), 0);
}

#[tokio::test]
async fn a_socket_that_listens_to_its_own_id_is_ended_by_it() {
    let mut stage = Stage::start().await;
    let (mut client, channel) = stage.plain().await;
    let id = GroupName::topic("user:7");
    let meta = Bytes::from_static(GroupName::SOCKET_ID_META);
    stage
        .rig
        .layer
        .group_add(&id, &channel, meta)
        .await
        .unwrap();
    let listener = channel.listener(1);
    stage
        .add("user:7", &listener, &PlainMember::default())
        .await;
    stage.broadcast("user:7", "news", json("{}")).await;
    assert_eq!(stage.heard().await.0, "news");
    stage.broadcast("user:7", "disconnect", json("{}")).await;
    assert_eq!(client.closed().await, 1001);
}
