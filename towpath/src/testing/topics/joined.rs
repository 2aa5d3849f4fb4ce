//! A topic that a client has joined.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use towpath_layer_core::ChannelName;

use super::client::Client;
use super::frame::{self, Mail, REPLY};
use super::pattern::{Pattern, Shown};
use crate::testing::record::shown_bytes;

/// A topic that a [`TopicTest`](super::TopicTest) has joined.
///
/// Assertions wait for what they expect and give it back; refutations wait for a
/// second of virtual time, or a tenth of a second of real time.
pub struct JoinedTopic {
    client: Arc<Client>,
    topic: String,
    join_ref: String,
    response: Value,
    channel: Option<ChannelName>,
}

/// A message that was pushed, for its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushRef(String);

impl JoinedTopic {
    pub(super) fn new(
        client: &Arc<Client>,
        topic: &str,
        join_ref: String,
        response: Value,
        channel: Option<ChannelName>,
    ) -> Self {
        Self {
            client: Arc::clone(client),
            topic: topic.to_owned(),
            join_ref,
            response,
            channel,
        }
    }

    /// The topic's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.topic
    }

    /// What the join was answered with.
    #[must_use]
    pub fn response(&self) -> &Value {
        &self.response
    }

    /// Sends a message to the topic.
    ///
    /// # Panics
    ///
    /// If the connection has ended, here and below.
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have sent the message or not, here and below.
    #[track_caller]
    pub fn push<T: Serialize + ?Sized>(
        &self,
        event: &str,
        payload: &T,
    ) -> impl Future<Output = PushRef> {
        let at = Location::caller();
        let payload = serde_json::to_value(payload)
            .unwrap_or_else(|error| self.client.fail(at, format_args!("no JSON: {error}")));
        self.push_json(at, event, &payload)
    }

    fn push_json<'a>(
        &'a self,
        at: &'static Location<'static>,
        event: &str,
        payload: &Value,
    ) -> impl Future<Output = PushRef> + use<'a> {
        let reference = self.client.reference();
        let join_ref = Some(&*self.join_ref);
        let text = frame::text(join_ref, &reference, &self.topic, event, payload);
        self.client.note(&text);
        async move {
            self.client.send(at, Message::text(text)).await;
            PushRef(reference)
        }
    }

    /// Sends bytes to the topic.
    #[track_caller]
    pub fn push_bytes(
        &self,
        event: &str,
        payload: impl Into<Bytes>,
    ) -> impl Future<Output = PushRef> {
        let at = Location::caller();
        let payload = payload.into();
        let reference = self.client.reference();
        let what = shown_bytes(&payload);
        self.client
            .note(format_args!("{} {event} {what}", self.topic));
        let bytes = frame::bytes(&self.join_ref, &reference, &self.topic, event, &payload);
        let Some(bytes) = bytes else {
            let why = "a binary message has names of 255 bytes at most";
            self.client.fail(at, why)
        };
        async move {
            self.client.send(at, Message::binary(bytes)).await;
            PushRef(reference)
        }
    }

    /// Leaves the topic.
    #[track_caller]
    pub fn leave(&self) -> impl Future<Output = PushRef> {
        self.push_json(Location::caller(), "phx_leave", &json!({}))
    }

    /// Waits for the answer to a message, of that status and carrying that JSON;
    /// gives what it carries.
    ///
    /// # Panics
    ///
    /// If it does not come in time, here and below.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing, here and below.
    #[track_caller]
    pub fn assert_reply(
        &self,
        to: &PushRef,
        status: &str,
        pattern: impl Pattern,
    ) -> impl Future<Output = Value> {
        let at = Location::caller();
        async move {
            let expected = format!("an answer {status} {}", Shown(&pattern));
            let answer = self.client.expect(at, expected, |mail| {
                self.answers(mail, to, status) && mail.body.carries(&pattern)
            });
            answer.await.body.into_json()
        }
    }

    /// Waits for the answer to a message, of that status and carrying bytes.
    #[track_caller]
    pub fn assert_reply_bytes(&self, to: &PushRef, status: &str) -> impl Future<Output = Bytes> {
        let at = Location::caller();
        async move {
            let expected = format!("an answer {status} of bytes");
            let answer = self.client.expect(at, expected, |mail| {
                self.answers(mail, to, status) && mail.json().is_none()
            });
            answer.await.body.into_bytes()
        }
    }

    /// Expects that no answer to a message comes with that status and JSON.
    ///
    /// # Panics
    ///
    /// If one comes.
    #[track_caller]
    pub fn refute_reply(
        &self,
        to: &PushRef,
        status: &str,
        pattern: impl Pattern,
    ) -> impl Future<Output = ()> {
        let at = Location::caller();
        async move {
            let refuted = format!("answer {status} {}", Shown(&pattern));
            self.client
                .refute(at, refuted, |mail| {
                    self.answers(mail, to, status) && mail.body.may_be(&pattern)
                })
                .await;
        }
    }

    /// Waits for a message to this client, pushed or broadcast; gives what it
    /// carries.
    #[track_caller]
    pub fn assert_push(&self, event: &str, pattern: impl Pattern) -> impl Future<Output = Value> {
        self.assert_message(Location::caller(), event, pattern, false)
    }

    /// Waits for a message of bytes to this client, pushed or broadcast.
    #[track_caller]
    pub fn assert_push_bytes(&self, event: &str) -> impl Future<Output = Bytes> {
        let at = Location::caller();
        async move {
            let expected = format!("{event} of bytes");
            let message = self.client.expect(at, expected, |mail| {
                self.is_mine(mail, event) && mail.json().is_none()
            });
            message.await.body.into_bytes()
        }
    }

    /// Expects that no such message comes, pushed or broadcast. One of bytes
    /// is such a message if the pattern asks for nothing, as `json!({})` does;
    /// so it is in the other refutations.
    ///
    /// # Panics
    ///
    /// If one comes.
    #[track_caller]
    pub fn refute_push(&self, event: &str, pattern: impl Pattern) -> impl Future<Output = ()> {
        self.refute_message(Location::caller(), event, pattern, false)
    }

    /// Waits for a message that went to everybody in the topic. One that the
    /// consumer [intercepts](crate::prelude::TopicConsumer::INTERCEPT) reaches
    /// its client by a push.
    #[track_caller]
    pub fn assert_broadcast(
        &self,
        event: &str,
        pattern: impl Pattern,
    ) -> impl Future<Output = Value> {
        self.assert_message(Location::caller(), event, pattern, true)
    }

    /// Waits for a message of bytes that went to everybody in the topic.
    #[track_caller]
    pub fn assert_broadcast_bytes(&self, event: &str) -> impl Future<Output = Bytes> {
        let at = Location::caller();
        async move {
            let expected = format!("{event} of bytes to all");
            let message = self.client.expect(at, expected, |mail| {
                self.is_mine(mail, event) && mail.is_broadcast() && mail.json().is_none()
            });
            message.await.body.into_bytes()
        }
    }

    /// Expects that no such message goes to everybody in the topic.
    ///
    /// # Panics
    ///
    /// If one comes.
    #[track_caller]
    pub fn refute_broadcast(&self, event: &str, pattern: impl Pattern) -> impl Future<Output = ()> {
        self.refute_message(Location::caller(), event, pattern, true)
    }

    /// Broadcasts to all in the topic but this client, as its consumer would by
    /// [`Topic::broadcast_from`](crate::prelude::Topic::broadcast_from).
    ///
    /// # Panics
    ///
    /// If the layer does not take it, or the client joined beside others at the
    /// same time.
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have reached some.
    #[track_caller]
    pub fn broadcast_from<T: Serialize + Sync + ?Sized>(
        &self,
        event: &str,
        payload: &T,
    ) -> impl Future<Output = ()> {
        let at = Location::caller();
        async move {
            let topic = &*self.topic;
            self.client
                .note(format_args!("broadcast {event} to the others in {topic}"));
            let Some(except) = &self.channel else {
                let why = format_args!("its part in {topic} is not known: it is no member");
                self.client.fail(at, why)
            };
            let topics = &self.client.topics;
            if let Err(error) = topics.broadcast_from(except, topic, event, payload).await {
                self.client.fail(at, format_args!("{topic}: {error}"));
            }
        }
    }

    /// Waits until the topic has ended for this client, in good order.
    #[track_caller]
    pub fn assert_closed(&self) -> impl Future<Output = ()> {
        let message = self.assert_message(Location::caller(), "phx_close", json!({}), false);
        async move { drop(message.await) }
    }

    /// Waits until the topic's consumer has failed; a client would join again.
    #[track_caller]
    pub fn assert_crashed(&self) -> impl Future<Output = ()> {
        let message = self.assert_message(Location::caller(), "phx_error", json!({}), false);
        async move { drop(message.await) }
    }

    async fn assert_message(
        &self,
        at: &Location<'_>,
        event: &str,
        pattern: impl Pattern,
        broadcast: bool,
    ) -> Value {
        let expected = format!("{event} {}", Shown(&pattern));
        let message = self.client.expect(at, expected, |mail| {
            self.is_mine(mail, event)
                && (mail.is_broadcast() || !broadcast)
                && mail.body.carries(&pattern)
        });
        message.await.body.into_json()
    }

    async fn refute_message(
        &self,
        at: &Location<'_>,
        event: &str,
        pattern: impl Pattern,
        broadcast: bool,
    ) {
        let refuted = format!("{event} {}", Shown(&pattern));
        self.client
            .refute(at, refuted, |mail| {
                self.is_mine(mail, event)
                    && (mail.is_broadcast() || !broadcast)
                    && mail.body.may_be(&pattern)
            })
            .await;
    }

    fn answers(&self, mail: &Mail, to: &PushRef, status: &str) -> bool {
        self.is_mine(mail, REPLY)
            && mail.reference.as_ref() == Some(&to.0)
            && mail.status.as_deref() == Some(status)
    }

    fn is_mine(&self, mail: &Mail, event: &str) -> bool {
        let join_ref = mail.join_ref.as_ref();
        mail.topic == self.topic
            && mail.event == event
            && join_ref.is_none_or(|join_ref| *join_ref == self.join_ref)
    }
}

impl fmt::Debug for JoinedTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinedTopic")
            .field("client", &self.client.name)
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}
