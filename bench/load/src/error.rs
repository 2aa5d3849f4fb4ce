//! What can keep a run from being one.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// Why there is no run. What a server does wrong while it runs is counted instead, in
/// [`Wrong`](crate::Wrong).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The URL cannot be used.
    #[error("{url} cannot be used: {problem}; expected ws://HOST:PORT/PATH")]
    Url {
        /// The URL as it was given.
        url: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// No address is known for the URL's host.
    #[error("no address is known for {host}")]
    Resolve {
        /// The host and the port.
        host: String,
        /// What the resolver said, if it said anything.
        #[source]
        source: Option<io::Error>,
    },
    /// The hard limit on open files does not allow so many connections.
    #[error(
        "{wanted} connections need more open files than the hard limit of {hard} allows: \
         raise it (`ulimit -Hn`, LimitNOFILE= of systemd), or ask for fewer connections"
    )]
    Files {
        /// Connections asked for.
        wanted: usize,
        /// The hard limit.
        hard: u64,
    },
    /// Nobody listens there, or this machine has no port or file left.
    #[error("{address} cannot be connected to")]
    Connect {
        /// Where to.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Something listens there that does not upgrade this path to WebSocket.
    #[error("{address} does not serve WebSocket at {path}: it answered `{answer}`")]
    Upgrade {
        /// Where.
        address: SocketAddr,
        /// The path that was asked for.
        path: String,
        /// The first line of the answer.
        answer: String,
    },
    /// Not all connections opened in time.
    #[error("{opened} of {wanted} connections opened within {wait:?}")]
    Slow {
        /// Those that did, or were refused.
        opened: usize,
        /// Connections asked for.
        wanted: usize,
        /// The limit.
        wait: Duration,
    },
    /// The system refused something that it should not.
    #[error("the system refused what the generator needs")]
    System(#[from] io::Error),
}
