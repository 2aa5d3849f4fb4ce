//! Which consumer gets what: by path, by channel, by fields; first match wins.

mod content;
mod error;
mod filter;
mod pin;
mod table;
mod template;
mod websocket;

use std::sync::Arc;

use towpath_layer_core::{ChannelLayer, ChannelName, channels};

use crate::consumer::{Consumer, Methods};
use crate::handler::{Consume, Handler, erase};
use crate::middleware::{Middleware, wrap};
use crate::topics::{Histories, Mount, SocketMount, TopicRoutes, TopicSocket, Topics};

pub use error::{RouteError, RouteErrors};
pub use filter::{Field, Filter, field, header, query};
pub(crate) use table::{ChannelRoute, Routes, SocketRoute};
use template::PathSpec;
pub use websocket::{IntoWebsocket, Websocket, websocket};

/// The shared channels on which events come.
const EVENT_CHANNELS: [&str; 4] = [
    channels::CONNECT,
    channels::RECEIVE,
    channels::EVENT,
    channels::DISCONNECT,
];

/// Which consumer gets what. It is a list: the first entry that fits wins.
///
/// A path matches whole, its percent-encoding resolved; a trailing slash makes
/// another path. A connection to a path that no route has is denied with 404.
/// Mistakes are collected and shown, all at once, by
/// [`check`](Self::check) and [`Worker::new`](crate::Worker::new).
///
/// ```
/// use towpath_worker::{Path, Payload, Result, Router, Socket, Text, field, websocket};
///
/// async fn echo(Path(room): Path<String>, Text(text): Text, socket: Socket) -> Result {
///     socket.text(format!("{room}: {text}")).await
/// }
///
/// async fn resize(Payload(path): Payload<String>) {}
///
/// let api = Router::new().route_regex(r"^/(?<room>[a-z]+)$", websocket().receive(echo));
/// let router = Router::new()
///     .route("/echo/{room}", websocket().receive(echo))
///     .nest("/api", api)
///     .channel_when("jobs.run", field("kind").equals("resize"), resize);
/// assert_eq!(router.paths(), ["^/echo/(?<room>[^/]+)$", "^/api(?:/(?<room>[a-z]+))$"]);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Router {
    entries: Vec<Entry>,
}

#[derive(Debug, Clone)]
enum Entry {
    Socket(SocketEntry),
    Mount(MountEntry),
    Channel(ChannelEntry),
}

#[derive(Debug, Clone)]
struct SocketEntry {
    path: PathSpec,
    filter: Filter,
    consumers: Websocket,
}

#[derive(Debug, Clone)]
struct MountEntry {
    path: PathSpec,
    mount: Mount,
}

#[derive(Debug, Clone)]
struct ChannelEntry {
    name: String,
    filter: Filter,
    consumer: Arc<dyn Consume>,
}

impl Router {
    /// No routes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Connections to a path. `{name}` stands for one whole segment and is a
    /// parameter.
    #[must_use]
    pub fn route(self, path: &str, consumers: impl IntoWebsocket) -> Self {
        self.connections(PathSpec::template(path), Filter::default(), consumers)
    }

    /// Connections to a path whose handshake, or events of it whose fields,
    /// fit a filter.
    ///
    /// A filter that looks at the handshake (headers, query, `scheme`,
    /// `client`, `subprotocol`) decides once, at connect: later events of the
    /// conversation go the same way. A filter that looks at `text` or `event`
    /// decides for each event.
    #[must_use]
    pub fn route_when(self, path: &str, filter: Filter, consumers: impl IntoWebsocket) -> Self {
        self.connections(PathSpec::template(path), filter, consumers)
    }

    /// Connections to a path that matches a regular expression, whole, with or
    /// without `^` and `$`. Named groups are parameters.
    #[must_use]
    pub fn route_regex(self, path: &str, consumers: impl IntoWebsocket) -> Self {
        self.connections(PathSpec::regex(path), Filter::default(), consumers)
    }

    /// A socket that carries topics, mounted at a path: clients of Phoenix reach
    /// it there, and at its `/websocket` and `/longpoll`. Parameters of the path
    /// are among those that the socket's type connects with.
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
    /// let router = Router::new().socket("/socket", topics::<UserSocket>().topic::<Room>("room:*"));
    /// assert!(router.paths().is_empty());
    /// assert_eq!(router.mounts()[0].path, "^/socket$");
    /// ```
    #[must_use]
    pub fn socket<S: TopicSocket>(mut self, path: &str, topics: TopicRoutes<S>) -> Self {
        self.entries.push(Entry::Mount(MountEntry {
            path: PathSpec::template(path),
            mount: topics.into_mount(),
        }));
        self
    }

    /// Another router's entries, their paths behind a prefix; it begins with
    /// `/`, does not end with one, and may have parameters. Channels are taken
    /// as they are.
    #[must_use]
    pub fn nest(mut self, prefix: &str, router: Self) -> Self {
        let nested = router.entries.into_iter().map(|entry| match entry {
            Entry::Socket(entry) => Entry::Socket(SocketEntry {
                path: entry.path.nested(prefix),
                ..entry
            }),
            Entry::Mount(entry) => Entry::Mount(MountEntry {
                path: entry.path.nested(prefix),
                ..entry
            }),
            Entry::Channel(entry) => Entry::Channel(entry),
        });
        self.entries.extend(nested);
        self
    }

