//! What is mounted at a path: a socket and its topics.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use towpath_layer_core::History;

use super::assigned::assign;
use super::names;
use super::{Kept, TopicConsumer, TopicPattern, TopicSocket, run, socket};
use crate::middleware::Middleware;
use crate::router::Websocket;

/// Topics of one connection, unless it is said otherwise.
const MAX_TOPICS: usize = 100;
/// How long a poll waits, unless it is said otherwise.
const LONGPOLL_WINDOW: Duration = Duration::from_secs(10);
/// After how long Phoenix's client takes a poll for lost.
const LONGPOLL_PATIENCE: Duration = Duration::from_secs(20);

/// A socket and its topics, for
/// [`Router::socket`](crate::Router::socket); see [`topics`].
pub struct TopicRoutes<S> {
    mount: Mount,
    socket: PhantomData<fn() -> S>,
}

/// What is mounted.
#[derive(Debug, Clone)]
pub(crate) struct Mount {
    pub(crate) root: Websocket,
    pub(crate) topics: Vec<TopicEntry>,
    websocket: bool,
    longpoll: bool,
    longpoll_window: Duration,
    max_topics: usize,
    versions: Vec<Vsn>,
    message_size_max: Option<usize>,
    auth_token: bool,
    subprotocols: Vec<String>,
    origins: Vec<String>,
    idle_timeout: Option<Duration>,
}

/// A version of the protocol, by which a client asks for its serializer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Vsn {
    /// `vsn=1.0.0`, or none: JSON objects.
    V1,
    /// `vsn=2.0.0`: JSON arrays and binary frames.
    V2,
}

/// The consumers of topics that begin alike.
#[derive(Debug, Clone)]
pub(crate) struct TopicEntry {
    pub(crate) pattern: String,
    intercepts: &'static [&'static str],
    history: Option<History>,
    pub(crate) consumers: Websocket,
}

/// What an interface server needs to know of a socket that is mounted: plain
/// data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketMount {
    /// The path without the transport's suffix, as an anchored regular
    /// expression.
    pub path: String,
    /// Its topics; the first that matches counts.
    pub topics: Vec<TopicSpec>,
    /// Whether it is reached by `/websocket`.
    pub websocket: bool,
    /// Whether it is reached by `/longpoll`.
    pub longpoll: bool,
    /// How long a poll waits.
    pub longpoll_window: Duration,
    /// How many topics one connection has joined at most.
    pub max_topics: usize,
    /// The versions of the protocol that are spoken.
    pub versions: Vec<Vsn>,
    /// The largest message of a client, in bytes; the server's limit without.
    pub message_size_max: Option<usize>,
    /// Whether a token is taken out of the subprotocols.
    pub auth_token: bool,
    /// The subprotocols that are spoken; any without.
    pub subprotocols: Vec<String>,
    /// The pages that may connect; those of the server without.
    pub origins: Vec<String>,
    /// After how long without a byte of it a client is closed.
    pub idle_timeout: Option<Duration>,
}

/// Topics that have a consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSpec {
    /// A topic, or the beginning of topics and `*`.
    pub pattern: String,
    /// The broadcasts that the consumer sees before its client does.
    pub intercepts: Vec<String>,
}

/// A socket of type `S` without topics.
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
/// let topics = topics::<UserSocket>().topic::<Room>("room:*").longpoll(true).max_topics(10);
/// let router = Router::new().socket("/socket", topics);
/// assert_eq!(router.mounts()[0].topics[0].pattern, "room:*");
/// ```
#[must_use]
pub fn topics<S: TopicSocket>() -> TopicRoutes<S> {
    TopicRoutes {
        mount: Mount {
            root: socket::root::<S>(),
            topics: Vec::new(),
            websocket: true,
            longpoll: false,
            longpoll_window: LONGPOLL_WINDOW,
            max_topics: MAX_TOPICS,
            versions: vec![Vsn::V1, Vsn::V2],
            message_size_max: None,
            auth_token: false,
            subprotocols: Vec::new(),
            origins: Vec::new(),
            idle_timeout: None,
        },
        socket: PhantomData,
    }
}

impl<S: TopicSocket> TopicRoutes<S> {
    /// Who takes a topic, or all that begin alike: `lobby`, `room:*`. The first
    /// pattern that matches wins.
    #[must_use]
    pub fn topic<C: TopicConsumer<Socket = S>>(self, pattern: &str) -> Self {
        self.entry::<C>(pattern, run::consumers::<C>())
    }

