//! `[operator]` and `[log]`: what the people who run the process see of it.

use std::net::{Ipv4Addr, SocketAddr};

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::section::Kind::{Choice, Listener as Listen, Text};
use super::section::section;

section! {
    /// The operator's listener: `/livez`, `/readyz` and `/metrics`. Whoever reaches it can read it, so keep it on loopback or a private network.
    pub struct Operator {
        /// Address and port of the listener. `auto` is `127.0.0.1:8001` where sockets are served, and no listener if another process has that port or where only consumers run; `off` is no listener.
        listen: Listener = Listener::Auto, Listen;
    }
}

section! {
    /// Logs, on standard error.
    pub struct Log {
        /// What is logged: levels by target, in the syntax of `tracing_subscriber::EnvFilter`, such as `info,towpath_worker=debug`.
        filter: String = "info".to_owned(), Text;
        /// How: `text`, `json`, or `auto` for text on a terminal and JSON elsewhere.
        format: LogFormat = LogFormat::Auto, Choice(&["auto", "text", "json"]);
    }
}

/// Where the operator's listener stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listener {
    /// On [`Listener::AUTO`] if that is free and sockets are served.
    Auto,
    /// Nowhere.
    Off,
    /// Here, or the process does not start.
    Address(SocketAddr),
}

impl Listener {
    /// Where [`Listener::Auto`] stands.
    pub const AUTO: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8001);
}

impl Serialize for Listener {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Off => serializer.serialize_str("off"),
            Self::Address(address) => serializer.collect_str(address),
        }
    }
}

impl<'de> Deserialize<'de> for Listener {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "auto" => Ok(Self::Auto),
            "off" => Ok(Self::Off),
            address => address.parse().map(Self::Address).map_err(D::Error::custom),
        }
    }
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// Text.
    Text,
    /// One JSON object a line.
    Json,
}
