//! Which paths are WebSocket paths, and which of them speak Phoenix.

use std::sync::Arc;
use std::time::Duration;

use regex::{Regex, RegexSet};

use crate::config::Origins;
use crate::origin::is_origin_pattern;
use crate::protocol::phoenix::{self, Serializer};

/// How many topics one socket may join at once, unless its mount says otherwise.
const TOPICS_MAX: usize = 100;

/// How long a poll waits, unless its mount says otherwise.
const LONGPOLL_WINDOW: Duration = Duration::from_secs(10);

/// The paths on which the workers' router expects sockets.
#[derive(Debug, Clone)]
pub struct Routes {
    paths: RegexSet,
    mounts: Vec<Arc<Mount>>,
}

/// Where clients of Phoenix connect, and what they may join there.
///
/// `/websocket` and `/longpoll` behind the path are its transports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhoenixMount {
    /// The path, as an anchored regular expression.
    pub path: String,
    /// The topics, in the order in which they were declared: the first whose
    /// pattern takes a topic counts.
    pub topics: Vec<TopicRoute>,
    /// Whether it is reached by WebSocket. Default: yes.
    pub websocket: bool,
    /// Whether it is reached by long-poll. Default: no.
    pub longpoll: bool,
    /// Topics that one socket may have joined at a time; a join beyond it is
    /// answered with an error that names the limit. Default: 100.
    pub max_topics: usize,
    /// The versions of the protocol that are spoken; a client that asks for
    /// another is refused with 403. Default: both.
    pub serializers: Vec<Serializer>,
    /// The largest message of a client, in bytes, if that is less than
    /// [`ServerConfig::message_size_max`](crate::ServerConfig): a larger one
    /// closes its WebSocket with 1009, and is answered with 400 where it polls.
    /// Default: none.
    pub message_size_max: Option<usize>,
    /// How long a poll waits for a message. A session that nobody reads for one
    /// and a half of it ends. Each line of a request that brings messages has
    /// this long to be taken, too; after that 408, and the rest is left out.
    /// Default: 10 s.
    pub longpoll_window: Duration,
    /// Whether a token is taken from the offered subprotocols, or from the
    /// header `x-phoenix-authtoken`, for the consumers: they find it in that
    /// header, as text, and nowhere else. Without, both are dropped. Default:
    /// no.
    pub auth_token: bool,
    /// The subprotocols that are spoken, besides `phoenix` where tokens are
    /// taken: clients offer it with a token. One that offers only others is
    /// refused with 403. Default: none, and none is asked for.
    pub subprotocols: Vec<String>,
    /// The pages that may connect here, if not those of the server's
    /// configuration.
    pub origins: Option<Origins>,
    /// A client of which no byte comes for so long is closed with 1002. Default:
    /// none; pings find out who is gone.
    pub idle_timeout: Option<Duration>,
}

/// The topics of one consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicRoute {
    /// A topic, or a prefix of topics and then `*`.
    pub pattern: String,
    /// Events of broadcasts that the consumer sees before its client does.
    pub intercepts: Vec<String>,
}

impl PhoenixMount {
    /// A mount with the defaults and no topics.
    #[must_use]
    pub fn new(path: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            topics: Vec::new(),
            websocket: true,
            longpoll: false,
            longpoll_window: LONGPOLL_WINDOW,
            max_topics: TOPICS_MAX,
            serializers: vec![Serializer::V1, Serializer::V2],
            message_size_max: None,
            auth_token: false,
            subprotocols: Vec::new(),
            origins: None,
            idle_timeout: None,
        }
    }
}

/// A path, a pattern or an origin that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("a route cannot be read: {reason}")]
pub struct RoutesError {
    reason: String,
}

impl RoutesError {
    fn of(error: &dyn std::fmt::Display) -> Self {
        Self {
            reason: error.to_string(),
        }
    }
}

/// A mount, ready for use.
#[derive(Debug)]
pub(crate) struct Mount {
    path: Regex,
    pub(crate) topics: phoenix::Routes,
    intercepts: Vec<Vec<String>>,
    websocket: bool,
    longpoll: bool,
    pub(crate) longpoll_window: Duration,
    pub(crate) max_topics: usize,
    pub(crate) serializers: Vec<Serializer>,
    pub(crate) message_size_max: Option<usize>,
    pub(crate) auth_token: bool,
    pub(crate) subprotocols: Vec<String>,
    pub(crate) origins: Option<Origins>,
    pub(crate) idle_timeout: Option<Duration>,
}

