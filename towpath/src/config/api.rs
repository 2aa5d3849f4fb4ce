//! `[api]`: the layer over HTTP.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use towpath_interface_server::ApiLimits;

use super::DEFAULT_LAYER;
use super::section::Kind::{Bytes, Count, Delay, Duration as Time, OptionalAddress, Secrets, Text};
use super::section::section;

section! {
    /// The layer's HTTP interface, in every process that serves sockets or runs consumers: whoever has a token may send, receive, read groups and empty the layer. Keep it on loopback or a private network.
    pub struct Api {
        /// Address and port of the interface; `off` is no interface.
        listen: ApiListener = ApiListener::Off, OptionalAddress;
        /// Bearer tokens, one of which a request must carry: 16 to 1024 letters, digits or `-._~+/=`, `openssl rand -hex 32` for example. Several, so that one can be replaced. Needed if `listen` is set.
        tokens: Vec<Secret> = Vec::new(), Secrets;
        /// Which layer it serves.
        layer: String = DEFAULT_LAYER.to_owned(), Text;
        /// Connections at one time; further ones wait until one ends.
        connections_max: usize = ApiLimits::default().connections_max, Count(1);
        /// Body of one request, in bytes; a larger one is answered with 413.
        body_bytes_max: usize = ApiLimits::default().body_bytes_max, Bytes;
        /// Operations in one batch; more are answered with 422.
        batch_max: usize = ApiLimits::default().batch_max, Count(1);
        /// How long the head of a request may take to arrive, and a connection to idle.
        #[serde(with = "humantime_serde")]
        header_timeout: Duration = ApiLimits::default().header_timeout, Time;
        /// How long the body of a request may take to arrive, the request to be served, and its answer to be taken.
        #[serde(with = "humantime_serde")]
        request_timeout: Duration = ApiLimits::default().request_timeout, Time;
        /// The longest that a receive may ask to wait.
        #[serde(with = "humantime_serde")]
        poll_timeout_max: Duration = ApiLimits::default().poll_timeout_max, Time;
        /// How long requests that run may still take when the process is asked to stop.
        #[serde(with = "humantime_serde")]
        stop_timeout: Duration = ApiLimits::default().stop_timeout, Delay;
    }
}

/// Where the HTTP interface stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApiListener {
    /// Nowhere.
    Off,
    /// Here, or the process does not start.
    Address(SocketAddr),
}

impl Serialize for ApiListener {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Off => serializer.serialize_str("off"),
            Self::Address(address) => serializer.collect_str(address),
        }
    }
}

impl<'de> Deserialize<'de> for ApiListener {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "off" => Ok(Self::Off),
            address => address.parse().map(Self::Address).map_err(D::Error::custom),
        }
    }
}

/// A text that is not shown: `Debug` hides it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// A secret.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself; it has no place in a log.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
