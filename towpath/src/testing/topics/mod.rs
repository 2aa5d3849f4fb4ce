//! Clients of topics, in the manner of the tests of Phoenix.

mod client;
mod frame;
mod joined;
mod listener;
mod pattern;

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::sync::Arc;

use futures_util::TryStreamExt;
use serde::Serialize;
use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_util::task::TaskTracker;
use towpath_layer_core::{ChannelLayer, GroupName, Member};
use towpath_worker::{Presences, Topics};

use super::app::{Common, TestApp};
use super::connecting::Connecting;
use super::socket::Parts;
use client::Client;
pub use joined::{JoinedTopic, PushRef};
pub use listener::TopicListener;
pub use pattern::Pattern;

/// A client of topics, on a socket of a [`TestApp`]: it speaks version 2 of the
/// protocol over a WebSocket, and sends heartbeats every 30 s.
///
/// What comes waits until an assertion takes it, 1024 messages at most: an
/// assertion takes the first message that fits, whatever came before it. Wait for
/// an answer before you look at what the message has done.
///
/// ```
/// # use serde::{Deserialize, Serialize};
/// use serde_json::{Value, json};
/// use towpath::prelude::*;
/// use towpath::testing::TestApp;
///
/// # #[derive(Serialize, Deserialize)]
/// # struct Anybody;
/// # impl TopicSocket for Anybody {
/// #     async fn connect(_: SocketParams, _: &ConnectInfo) -> Result<Self> { Ok(Self) }
/// # }
/// # #[derive(Serialize, Deserialize)]
/// # struct Room;
/// # impl TopicConsumer for Room {
/// #     type Socket = Anybody;
/// #     async fn join(_: TopicPayload, _: &Anybody, topic: &Topic) -> Result<Joined<Self>> {
/// #         match topic.subtopic() {
/// #             "private" => Err(Error::rejected("unauthorized")),
/// #             _ => Ok(Joined::ok(Self).with(&json!({"seats": 4}))),
/// #         }
/// #     }
/// #     async fn handle_in(&mut self, _: &str, payload: TopicPayload, topic: &Topic) -> Result<Answer> {
/// #         topic.broadcast("new_msg", &payload.json::<Value>()?).await?;
/// #         Ok(Answer::ok(&json!({})))
/// #     }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let app = App::new().socket("/socket", topics::<Anybody>().topic::<Room>("room:*"));
/// let app = TestApp::memory(app).await;
/// let ada = app.socket("/socket").query("user", "ada").await.connected();
/// let refusal = ada.join_refused("room:private", &json!({})).await;
/// assert_eq!(refusal["reason"], "unauthorized");
///
/// let lobby = ada.join("room:lobby", &json!({})).await;
/// assert_eq!(lobby.response()["seats"], 4);
/// let sent = lobby.push("new_msg", &json!({"body": "hi"})).await;
/// lobby.assert_reply(&sent, "ok", json!({})).await;
/// lobby.assert_broadcast("new_msg", json!({"body": "hi"})).await;
/// lobby.refute_push("typing", |_: &Value| true).await;
/// # }
/// ```
pub struct TopicTest {
    client: Arc<Client>,
}

impl TestApp {
    /// A client that opens a socket with topics, at the path where it is
    /// mounted. Await it for the answer of the handshake:
    /// [`connected`](super::Answer::connected) or
    /// [`denied`](super::Answer::denied).
    ///
    /// With a [`session`](Connecting::session) the socket is that value, and its
    /// [`connect`](crate::prelude::TopicSocket::connect) is not called.
    #[track_caller]
    pub fn socket(&self, path: &str) -> Connecting<'_> {
        let path = path.trim_end_matches('/');
        self.websocket(&format!("{path}/websocket"))
            .query("vsn", "2.0.0")
    }

    /// The application's topics, to broadcast to, and to see who is present.
    #[must_use]
    pub fn topics(&self) -> &Topics {
        &self.topics
    }

    /// Who is present in a topic, once all has settled.
    ///
    /// # Panics
    ///
    /// If the layer cannot be asked.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    #[track_caller]
    pub fn presences(&self, topic: &str) -> impl Future<Output = Presences> {
        let at = Location::caller();
        async move {
            self.settle().await;
            match self.topics.presences(topic).await {
                Ok(presences) => presences,
                Err(error) => {
                    let why = format_args!("who is in {topic} is not known: {error}");
                    self.common.record.fail(at, why)
                }
            }
        }
    }
}