/// Where a request enters.
#[derive(Debug, Clone)]
pub(crate) struct Entrance {
    /// The path that consumers are told: without a transport's suffix.
    pub(crate) path: String,
    /// If frames are those of Phoenix there.
    pub(crate) mount: Option<Arc<Mount>>,
}

impl Mount {
    fn new(mount: PhoenixMount) -> Result<Self, RoutesError> {
        check_origins(mount.origins.as_ref())?;
        let patterns = mount.topics.iter();
        let patterns = patterns.map(|topic| phoenix::Pattern::new(&topic.pattern));
        let patterns = patterns
            .collect::<Result<_, _>>()
            .map_err(|error| RoutesError::of(&error))?;
        Ok(Self {
            path: Regex::new(&mount.path).map_err(|error| RoutesError::of(&error))?,
            topics: phoenix::Routes::new(patterns),
            intercepts: mount
                .topics
                .into_iter()
                .map(|topic| topic.intercepts)
                .collect(),
            websocket: mount.websocket,
            longpoll: mount.longpoll,
            longpoll_window: mount.longpoll_window,
            max_topics: mount.max_topics,
            serializers: mount.serializers,
            message_size_max: mount.message_size_max,
            auth_token: mount.auth_token,
            subprotocols: mount.subprotocols,
            origins: mount.origins,
            idle_timeout: mount.idle_timeout,
        })
    }

    /// Whether a subprotocol is spoken: one of the mount's, or what clients of
    /// Phoenix offer with a token, and want answered (reference §1.10).
    pub(crate) fn speaks(&self, name: &str) -> bool {
        let phoenix = self.auth_token || self.subprotocols.is_empty();
        (phoenix && name == "phoenix") || self.subprotocols.iter().any(|known| known == name)
    }

    /// The largest message of a client, where so much is taken at most.
    pub(crate) fn message_size_max(&self, at_most: usize) -> usize {
        self.message_size_max.unwrap_or(at_most).min(at_most)
    }

    /// Whether the consumers of a route see any events before their clients do.
    pub(crate) fn intercepts_any(&self, route: usize) -> bool {
        let events = self.intercepts.get(route);
        events.is_some_and(|events| !events.is_empty())
    }

    /// Whether the consumers of a route see an event before their clients do.
    pub(crate) fn intercepts(&self, route: usize, event: &str) -> bool {
        let events = self.intercepts.get(route);
        events.is_some_and(|events| events.iter().any(|known| known == event))
    }
}

fn check_origins(origins: Option<&Origins>) -> Result<(), RoutesError> {
    let Some(Origins::List(list)) = origins else {
        return Ok(());
    };
    match list.iter().find(|origin| !is_origin_pattern(origin)) {
        Some(origin) => Err(RoutesError {
            reason: format!(
                "the origin {origin:?} is none: expected https://example.org, //example.org or \
                 //*.example.org"
            ),
        }),
        None => Ok(()),
    }
}

impl Entrance {
    /// The pages that may enter here, if it says so itself.
    pub(crate) fn origins<'a>(&'a self, otherwise: &'a Origins) -> &'a Origins {
        let mount = self.mount.as_ref();
        mount
            .and_then(|mount| mount.origins.as_ref())
            .unwrap_or(otherwise)
    }
}

impl Routes {
    /// Reads anchored regular expressions, one for each route.
    ///
    /// # Errors
    ///
    /// [`RoutesError`] if one of them is malformed or too large.
    ///
    /// # Examples
    ///
    /// ```
    /// use towpath_interface_server::Routes;
    ///
    /// let routes = Routes::new(["^/chat/[^/]+$".to_owned()])?;
    /// assert!(routes.matches("/chat/lobby"));
    /// # Ok::<(), towpath_interface_server::RoutesError>(())
    /// ```
    pub fn new(paths: impl IntoIterator<Item = String>) -> Result<Self, RoutesError> {
        Ok(Self {
            paths: RegexSet::new(paths).map_err(|error| RoutesError::of(&error))?,
            mounts: Vec::new(),
        })
    }

