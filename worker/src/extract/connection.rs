//! What is known of the connection.

use bytes::Bytes;
use bytestring::ByteString;
use serde::de::DeserializeOwned;
use towpath_layer_core::{ChannelName, EventKind, Handshake};

use super::FromContext;
use crate::place::{CONVERSATION, PlaceKind};
use crate::{Context, Error, Place, Result};

const AT_CONNECT: &str = "it is only known at connect; keep what you need in the Session";

/// Which connection the event is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// Where replies go; whoever has it can write to the connection.
    pub reply_channel: ChannelName,
    /// The path, percent-decoded.
    pub path: ByteString,
    /// Position of the event in the conversation: connect 0, then 1, 2, …
    pub order: u64,
    /// The peer's address and port; only known at connect.
    pub client: Option<(ByteString, u16)>,
}

impl FromContext for Connection {
    fn check(place: &Place<'_>) -> Result<(), String> {
        place.require("Connection", CONVERSATION, "a channel has no connection")
    }

    async fn from_context(context: &Context) -> Result<Self> {
        let Some(event) = context.event() else {
            return Err(context.lacks("connection"));
        };
        let client = match &event.kind {
            EventKind::Connect(handshake) => handshake.client.clone(),
            EventKind::Join(_)
            | EventKind::Receive(_)
            | EventKind::In(_)
            | EventKind::Out(_)
            | EventKind::Application(_)
            | EventKind::Disconnect { .. } => None,
        };
        Ok(Self {
            reply_channel: event.reply_channel.clone(),
            path: event.path.clone(),
            order: event.order,
            client,
        })
    }
}

/// The header fields of the handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headers(towpath_layer_core::Headers);

impl Headers {
    /// The first value of a field; `name` in lower case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Bytes> {
        self.get_all(name).next()
    }

    /// The first value of a field, if it is UTF-8.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.get(name)?).ok()
    }

    /// Every value of a field, in the order of arrival.
    pub fn get_all<'a, 'n>(
        &'a self,
        name: &'n str,
    ) -> impl Iterator<Item = &'a Bytes> + use<'a, 'n> {
        let fields = self.0.iter().filter(move |(known, _)| *known == *name);
        fields.map(|(_, value)| value)
    }

    /// Every field, in the order of arrival.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Bytes)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }
}

impl FromContext for Headers {
    fn check(place: &Place<'_>) -> Result<(), String> {
        place.require("Headers", &[PlaceKind::Connect], AT_CONNECT)
    }

    async fn from_context(context: &Context) -> Result<Self> {
        Ok(Self(context.handshake()?.headers.clone()))
    }
}

/// The query string of the handshake, read as a form; what does not fit is the
/// peer's bad payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned + Send + 'static> FromContext for Query<T> {
    fn check(place: &Place<'_>) -> Result<(), String> {
        place.require("Query", &[PlaceKind::Connect], AT_CONNECT)
    }

    async fn from_context(context: &Context) -> Result<Self> {
        let query = &context.handshake()?.query_string;
        serde_urlencoded::from_bytes(query)
            .map(Self)
            .map_err(|error| Error::bad_payload(format!("the query string: {error}")))
    }
}

/// All that is known of the handshake.
impl FromContext for Handshake {
    fn check(place: &Place<'_>) -> Result<(), String> {
        place.require("Handshake", &[PlaceKind::Connect], AT_CONNECT)
    }

    async fn from_context(context: &Context) -> Result<Self> {
        context.handshake().cloned()
    }
}

/// Why the connection is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disconnected {
    /// The close code, 1006 for a loss without one.
    pub code: u16,
    /// The peer's reason.
    pub reason: ByteString,
}

impl FromContext for Disconnected {
    fn check(place: &Place<'_>) -> Result<(), String> {
        let needs = "only a disconnect consumer has a close code";
        place.require("Disconnected", &[PlaceKind::Disconnect], needs)
    }

    async fn from_context(context: &Context) -> Result<Self> {
        match context.event().map(|event| &event.kind) {
            Some(EventKind::Disconnect { code, reason }) => Ok(Self {
                code: *code,
                reason: reason.clone(),
            }),
            _ => Err(context.lacks("close code")),
        }
    }
}