    /// As [`topic`](Self::topic), with a value of the route's: what differs
    /// between the patterns of one type. Each of its topics has it by
    /// [`Topic::assigned`](super::Topic::assigned).
    ///
    /// ```
    /// # use serde::{Deserialize, Serialize};
    /// # use towpath_worker::*;
    /// # #[derive(Serialize, Deserialize)]
    /// # struct UserSocket;
    /// # impl TopicSocket for UserSocket {
    /// #     async fn connect(_: SocketParams, _: &ConnectInfo) -> Result<Self> { Ok(Self) }
    /// # }
    /// struct Seats(usize);
    ///
    /// # #[derive(Serialize, Deserialize)]
    /// # struct Room;
    /// impl TopicConsumer for Room {
    ///     type Socket = UserSocket;
    ///
    ///     async fn join(_: TopicPayload, _: &UserSocket, topic: &Topic) -> Result<Joined<Self>> {
    ///         let seats = topic.assigned::<Seats>().map_or(10, |seats| seats.0);
    ///         Ok(Joined::ok(Self).with(&serde_json::json!({"seats": seats})))
    ///     }
    /// }
    ///
    /// let topics = topics::<UserSocket>()
    ///     .topic_with::<Room>("hall:*", Seats(500))
    ///     .topic::<Room>("room:*");
    /// # Router::new().socket("/socket", topics).check(&States::new())?;
    /// # Ok::<(), RouteErrors>(())
    /// ```
    #[must_use]
    pub fn topic_with<C: TopicConsumer<Socket = S>>(
        self,
        pattern: &str,
        assigned: impl Send + Sync + 'static,
    ) -> Self {
        let consumers = assign(run::consumers::<C>(), assigned);
        self.entry::<C>(pattern, consumers)
    }

    fn entry<C: TopicConsumer<Socket = S>>(mut self, pattern: &str, consumers: Websocket) -> Self {
        self.mount.topics.push(TopicEntry {
            pattern: pattern.to_owned(),
            intercepts: C::INTERCEPT,
            history: C::HISTORY,
            consumers,
        });
        self
    }

    /// Whether the socket is reached by WebSocket, at the path and
    /// `/websocket`. Default: yes.
    #[must_use]
    pub fn websocket(mut self, on: bool) -> Self {
        self.mount.websocket = on;
        self
    }

    /// Whether the socket is reached by long-polling, at the path and
    /// `/longpoll`. Default: no.
    #[must_use]
    pub fn longpoll(mut self, on: bool) -> Self {
        self.mount.longpoll = on;
        self
    }

    /// How long a poll waits for a message before it is answered with none; a
    /// session that nobody polls for one and a half of it ends. Each line of a
    /// request that brings messages has this long to be taken, too; after that
    /// 408, and the rest is left out. More than 0 and less than 20 s, after which
    /// the client of Phoenix takes its poll for lost; checked at start. Default:
    /// 10 s.
    #[must_use]
    pub fn longpoll_window(mut self, window: Duration) -> Self {
        self.mount.longpoll_window = window;
        self
    }

    /// How many topics one connection has joined at most; a join beyond that is
    /// answered with an error. Default: 100.
    #[must_use]
    pub fn max_topics(mut self, max_topics: usize) -> Self {
        self.mount.max_topics = max_topics;
        self
    }

    /// The versions of the protocol that are spoken; a client that asks for
    /// another is refused with 403. Default: both.
    #[must_use]
    pub fn versions(mut self, versions: impl IntoIterator<Item = Vsn>) -> Self {
        self.mount.versions = versions.into_iter().collect();
        self
    }

    /// The largest message of a client, in bytes: a larger one closes its
    /// WebSocket with 1009, and is answered with 400 where it polls. Default, and
    /// at most: `server.message_size_max`.
    #[must_use]
    pub fn message_size_max(mut self, bytes: usize) -> Self {
        self.mount.message_size_max = Some(bytes);
        self
    }

    /// Whether clients send a token outside of the URL, for
    /// [`ConnectInfo::auth_token`](super::ConnectInfo::auth_token); without,
    /// consumers see none. Default: no.
    #[must_use]
    pub fn auth_token(mut self, on: bool) -> Self {
        self.mount.auth_token = on;
        self
    }

    /// The subprotocols that are spoken, besides `phoenix` with
    /// [`auth_token`](Self::auth_token): the first that a client offers is
    /// answered, and one that offers only others is refused with 403. Default:
    /// any, and only `phoenix` is answered.
    #[must_use]
    pub fn subprotocols<T: Into<String>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        self.mount.subprotocols = names.into_iter().map(Into::into).collect();
        self
    }

    /// The pages that may connect, in place of `server.origins`: origins as
    /// `https://example.org`, patterns as `//example.org` (any scheme and port),
    /// `//example.org:4000` and `//*.example.org` (the domain and all below it),
    /// or `*` alone for all.
    #[must_use]
    pub fn origins<T: Into<String>>(mut self, origins: impl IntoIterator<Item = T>) -> Self {
        self.mount.origins = origins.into_iter().map(Into::into).collect();
        self
    }

    /// After how long without a byte of it a client is closed, with 1002; twice
    /// the period of its heartbeats at least. Default: never, for the server's
    /// pings find out who is gone.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.mount.idle_timeout = Some(timeout);
        self
    }

    /// Wraps the consumers of the socket and of all topics so far in a tower
    /// layer; see [`Websocket::middleware`].
    #[must_use]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a layer is made where it is added"
    )]
    pub fn middleware(mut self, layer: impl Middleware) -> Self {
        self.mount = self.mount.wrapped(&layer);
        self
    }

    pub(crate) fn into_mount(self) -> Mount {
        self.mount
    }
}