    /// Messages on a channel of the application.
    #[must_use]
    pub fn channel<H: Handler<A>, A: 'static>(self, name: &str, consumer: H) -> Self {
        self.channel_when(name, Filter::default(), consumer)
    }

    /// Messages on a channel of the application that fit a filter.
    #[must_use]
    pub fn channel_when<H: Handler<A>, A: 'static>(
        mut self,
        name: &str,
        filter: Filter,
        consumer: H,
    ) -> Self {
        self.entries.push(Entry::Channel(ChannelEntry {
            name: name.to_owned(),
            filter,
            consumer: erase(consumer),
        }));
        self
    }

    /// Messages on the channels of a consumer that is a value with methods.
    #[must_use]
    pub fn consumer<C: Consumer>(mut self, consumer: C) -> Self {
        let methods = consumer.methods(Methods::new()).bind(consumer);
        let entries = methods.into_iter().map(|(name, filter, consumer)| {
            Entry::Channel(ChannelEntry {
                name,
                filter,
                consumer,
            })
        });
        self.entries.extend(entries);
        self
    }

    /// Wraps the consumers of all entries so far in a tower layer; see
    /// [`Websocket::middleware`].
    #[must_use]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a layer is made where it is added"
    )]
    pub fn middleware(mut self, layer: impl Middleware) -> Self {
        for entry in &mut self.entries {
            match entry {
                Entry::Socket(entry) => {
                    entry.consumers = std::mem::take(&mut entry.consumers).wrapped(&layer);
                }
                Entry::Mount(entry) => entry.mount = entry.mount.clone().wrapped(&layer),
                Entry::Channel(entry) => entry.consumer = wrap(&entry.consumer, &layer),
            }
        }
        self
    }

    fn connections(
        mut self,
        path: PathSpec,
        filter: Filter,
        consumers: impl IntoWebsocket,
    ) -> Self {
        self.entries.push(Entry::Socket(SocketEntry {
            path,
            filter,
            consumers: consumers.into_websocket(),
        }));
        self
    }

    /// The paths that have routes, as anchored regular expressions, each once:
    /// what an interface server needs to know. Those of sockets with topics are
    /// [`mounts`](Self::mounts). Paths that are not valid are left out; [`check`](Self::check) names them.
    #[must_use]
    pub fn paths(&self) -> Vec<String> {
        let mut paths: Vec<String> = Vec::new();
        for entry in &self.entries {
            if let Entry::Socket(entry) = entry
                && let Ok(pattern) = entry.path.compile()
                && !paths.iter().any(|known| known == pattern.source())
            {
                paths.push(pattern.source().to_owned());
            }
        }
        paths
    }

    /// The sockets that carry topics: what an interface server needs to know of
    /// them. Paths that are not valid are left out; [`check`](Self::check) names
    /// them.
    #[must_use]
    pub fn mounts(&self) -> Vec<SocketMount> {
        let mounts = self.entries.iter().filter_map(|entry| match entry {
            Entry::Mount(entry) => Some(entry.mount.at(entry.path.compile().ok()?.source())),
            Entry::Socket(_) | Entry::Channel(_) => None,
        });
        mounts.collect()
    }

    /// The topics of an application with these routes, for code that is no
    /// consumer: it knows which of them keep a history.
    #[must_use]
    pub fn topics(&self, layer: Arc<dyn ChannelLayer>) -> Topics {
        Topics::with(layer, self.histories())
    }

    /// Which topics keep a history.
    pub(crate) fn histories(&self) -> Histories {
        Histories::new(self.entries.iter().map(|entry| match entry {
            Entry::Socket(entry) => entry.consumers.topics.clone(),
            Entry::Mount(entry) => entry.mount.kept(),
            Entry::Channel(_) => Vec::new(),
        }))
    }

    /// The channels that a worker receives from, each once. Names that are not
    /// valid are left out; [`check`](Self::check) names them.
    #[must_use]
    pub fn channels(&self) -> Vec<ChannelName> {
        let mut names: Vec<&str> = Vec::new();
        let has_sockets = |entry: &Entry| matches!(entry, Entry::Socket(_) | Entry::Mount(_));
        if self.entries.iter().any(has_sockets) {
            names.extend(EVENT_CHANNELS);
        }
        for entry in &self.entries {
            if let Entry::Channel(entry) = entry
                && !names.contains(&entry.name.as_str())
            {
                names.push(&entry.name);
            }
        }
        names.into_iter().flat_map(ChannelName::new).collect()
    }

    /// Whether every route can work, with these values of the application.
    ///
    /// # Errors
    ///
    /// Every mistake in every route.
    pub fn check(&self, states: &crate::States) -> Result<(), RouteErrors> {
        Routes::new(self, states).map(|_| ())
    }
}
