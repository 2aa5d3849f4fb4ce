//! How to reach Redis.

use std::fmt;
use std::time::Duration;

/// How a node reaches its Redis.
#[derive(Clone)]
pub struct RedisOptions {
    /// Where it is: `redis://[user:password@]host[:port][/database]`, or
    /// `redis+unix:///path`.
    pub url: String,
    /// What every key begins with, so that several layers share one server:
    /// letters, digits, `-`, `_`, `.`; default `towpath`.
    pub prefix: String,
    /// The longest that one call waits for its answer; default 5 s.
    pub call_timeout: Duration,
    /// The longest that one attempt to connect takes; default 1 s.
    pub connect_timeout: Duration,
    /// The longest pause between two attempts to connect; default 250 ms. The
    /// attempts themselves never end.
    pub reconnect_pause_max: Duration,
    /// Connections for administration (statistics, listings, flush); default 2.
    pub administration_connections: usize,
}

impl RedisOptions {
    /// The defaults, for the Redis at `url`.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            prefix: "towpath".to_owned(),
            call_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(1),
            reconnect_pause_max: Duration::from_millis(250),
            administration_connections: 2,
        }
    }
}

/// Without the URL, which may hold a password.
impl fmt::Debug for RedisOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisOptions")
            .field("prefix", &self.prefix)
            .field("call_timeout", &self.call_timeout)
            .finish_non_exhaustive()
    }
}