impl TopicTest {
    pub(super) fn new(
        common: Common,
        parts: Parts,
        layer: Arc<dyn ChannelLayer>,
        topics: Topics,
        tasks: &TaskTracker,
    ) -> Self {
        Self {
            client: Client::new(common, parts, layer, topics, tasks),
        }
    }

    /// Joins a topic.
    ///
    /// # Panics
    ///
    /// If the join is refused, or not answered in time.
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have joined or not.
    #[track_caller]
    pub fn join<T: Serialize + ?Sized>(
        &self,
        topic: &str,
        payload: &T,
    ) -> impl Future<Output = JoinedTopic> {
        let at = Location::caller();
        let payload = self.json(at, payload);
        async move {
            let before = self.members(at, topic).await;
            let (join_ref, status, response) = self.ask(at, topic, payload).await;
            if status != "ok" {
                let why = format_args!("{topic} refused the join: {response}");
                self.client.fail(at, why);
            }
            let after = self.members(at, topic).await;
            let mut new = after.into_iter().map(|member| member.channel);
            let channel = new.find(|new| before.iter().all(|known| known.channel != *new));
            JoinedTopic::new(&self.client, topic, join_ref, response, channel)
        }
    }

    /// Joins a topic that refuses it, and says with what.
    ///
    /// # Panics
    ///
    /// If the join succeeds, or is not answered in time.
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have joined or not.
    #[track_caller]
    pub fn join_refused<T: Serialize + ?Sized>(
        &self,
        topic: &str,
        payload: &T,
    ) -> impl Future<Output = Value> {
        let at = Location::caller();
        let payload = self.json(at, payload);
        async move {
            let (_, status, response) = self.ask(at, topic, payload).await;
            if status != "error" {
                let why = format_args!("{topic} should refuse the join: {status} {response}");
                self.client.fail(at, why);
            }
            response
        }
    }

    /// Closes the connection: every topic's `terminate` is called.
    ///
    /// # Panics
    ///
    /// If it has ended already.
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have closed the connection or not.
    #[track_caller]
    pub fn close(&self, code: u16) -> impl Future<Output = ()> {
        let at = Location::caller();
        async move {
            self.client.note(format_args!("close {code}"));
            let frame = CloseFrame {
                code: code.into(),
                reason: "".into(),
            };
            self.client.send(at, Message::Close(Some(frame))).await;
            self.client.ended(at).await;
            self.client.common.clock.settle().await;
        }
    }

    /// Waits until the server ends the connection: the code and the reason.
    ///
    /// # Panics
    ///
    /// If it does not in time.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    #[track_caller]
    pub fn assert_disconnected(&self) -> impl Future<Output = (u16, String)> {
        let at = Location::caller();
        async move { self.client.ended(at).await }
    }

    async fn ask(&self, at: &Location<'_>, topic: &str, payload: Value) -> (String, String, Value) {
        let client = &self.client;
        let join_ref = client.reference();
        let text = frame::text(Some(&join_ref), &join_ref, topic, "phx_join", &payload);
        client.note(&text);
        client.send(at, Message::text(text)).await;
        let expected = format_args!("an answer to the join of {topic}");
        let answer = client.expect(at, expected, |mail| {
            mail.event == frame::REPLY && mail.reference.as_ref() == Some(&join_ref)
        });
        let answer = answer.await;
        let response = answer.json().cloned().unwrap_or_default();
        (join_ref, answer.status.unwrap_or_default(), response)
    }

    async fn members(&self, at: &Location<'_>, topic: &str) -> Vec<Member> {
        let group = GroupName::topic(topic);
        let members = self.client.layer.group_members(&group).try_collect().await;
        members.unwrap_or_else(|error| {
            let why = format_args!("who is in {topic} is not known: {error}");
            self.client.fail(at, why)
        })
    }

    fn json<T: Serialize + ?Sized>(&self, at: &Location<'_>, payload: &T) -> Value {
        serde_json::to_value(payload)
            .unwrap_or_else(|error| self.client.fail(at, format_args!("no JSON: {error}")))
    }
}

impl fmt::Debug for TopicTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TopicTest")
            .field("name", &self.client.name)
            .finish_non_exhaustive()
    }
}