impl<S> fmt::Debug for TopicRoutes<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.mount.fmt(f)
    }
}

impl Mount {
    pub(crate) fn wrapped(mut self, layer: &impl Middleware) -> Self {
        self.root = self.root.wrapped(layer);
        for topic in &mut self.topics {
            topic.consumers = std::mem::take(&mut topic.consumers).wrapped(layer);
        }
        self
    }

    /// As an interface server needs to know it.
    pub(crate) fn at(&self, path: &str) -> SocketMount {
        let topics = self.topics.iter().map(|topic| TopicSpec {
            pattern: topic.pattern.clone(),
            intercepts: topic.intercepts.iter().map(|&name| name.into()).collect(),
        });
        SocketMount {
            path: path.to_owned(),
            topics: topics.collect(),
            websocket: self.websocket,
            longpoll: self.longpoll,
            longpoll_window: self.longpoll_window,
            max_topics: self.max_topics,
            versions: self.versions.clone(),
            message_size_max: self.message_size_max,
            auth_token: self.auth_token,
            subprotocols: self.subprotocols.clone(),
            origins: self.origins.clone(),
            idle_timeout: self.idle_timeout,
        }
    }

    /// What its topics keep; a pattern that is not valid keeps nothing.
    pub(crate) fn kept(&self) -> Vec<Kept> {
        let kept = self.topics.iter().filter_map(|topic| {
            Some(Kept {
                pattern: TopicPattern::new(&topic.pattern).ok()?,
                history: topic.history,
            })
        });
        kept.collect()
    }

    /// What cannot work, apart from the topics.
    pub(crate) fn check(&self) -> Result<(), String> {
        if !self.websocket && !self.longpoll {
            return Err("the socket is reached neither by websocket nor by longpoll".to_owned());
        }
        if self.topics.is_empty() {
            return Err("the socket has no topics".to_owned());
        }
        if self.versions.is_empty() {
            return Err("versions is empty, at least 1 has to be spoken".to_owned());
        }
        self.check_limits()?;
        self.check_names()
    }

    fn check_limits(&self) -> Result<(), String> {
        if self.longpoll_window.is_zero() {
            return Err("longpoll_window is 0, a poll has to wait for a while".to_owned());
        }
        if self.longpoll_window >= LONGPOLL_PATIENCE {
            return Err(format!(
                "longpoll_window is {:?}, expected less than 20 s: clients take a poll of that \
                 length for lost",
                self.longpoll_window
            ));
        }
        if self.max_topics == 0 {
            return Err("max_topics is 0, at least 1 topic has to be joined".to_owned());
        }
        if self.message_size_max == Some(0) {
            return Err("message_size_max is 0, no message would fit".to_owned());
        }
        if self.idle_timeout.is_some_and(|timeout| timeout.is_zero()) {
            return Err("idle_timeout is 0, every client would be closed at once".to_owned());
        }
        Ok(())
    }

    fn check_names(&self) -> Result<(), String> {
        let mut subprotocols = self.subprotocols.iter();
        if let Some(name) = subprotocols.find(|name| !is_token(name)) {
            return Err(format!(
                "the subprotocol {name:?} cannot be offered: expected letters, digits and \
                 \"!#$%&'*+-.^_`|~\""
            ));
        }
        // The interface server knows what else an origin is.
        let mut origins = self.origins.iter();
        let alone = self.origins.len() == 1;
        match origins.find(|origin| !(origin.contains("//") || (alone && *origin == "*"))) {
            Some(origin) => Err(format!(
                "the origin {origin:?} is none: expected https://example.org, //example.org, \
                 //*.example.org, or * alone"
            )),
            None => Ok(()),
        }
    }
}

/// Whether this is a token of RFC 9110 §5.6.2.
fn is_token(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(allowed)
}

impl TopicEntry {
    /// Its pattern, if that can match anything that `before` leaves.
    pub(crate) fn compile(&self, before: &[TopicPattern]) -> Result<TopicPattern, String> {
        let pattern = TopicPattern::new(&self.pattern)?;
        if before.iter().any(|other| other.covers(&pattern)) {
            return Err("a topic before it takes all that it would take".to_owned());
        }
        match self
            .intercepts
            .iter()
            .find(|name| names::is_reserved_event(name))
        {
            Some(name) => Err(format!(
                "it intercepts {name:?}, an event of the protocol's own"
            )),
            None => Ok(pattern),
        }
    }
}
