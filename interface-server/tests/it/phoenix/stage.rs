//! A client of Phoenix, and a worker that answers it.

use std::sync::Arc;

use bytes::Bytes;
use towpath_layer_core::{
    ChannelLayer, Completion, Event, EventKind, Frame, GroupName, Outcome, Push, Reply, TopicReply,
};

use crate::client::Client;
use crate::rig::{Rig, Worker, config};

pub(super) struct Stage {
    pub(super) rig: Rig,
    pub(super) worker: Worker,
}

impl Stage {
    pub(super) async fn start() -> Self {
        let rig = Rig::start(config()).await;
        let worker = rig.worker();
        Self { rig, worker }
    }

    /// A client that is connected, of version 2.
    pub(super) async fn connect(&mut self) -> Client {
        self.connect_to("/socket/websocket?vsn=2.0.0").await.0
    }

    pub(super) async fn connect_to(&mut self, path: &str) -> (Client, Event) {
        tokio::join!(self.rig.connect(path), self.worker.welcome())
    }

    /// A client that has joined a topic by the refs 1, and the join.
    pub(super) async fn joined(&mut self, topic: &str) -> (Client, Event) {
        let mut client = self.connect().await;
        let join = self.join(&mut client, topic).await;
        (client, join)
    }

    /// Joins another topic by the refs 1.
    pub(super) async fn join(&mut self, client: &mut Client, topic: &str) -> Event {
        client
            .send(&format!(r#"["1","1","{topic}","phx_join",{{}}]"#))
            .await;
        let join = self.worker.next().await;
        self.welcome(&join).await;
        let ok = format!(r#"["1","1","{topic}","phx_reply",{{"status":"ok","response":{{}}}}]"#);
        assert_eq!(client.text().await, ok);
        join
    }

    /// Lets a client join: first its topic's group, then the answer.
    pub(super) async fn welcome(&self, join: &Event) {
        let group = GroupName::topic(join.topic.as_deref().unwrap());
        let layer = Arc::clone(&self.rig.layer);
        layer
            .group_add(&group, &join.reply_channel, Bytes::new())
            .await
            .unwrap();
        let response = json("{}");
        self.complete(join, vec![TopicReply::Joined { response }])
            .await;
    }

    /// Completes an event and says something.
    pub(super) async fn complete(&self, event: &Event, said: Vec<TopicReply>) {
        let completion = Completion {
            attempt: event.attempt,
            outcome: Outcome::Done { session: None },
            groups: Vec::new(),
        };
        let reply = Reply {
            topic: said,
            ..Reply::completion(completion)
        };
        self.worker.reply(event, reply).await;
    }

    pub(super) async fn broadcast(&self, topic: &str, event: &str, payload: Frame) {
        self.broadcast_from(topic, event, payload, None).await;
    }

    pub(super) async fn broadcast_from(
        &self,
        topic: &str,
        event: &str,
        payload: Frame,
        from: Option<&Event>,
    ) {
        let broadcast = towpath_layer_core::Broadcast {
            topic: topic.into(),
            event: event.into(),
            payload,
            except: from.map(|event| event.reply_channel.clone()),
        };
        let reply = Reply {
            topic: vec![TopicReply::Broadcast(broadcast)],
            ..Reply::default()
        };
        self.rig
            .layer
            .group_send(&GroupName::topic(topic), reply)
            .await
            .unwrap();
    }
}

pub(super) fn json(text: &str) -> Frame {
    Frame::Text(text.into())
}

/// The message of a client that an event tells of.
pub(super) fn pushed(event: &Event) -> &Push {
    match &event.kind {
        EventKind::In(push) | EventKind::Out(push) => push,
        other => panic!("a message, not {other:?}"),
    }
}

pub(super) fn answer(event: &Event, response: &str) -> TopicReply {
    TopicReply::Answer {
        reference: pushed(event).reference.clone().unwrap(),
        status: "ok".into(),
        response: json(response),
    }
}

/// The reason for which a topic's conversation ended.
pub(super) fn parting(event: &Event) -> &str {
    match &event.kind {
        EventKind::Disconnect { reason, .. } => reason,
        other => panic!("a disconnect, not {other:?}"),
    }
}
