//! Messages as a client receives them.

use serde::Serialize;
use towpath_layer_core::{
    Content, Event, EventKind, Frame, Handshake, Message, Received, Reference,
};
use utoipa::ToSchema;

use super::blob::Blob;
use super::message::{HeaderList, from_latin1};
use super::value::Any;

/// Messages that were taken from their channels.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Messages {
    /// The messages, those of one channel in their order; none if nothing
    /// came in time.
    pub(super) messages: Vec<ReceivedMessage>,
}

/// A message that was taken from its channel.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Message)]
pub(super) struct ReceivedMessage {
    /// The channel.
    channel: String,
    /// The id of the message, 32 hex digits.
    id: String,
    /// What was sent, if it was sent by an application.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Any, required = false)]
    content: Option<Any>,
    /// What was sent by an application, if it is no whole MessagePack.
    #[serde(skip_serializing_if = "Option::is_none")]
    encoded: Option<Blob>,
    /// What happened on a connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<EventAnswer>,
}

/// Which event it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = EventKind)]
enum Which {
    /// A socket asks to be opened; the handshake waits for the answer.
    Connect,
    /// A client asks to join a topic; the join waits for the answer.
    Join,
    /// A frame arrived.
    Receive,
    /// A message of the client to a topic arrived.
    In,
    /// A message to the client that the topic wants to see first.
    Out,
    /// An event of the application.
    Application,
    /// The socket is gone.
    Disconnect,
}

/// Something that happened on a connection. Whoever receives it answers with a
/// `completion` on `reply_channel`, which brings `attempt` back.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event)]
struct EventAnswer {
    /// Which event it is.
    kind: Which,
    /// Where replies go.
    reply_channel: String,
    /// The path of the handshake, percent-decoded.
    path: String,
    /// The topic, if the conversation is one joined topic of a socket.
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<String>,
    /// Position in the conversation: connect 0, then 1, 2, …
    order: u64,
    /// What the completion brings back.
    attempt: u64,
    /// The session as the last completion left it; empty at connect.
    session: Blob,
    /// receive: the text of a text frame; join, in, out: the payload, if it is
    /// JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// receive: the bytes of a binary frame; join, in, out: the payload, if it
    /// is binary.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<Blob>,
    /// application, in, out: the name of the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// application: its content.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Any, required = false)]
    content: Option<Any>,
    /// application: its content, if it is no whole MessagePack.
    #[serde(skip_serializing_if = "Option::is_none")]
    encoded: Option<Blob>,
    /// in: what the answer carries; none is expected without.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Any, required = false)]
    reference: Option<Reference>,
    /// join: the session of the socket.
    #[serde(skip_serializing_if = "Option::is_none")]
    socket: Option<Blob>,
    /// disconnect: the close code, 1006 for a loss without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u16>,
    /// disconnect: the peer's reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// connect: the handshake.
    #[serde(skip_serializing_if = "Option::is_none")]
    handshake: Option<HandshakeAnswer>,
}

/// What a connect event tells of the handshake. In texts made of bytes each
/// character is one byte, as in ISO-8859-1.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Handshake)]
struct HandshakeAnswer {
    /// `ws` or `wss`.
    scheme: String,
    /// What stands after `?`, undecoded.
    query_string: String,
    /// The request's header fields in the order of arrival, as pairs of name
    /// and value; names in lower case.
    #[schema(value_type = Vec<(String, String)>)]
    headers: HeaderList,
    /// The peer's address and port.
    client: Option<(String, u16)>,
    /// The address and port that it connected to.
    server: Option<(String, u16)>,
    /// The subprotocols that the peer offers, in its order.
    subprotocols: Vec<String>,
}

impl From<Received> for ReceivedMessage {
    fn from(received: Received) -> Self {
        let mut message = Self {
            channel: received.channel.to_string(),
            id: format!("{:032x}", received.id.0),
            content: None,
            encoded: None,
            event: None,
        };
        match received.message {
            Message::Event(event) => message.event = Some(event.into()),
            Message::Custom(content) => (message.content, message.encoded) = shown(&content),
            // Nobody consumes a reply; what is none of ours is handed on as it is.
            Message::Reply(reply) => {
                let encoded = Content::encode(&reply).unwrap_or_default();
                message.encoded = Some(Blob(encoded.as_encoded().clone()));
            }
        }
        message
    }
}

/// Content as the value that it is, or else as its bytes.
pub(super) fn shown(content: &Content) -> (Option<Any>, Option<Blob>) {
    match Any::from_encoded(content.as_encoded()) {
        Some(value) => (Some(value), None),
        None => (None, Some(Blob(content.as_encoded().clone()))),
    }
}

impl From<Event> for EventAnswer {
    fn from(event: Event) -> Self {
        let mut answer = Self {
            kind: which(&event.kind),
            reply_channel: event.reply_channel.to_string(),
            path: event.path.to_string(),
            topic: event.topic.as_deref().map(str::to_owned),
            order: event.order,
            attempt: event.attempt,
            session: Blob(event.session),
            text: None,
            bytes: None,
            name: None,
            content: None,
            encoded: None,
            reference: None,
            socket: None,
            code: None,
            reason: None,
            handshake: None,
        };
        match event.kind {
            EventKind::Connect(handshake) => answer.handshake = Some((*handshake).into()),
            EventKind::Join(join) => {
                answer.payload(join.payload);
                answer.socket = Some(Blob(join.socket));
            }
            EventKind::Receive(frame) => answer.payload(frame),
            EventKind::In(push) | EventKind::Out(push) => {
                answer.name = Some(push.event.to_string());
                answer.reference = push.reference;
                answer.payload(push.payload);
            }
            EventKind::Application(event) => {
                answer.name = Some(event.name.to_string());
                (answer.content, answer.encoded) = shown(&event.content);
            }
            EventKind::Disconnect { code, reason } => {
                answer.code = Some(code);
                answer.reason = Some(reason.to_string());
            }
        }
        answer
    }
}

impl EventAnswer {
    fn payload(&mut self, frame: Frame) {
        match frame {
            Frame::Text(text) => self.text = Some(text.to_string()),
            Frame::Bytes(bytes) => self.bytes = Some(Blob(bytes)),
        }
    }
}

fn which(kind: &EventKind) -> Which {
    match kind {
        EventKind::Connect(_) => Which::Connect,
        EventKind::Join(_) => Which::Join,
        EventKind::Receive(_) => Which::Receive,
        EventKind::In(_) => Which::In,
        EventKind::Out(_) => Which::Out,
        EventKind::Application(_) => Which::Application,
        EventKind::Disconnect { .. } => Which::Disconnect,
    }
}

impl From<Handshake> for HandshakeAnswer {
    fn from(handshake: Handshake) -> Self {
        let address = |(host, port): (bytestring::ByteString, u16)| (host.to_string(), port);
        let headers = handshake.headers.iter();
        let names = handshake.subprotocols.iter();
        Self {
            scheme: handshake.scheme.to_string(),
            query_string: from_latin1(&handshake.query_string),
            headers: headers
                .map(|(name, value)| (name.to_string(), from_latin1(value)))
                .collect(),
            subprotocols: names.map(ToString::to_string).collect(),
            client: handshake.client.map(address),
            server: handshake.server.map(address),
        }
    }
}
