//! `[server]`: sockets and pages.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use towpath_interface_server::is_origin_pattern;

use super::section::Kind::{
    Address, Bytes, Choice, Count, Delay, Duration as Time, Origins as Pages,
};
use super::section::section;

section! {
    /// The interface server: sockets, pages, and what a peer may do.
    pub struct Server {
        /// Address and port on which sockets and pages are served.
        listen: SocketAddr = SocketAddr::from((Ipv4Addr::LOCALHOST, 8000)), Address;
        /// Threads that own sockets, at most 256; 0 stands for one for each core.
        shards: usize = 0, Count(0);
        /// Pages that may open a socket: those of the same host, of any (`*`), or of the listed origins.
        origins: Origins = Origins::SameHost, Pages;
        /// Open sockets at one time; a handshake above it is answered with 503.
        connections_max: usize = 1_000_000, Count(1);
        /// How long the headers of a request may take to arrive.
        #[serde(with = "humantime_serde")]
        header_timeout: Duration = Duration::from_secs(5), Time;
        /// How long a handshake waits for its connect consumer before it is answered with 504.
        #[serde(with = "humantime_serde")]
        connect_timeout: Duration = Duration::from_secs(5), Time;
        /// Silence after which a peer is sent a ping.
        #[serde(with = "humantime_serde")]
        ping_interval: Duration = Duration::from_secs(25), Time;
        /// How long a peer may take to answer a ping before its socket is closed.
        #[serde(with = "humantime_serde")]
        pong_timeout: Duration = Duration::from_secs(10), Time;
        /// Size of one frame from a peer, in bytes; a larger one closes the socket with 1009.
        frame_size_max: usize = 1 << 20, Bytes;
        /// Size of one message from a peer, all its frames together, in bytes; a larger one closes the socket with 1009.
        message_size_max: usize = 1 << 20, Bytes;
        /// Frames that one message may come in; more close the socket with 1009.
        fragments_max: usize = 1024, Count(1);
        /// Events of one conversation that wait for the one in flight.
        event_queue_max: usize = 64, Count(1);
        /// Size of these events together, in bytes.
        event_queue_bytes_max: usize = 256 << 10, Bytes;
        /// Frames that wait to be written to one socket, in bytes together.
        outbox_bytes_max: usize = 256 << 10, Bytes;
        /// Frames that wait to be written to one socket.
        outbox_frames_max: usize = 4096, Count(1);
        /// What becomes of a socket whose outbox, or queue of events, is full: `close` it with 1013, or `drop` the frame.
        slow_policy: SlowPolicy = SlowPolicy::Close, Choice(&["close", "drop"]);
        /// Send buffer of one socket in the kernel, in bytes.
        send_buffer_bytes: usize = 128 << 10, Bytes;
        /// How long a peer may take to answer a close before its socket is reset.
        #[serde(with = "humantime_serde")]
        close_timeout: Duration = Duration::from_secs(5), Time;
        /// How long a stop may take, from the signal to the end of the process.
        #[serde(with = "humantime_serde")]
        drain_timeout: Duration = Duration::from_secs(30), Delay;
        /// What becomes of a socket whose event was lost with its worker: `ignore` it, or `close` it with 1012.
        on_lost: Loss = Loss::Ignore, Choice(&["ignore", "close"]);
        /// What becomes of a socket that may have missed group messages: `ignore` it, or `close` it with 1012.
        on_gap: Loss = Loss::Ignore, Choice(&["ignore", "close"]);
    }
}

/// What becomes of a socket whose outbox is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SlowPolicy {
    /// It is closed with 1013.
    Close,
    /// The frame is dropped and counted.
    Drop,
}

/// What becomes of a socket that may have missed something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Loss {
    /// Nothing; the loss is counted.
    Ignore,
    /// It is closed.
    Close,
}

/// The pages that may open a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origins {
    /// Those that came from the host that the socket is opened on, from whatever
    /// port.
    SameHost,
    /// All.
    Any,
    /// Those of these origins, `https://example.org` for example, or of patterns:
    /// `//example.org` is any scheme and port, `//*.example.org` subdomains, too.
    List(Vec<String>),
}

impl Serialize for Origins {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::SameHost => serializer.serialize_str("same-host"),
            Self::Any => serializer.serialize_str("*"),
            Self::List(origins) => origins.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Origins {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Word(String),
            List(Vec<String>),
        }
        match Form::deserialize(deserializer)? {
            Form::Word(word) if word == "same-host" => Ok(Self::SameHost),
            Form::Word(word) if word == "*" => Ok(Self::Any),
            Form::Word(_) => Err(D::Error::custom("neither same-host nor *")),
            Form::List(origins) if origins.iter().all(|origin| is_origin_pattern(origin)) => {
                Ok(Self::List(origins))
            }
            Form::List(_) => Err(D::Error::custom(
                "an origin is a scheme, :// and a host, a pattern // and a host",
            )),
        }
    }
}
