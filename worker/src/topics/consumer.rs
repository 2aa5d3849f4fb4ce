//! A type as the consumer of a topic: its fields are the session.

use std::future::Future;

use serde::Serialize;
use serde::de::DeserializeOwned;

use towpath_layer_core::History;

use super::assigned::assign;
use super::{
    Answer, Info, Joined, Present, Terminated, Topic, TopicPayload, TopicSocket, Watch, plain,
};
use crate::error::UnknownEvent;
use crate::extract::short_name;
use crate::router::Websocket;
use crate::{Error, Result};

/// A type as the consumer of a topic. A value of it is one client in one topic,
/// and its fields are that conversation's session: they travel with each event
/// and go back with its completion. So any worker can take the next event, and
/// a restart of every worker loses nothing.
///
/// When a method returns an error the fields are as they were before it.
///
/// | a method returns | at a join | later |
/// |---|---|---|
/// | [`Error::rejected`], [`Error::bad_payload`] | it is refused with `{"reason": …}` | an error reply `{"reason": …}`, and the topic lives on |
/// | [`Error::deny`] | it is refused, the body is the reason | as any other |
/// | [`Error::close`] | it is refused, with the reason | the same reply, and the topic ends |
/// | any other, or it panics | `join crashed` | `phx_error`, and the client joins again |
/// | [`Error::retry`] | it comes once more | it comes once more |
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use towpath_worker::{
///     Answer, ConnectInfo, Joined, Result, Router, SocketParams, Topic, TopicConsumer,
///     TopicPayload, TopicSocket, topics,
/// };
///
/// #[derive(Serialize, Deserialize)]
/// struct UserSocket {
///     user: String,
/// }
///
/// impl TopicSocket for UserSocket {
///     async fn connect(params: SocketParams, _: &ConnectInfo) -> Result<Self> {
///         Ok(params.parse()?)
///     }
/// }
///
/// #[derive(Serialize, Deserialize)]
/// struct Room {
///     user: String,
///     said: u32,
/// }
///
/// #[derive(Serialize, Deserialize)]
/// struct Message {
///     body: String,
/// }
///
/// impl TopicConsumer for Room {
///     type Socket = UserSocket;
///
///     async fn join(_: TopicPayload, socket: &UserSocket, _: &Topic) -> Result<Joined<Self>> {
///         let user = socket.user.clone();
///         Ok(Joined::ok(Self { user, said: 0 }))
///     }
///
///     async fn handle_in(
///         &mut self,
///         event: &str,
///         payload: TopicPayload,
///         topic: &Topic,
///     ) -> Result<Answer> {
///         match event {
///             "new_msg" => {
///                 let message: Message = payload.json()?;
///                 topic.broadcast("new_msg", &message).await?;
///                 self.said += 1;
///                 Ok(Answer::ok(&serde_json::json!({"said": self.said})))
///             }
///             _ => Err(topic.unknown(event)),
///         }
///     }
/// }
///
/// let router = Router::new().socket("/socket", topics::<UserSocket>().topic::<Room>("room:*"));
/// # router.check(&towpath_worker::States::new())?;
/// # Ok::<(), towpath_worker::RouteErrors>(())
/// ```
pub trait TopicConsumer: Serialize + DeserializeOwned + Send + Sync + Sized + 'static {
    /// The sockets that it can be joined on.
    type Socket: TopicSocket;

    /// The broadcasts, by their events, that [`handle_out`](Self::handle_out)
    /// wants to see before this client does. Each costs an event for each
    /// member; all others are encoded once for all. Default: none.
    const INTERCEPT: &'static [&'static str] = &[];

    /// What this client is told of who is present in the topic, from the answer
    /// to its join on; [`Topic::track`] makes it present itself. A client of
    /// Phoenix keeps its list by that. Each change is told to each who watches:
    /// mind large topics. Default: nothing.
    const PRESENCE: Watch = Watch::No;

    /// How much of the topic's past is kept. Each broadcast then carries where
    /// it stands as `last_seen_id`, and so does the answer to a join, if they
    /// are JSON objects. A client that joins again with the one that it saw
    /// last in its payload (as `last_seen_id`, of a stream of a demultiplexer as
    /// `last_seen_id.` and the stream's name) is told what it missed, in order,
    /// behind the answer; `"resync": true` in that says that more was missed than
    /// is kept: it begins anew. Bytes are kept, too, but carry nothing. Default:
    /// nothing.
    ///
    /// All who broadcast to the topic have to know: consumers do by the routes,
    /// [`Topics::new`](super::Topics::new) by
    /// [`with_history`](super::Topics::with_history).
    const HISTORY: Option<History> = None;

    /// How many of the latest messages of [`HISTORY`](Self::HISTORY) a client is
    /// told that has seen none; 1000 at most. Default: 0.
    const HISTORY_ON_JOIN: u32 = 0;

    /// A client wants to join: makes the value, or refuses.
    ///
    /// Once it has returned, the topic's group is joined, then the client has
    /// the response, and then what was pushed or broadcast here goes out. So a
    /// broadcast reaches this client, too, and is not sent if it refuses.
    ///
    /// # Errors
    ///
    /// Whatever keeps the client from joining.
    fn join(
        payload: TopicPayload,
        socket: &Self::Socket,
        topic: &Topic,
    ) -> impl Future<Output = Result<Joined<Self>>> + Send;

    /// A message of the client arrived. Default: it is the client's mistake.
    ///
    /// # Errors
    ///
    /// As the table above says.
    fn handle_in(
        &mut self,
        event: &str,
        payload: TopicPayload,
        topic: &Topic,
    ) -> impl Future<Output = Result<Answer>> + Send {
        let _default = payload;
        async move { Err(topic.unknown(event)) }
    }

    /// A broadcast of [`INTERCEPT`](Self::INTERCEPT) is on its way to this
    /// client, which gets only what is pushed here. Default: it is pushed as it
    /// is.
    ///
    /// In a topic that keeps its [`HISTORY`](Self::HISTORY) the payload carries
    /// `last_seen_id`. What is pushed in its place has to carry it, too:
    /// otherwise the client does not know how far it has come, and is told again
    /// when it joins again.
    ///
    /// # Errors
    ///
    /// As the table above says; the client then gets nothing of it.
    fn handle_out(
        &mut self,
        event: &str,
        payload: TopicPayload,
        topic: &Topic,
    ) -> impl Future<Output = Result> + Send {
        async move { topic.push_payload(event, payload).await }
    }

    /// Something came that no client said: a tick, an event of the application,
    /// a broadcast of a topic that was subscribed to. Default: an event is
    /// warned about, a broadcast ignored.
    ///
    /// # Errors
    ///
    /// As the table above says.
    fn handle_info(&mut self, info: Info, topic: &Topic) -> impl Future<Output = Result> + Send {
        let _ = topic;
        async move {
            let Info::Event(event) = info else {
                return Ok(());
            };
            let (this, name) = (short_name::<Self>(), event.name);
            Err(UnknownEvent(format!("{this} takes no event {name:?}")).into())
        }
    }

    /// Completes what the consumer tracked or updated in one event, before
    /// anybody sees it: adds names from a database, for example, with one query
    /// for all of them. Default: they stay as they are.
    ///
    /// It runs here, once, and not for each node or client that is told; what it
    /// adds is stored with the presence, and counts to its size.
    ///
    /// ```
    /// # use serde::{Deserialize, Serialize};
    /// # use towpath_worker::*;
    /// # #[derive(Serialize, Deserialize)]
    /// # struct UserSocket { user: String }
    /// # impl TopicSocket for UserSocket {
    /// #     async fn connect(params: SocketParams, _: &ConnectInfo) -> Result<Self> {
    /// #         Ok(params.parse()?)
    /// #     }
    /// # }
    /// # struct Users;
    /// # impl Users {
    /// #     async fn names(&self, _: Vec<String>) -> Result<Vec<String>> { Ok(Vec::new()) }
    /// # }
    /// # #[derive(Serialize, Deserialize)]
    /// # struct Room;
    /// impl TopicConsumer for Room {
    ///     type Socket = UserSocket;
    ///     const PRESENCE: Watch = Watch::Diffs;
    ///
    ///     async fn join(_: TopicPayload, socket: &UserSocket, topic: &Topic) -> Result<Joined<Self>> {
    ///         topic.track(socket.user.clone(), &serde_json::json!({"typing": false}))?;
    ///         Ok(Joined::ok(Self))
    ///     }
    ///
    ///     async fn fetch(presents: &mut [Present], topic: &Topic) -> Result {
    ///         let keys = presents.iter().map(|present| present.key().to_owned());
    ///         let names = topic.state::<Users>()?.names(keys.collect()).await?;
    ///         for (present, name) in presents.iter_mut().zip(names) {
    ///             present.set("name", &name)?;
    ///         }
    ///         Ok(())
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// As if the consumer itself had returned them; nothing is tracked then.
    fn fetch(presents: &mut [Present], topic: &Topic) -> impl Future<Output = Result> + Send {
        let _default = (presents, topic);
        async { Ok(()) }
    }

    /// The conversation is over: the client left, its connection is gone, or
    /// another method has failed
    /// ([`Crashed`](super::TerminateReason::Crashed); Phoenix calls nothing
    /// then). It is not called if the join made no value, and finds the fields as
    /// the last method left them that succeeded. Default: nothing.
    ///
    /// A client that left still gets what is pushed here; it is no member of
    /// the topic any more.
    ///
    /// # Errors
    ///
    /// They are logged; there is nobody else to tell.
    fn terminate(
        &mut self,
        terminated: Terminated,
        topic: &Topic,
    ) -> impl Future<Output = Result> + Send {
        let _default = (terminated, topic);
        async { Ok(()) }
    }

    /// The same type without Phoenix: one topic as the consumers of a route, or
    /// of a stream of a demultiplexer. Parameters of the path stand in the
    /// topic as `{name}`.
    ///
    /// Its frames are JSON objects: `{"event", "payload", "ref", "topic"}` in,
    /// of which only `event` must be there, and `{"topic", "event", "ref",
    /// "payload"}` out, as version 1 of the protocol has them. The query's
    /// parameters are those of the socket, and the join's payload; a refused
    /// join denies the handshake with 403 and the response for a body, any
    /// other is followed by a first frame, a `phx_reply` with no `ref`. What
    /// answers a message is a `phx_reply` with its `ref`.
    ///
    /// Bytes fail there. [`Error::close`] closes the connection with its own
    /// code. Where a stream ends and the connection lives,
    /// [`terminate`](Self::terminate) untracks what was tracked. Two streams of
    /// one socket in the same topic have one membership in it: the last that
    /// joined is told.
    ///
    /// ```
    /// # use serde::{Deserialize, Serialize};
    /// # use towpath_worker::*;
    /// # #[derive(Serialize, Deserialize)]
    /// # struct UserSocket;
    /// # impl TopicSocket for UserSocket {
    /// #     async fn connect(_: SocketParams, _: &ConnectInfo) -> Result<Self> { Ok(Self) }
    /// # }
    /// # #[derive(Serialize, Deserialize)]
    /// # struct Room;
    /// # impl TopicConsumer for Room {
    /// #     type Socket = UserSocket;
    /// #     async fn join(_: TopicPayload, _: &UserSocket, _: &Topic) -> Result<Joined<Self>> {
    /// #         Ok(Joined::ok(Self))
    /// #     }
    /// # }
    /// let router = Router::new()
    ///     .socket("/socket", topics::<UserSocket>().topic::<Room>("room:*"))
    ///     .route("/rooms/{room}", Room::websocket("room:{room}"))
    ///     .route("/all", demultiplexer().stream("lobby", Room::websocket("room:lobby")));
    /// # router.check(&States::new())?;
    /// # Ok::<(), RouteErrors>(())
    /// ```
    #[must_use]
    fn websocket(topic: &str) -> Websocket {
        plain::websocket::<Self>(topic)
    }

    /// The same, with a value of the route's for [`Topic::assigned`].
    #[must_use]
    fn websocket_with<T: Send + Sync + 'static>(topic: &str, assigned: T) -> Websocket {
        assign(Self::websocket(topic), assigned)
    }
}

impl Topic {
    /// For [`handle_in`](TopicConsumer::handle_in): there is no such event.
    #[must_use]
    pub fn unknown(&self, event: &str) -> Error {
        Error::rejected(format!("there is no event {event:?}"))
    }
}