    /// The same with a mount more; the first whose path matches counts.
    ///
    /// # Errors
    ///
    /// [`RoutesError`] if its path, or the pattern of a topic, is malformed.
    ///
    /// # Examples
    ///
    /// ```
    /// use towpath_interface_server::{PhoenixMount, Routes};
    ///
    /// let routes = Routes::new([])?.mount(PhoenixMount::new("^/socket$"))?;
    /// assert!(routes.matches("/socket/websocket"));
    /// # Ok::<(), towpath_interface_server::RoutesError>(())
    /// ```
    pub fn mount(mut self, mount: PhoenixMount) -> Result<Self, RoutesError> {
        self.mounts.push(Arc::new(Mount::new(mount)?));
        Ok(self)
    }

    /// Whether a path, percent-decoded, is a WebSocket path.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        self.websocket(path).is_some()
    }

    /// Where a WebSocket enters that asks for a path, percent-decoded.
    pub(crate) fn websocket(&self, path: &str) -> Option<Entrance> {
        let mounted = path.strip_suffix("/websocket");
        let mounted = mounted.and_then(|path| self.mounted(path, |mount| mount.websocket));
        mounted.or_else(|| {
            let plain = self.paths.is_match(path);
            plain.then(|| Entrance {
                path: path.to_owned(),
                mount: None,
            })
        })
    }

    /// Where a request enters that polls a path, percent-decoded.
    pub(crate) fn longpoll(&self, path: &str) -> Option<Entrance> {
        let path = path.strip_suffix("/longpoll")?;
        self.mounted(path, |mount| mount.longpoll)
    }

    fn mounted(&self, path: &str, has: fn(&Mount) -> bool) -> Option<Entrance> {
        let mut mounts = self.mounts.iter();
        let mount = mounts.find(|mount| has(mount) && mount.path.is_match(path))?;
        Some(Entrance {
            path: path.to_owned(),
            mount: Some(Arc::clone(mount)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_routed_if_any_route_has_it() {
        let routes = Routes::new(["^/a$".to_owned(), "^/b/.+$".to_owned()]).unwrap();
        assert!(routes.matches("/a") && routes.matches("/b/1"));
        assert!(!routes.matches("/a/") && !routes.matches("/"));
        Routes::new(["(".to_owned()]).unwrap_err();
    }

    #[test]
    fn a_mount_is_reached_by_its_transports_alone() {
        let topic = |pattern: &str| TopicRoute {
            pattern: pattern.to_owned(),
            intercepts: vec!["new_msg".to_owned()],
        };
        let mount = PhoenixMount {
            topics: vec![topic("room:*")],
            ..PhoenixMount::new("^/socket$")
        };
        let closed = PhoenixMount {
            websocket: false,
            ..PhoenixMount::new("^/other$")
        };
        let routes = Routes::new([]).unwrap();
        let routes = routes.mount(mount).unwrap().mount(closed).unwrap();
        let entrance = routes.websocket("/socket/websocket").unwrap();
        assert_eq!(entrance.path, "/socket");
        let mount = entrance.mount.unwrap();
        assert!(mount.intercepts(0, "new_msg") && !mount.intercepts(0, "other"));
        assert!(!mount.intercepts(1, "new_msg"));
        for path in [
            "/socket",
            "/socket/longpoll",
            "/other/websocket",
            "/websocket",
        ] {
            assert!(!routes.matches(path), "{path}");
        }
        let bad = PhoenixMount {
            topics: vec![topic("*:a")],
            ..PhoenixMount::new("^/socket$")
        };
        let shown = Routes::new([]).unwrap().mount(bad).unwrap_err().to_string();
        assert!(shown.contains("\"*:a\""), "{shown}");
        let bad = PhoenixMount {
            origins: Some(Origins::List(vec!["example.org".to_owned()])),
            ..PhoenixMount::new("^/socket$")
        };
        let shown = Routes::new([]).unwrap().mount(bad).unwrap_err().to_string();
        assert!(shown.contains("\"example.org\""), "{shown}");
    }
}
