//! What an interface server tells the workers.

use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use serde::{Deserialize, Serialize};

use super::{Content, Frame, Join, Push};
use crate::ChannelName;

/// The shared channels on which an interface server emits its events.
pub mod channels {
    /// A socket asks to be opened, or a client to join a topic.
    pub const CONNECT: &str = "websocket.connect";
    /// A frame arrived, or a message of a topic.
    pub const RECEIVE: &str = "websocket.receive";
    /// An application event for a conversation's consumer.
    pub const EVENT: &str = "websocket.event";
    /// A socket is gone, or a topic was left.
    pub const DISCONNECT: &str = "websocket.disconnect";
}

/// Header fields in the order of arrival, names in lower case.
pub type Headers = Vec<(ByteString, Bytes)>;

/// Something that happened on a conversation.
///
/// Field names and meanings are those of the ASGI draft as Channels 1.x used
/// it, with `attempt` and `session` added.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Where replies go.
    pub reply_channel: ChannelName,
    /// The path of the handshake, percent-decoded.
    pub path: ByteString,
    /// The topic, if the conversation is one joined topic of a socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<Arc<str>>,
    /// Position in the conversation: connect 0, then 1, 2, …
    pub order: u64,
    /// A number that no other emission of this conversation has; the
    /// completion brings it back.
    pub attempt: u64,
    /// The session as the last completion left it; empty at connect.
    pub session: Bytes,
    /// What happened.
    pub kind: EventKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A socket asks to be opened; the handshake waits for the answer.
    Connect(Box<Handshake>),
    /// A client asks to join a topic; the join waits for the answer.
    Join(Box<Join>),
    /// A frame arrived.
    Receive(Frame),
    /// A message of the client to a topic arrived.
    In(Box<Push>),
    /// A message to the client that the topic's consumer wants to see first.
    Out(Box<Push>),
    /// Somebody sent this conversation's consumer an event of the application.
    Application(Box<Application>),
    /// The socket is gone.
    Disconnect {
        /// The close code, 1006 for a loss without one (RFC 6455 §7.1.5).
        code: u16,
        /// The peer's reason.
        reason: ByteString,
    },
}

impl EventKind {
    /// The shared channel on which events of this kind are emitted.
    #[must_use]
    pub fn channel(&self) -> &'static str {
        match self {
            Self::Connect(_) | Self::Join(_) => channels::CONNECT,
            Self::Receive(_) | Self::In(_) | Self::Out(_) => channels::RECEIVE,
            Self::Application(_) => channels::EVENT,
            Self::Disconnect { .. } => channels::DISCONNECT,
        }
    }
}

/// What a connect event tells of the handshake.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Handshake {
    /// `ws` or `wss`; of a client that polls `http` or `https`.
    pub scheme: ByteString,
    /// What stands after `?`, undecoded.
    pub query_string: Bytes,
    /// The request's header fields.
    pub headers: Headers,
    /// The peer's address and port.
    pub client: Option<(ByteString, u16)>,
    /// The address and port that it connected to.
    pub server: Option<(ByteString, u16)>,
    /// The subprotocols that the peer offers, in its order.
    pub subprotocols: Vec<ByteString>,
}

impl Handshake {
    fn size(&self) -> usize {
        let headers: usize = self
            .headers
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        let subprotocols: usize = self.subprotocols.iter().map(|name| name.len()).sum();
        self.query_string.len() + headers + subprotocols
    }
}

/// An event of the application: a name and its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Application {
    /// Which event, `chat.message` for example.
    pub name: ByteString,
    /// Its content.
    pub content: Content,
    /// The stream of a demultiplexer that it is for; without one it is for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<ByteString>,
}

impl Application {
    /// An event for the whole conversation.
    #[must_use]
    pub fn new(name: impl Into<ByteString>, content: Content) -> Self {
        Self {
            name: name.into(),
            content,
            stream: None,
        }
    }

    /// Size of what goes with the content, in bytes.
    #[must_use]
    pub fn envelope_size(&self) -> usize {
        let stream = self.stream.as_ref().map_or(0, |stream| stream.len());
        self.name.len() + stream
    }
}

impl Event {
    pub(super) fn payload_size(&self) -> usize {
        match &self.kind {
            EventKind::Connect(_) | EventKind::Disconnect { .. } => 0,
            EventKind::Join(join) => join.payload.len(),
            EventKind::Receive(frame) => frame.len(),
            EventKind::In(push) | EventKind::Out(push) => push.payload.len(),
            EventKind::Application(event) => event.content.len(),
        }
    }

    pub(super) fn envelope_size(&self) -> usize {
        let kind = match &self.kind {
            EventKind::Connect(handshake) => handshake.size(),
            EventKind::Join(join) => join.size(),
            EventKind::In(push) | EventKind::Out(push) => push.envelope_size(),
            EventKind::Receive(_) => 0,
            EventKind::Application(event) => event.envelope_size(),
            EventKind::Disconnect { reason, .. } => reason.len(),
        };
        let topic = self.topic.as_ref().map_or(0, |topic| topic.len());
        self.path.len() + topic + self.session.len() + kind
    }
}
