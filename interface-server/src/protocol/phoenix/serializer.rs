//! Frames ⇄ messages, in the version that a client asked for (§1.2–§1.4).

use bytestring::ByteString;
use towpath_layer_core::Frame;

use crate::protocol::phoenix::error::{DecodeError, EncodeError};
use crate::protocol::phoenix::json::{self, Body, Head};
use crate::protocol::phoenix::message::{Broadcast, Incoming, Payload, Push, Ref, Reply};
use crate::protocol::phoenix::{binary, v1, v2};

/// The payload of `phx_error` (§1.6).
const CRASHED: &str = r#"{"reason":"channel_crash"}"#;

/// How a connection's frames are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Serializer {
    /// JSON objects, for `vsn=1.0.0` and for clients that ask for no version.
    V1,
    /// JSON arrays, and binary frames, for `vsn=2.0.0`.
    V2,
}

/// What the transport of a connection carries to its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Carries {
    /// Both kinds of frames: WebSocket.
    TextAndBytes,
    /// Text alone: long-poll (§1.13).
    TextOnly,
}

impl Serializer {
    /// Reads a client's frame. Nothing of the payload is copied, nor looked at
    /// beyond that it is JSON.
    ///
    /// # Errors
    ///
    /// If the frame is no message of this version; the socket closes.
    pub(crate) fn decode(self, frame: Frame) -> Result<Incoming, DecodeError> {
        match (self, frame) {
            (Self::V1, Frame::Text(text)) => v1::decode(&text),
            // V1 does not look at the opcode.
            (Self::V1, Frame::Bytes(bytes)) => v1::decode_bytes(bytes),
            (Self::V2, Frame::Text(text)) => v2::decode(&text),
            (Self::V2, Frame::Bytes(bytes)) => binary::decode(&bytes),
        }
    }

    /// Writes a message of a channel to its own client: `ref` is null.
    ///
    /// # Errors
    ///
    /// If the payload, or a string of a binary frame, cannot be written.
    pub(crate) fn encode_push(
        self,
        push: &Push<'_>,
        carries: Carries,
    ) -> Result<Frame, EncodeError> {
        match push.payload {
            Payload::Json(json) => {
                let head = Head {
                    join_ref: push.join_ref,
                    reference: None,
                    topic: push.topic,
                    event: push.event,
                };
                self.message(&head, json)
            }
            Payload::Binary(bytes) => {
                self.check_binary(carries)?;
                binary::push(push, bytes).map(Frame::Bytes)
            }
        }
    }

    /// Writes the answer to a message.
    ///
    /// # Errors
    ///
    /// If the response is binary and cannot be written.
    pub(crate) fn encode_reply(
        self,
        reply: &Reply<'_>,
        carries: Carries,
    ) -> Result<Frame, EncodeError> {
        match reply.response {
            Payload::Json(response) => {
                let head = Head {
                    join_ref: reply.join_ref,
                    reference: reply.reference,
                    topic: reply.topic,
                    event: "phx_reply",
                };
                let status = reply.status;
                Ok(self.text(&head, Body::Reply { status, response }))
            }
            Payload::Binary(bytes) => {
                self.check_binary(carries)?;
                binary::reply(reply, bytes).map(Frame::Bytes)
            }
        }
    }

    /// Writes a message to everybody on a topic: both refs are null. One
    /// encoding serves every connection of this version and these transports.
    ///
    /// # Errors
    ///
    /// As for [`Serializer::encode_push`].
    pub(crate) fn encode_broadcast(
        self,
        broadcast: &Broadcast<'_>,
        carries: Carries,
    ) -> Result<Frame, EncodeError> {
        match broadcast.payload {
            Payload::Json(json) => {
                let head = Head {
                    join_ref: None,
                    reference: None,
                    topic: broadcast.topic,
                    event: broadcast.event,
                };
                self.message(&head, json)
            }
            Payload::Binary(bytes) => {
                self.check_binary(carries)?;
                binary::broadcast(broadcast, bytes).map(Frame::Bytes)
            }
        }
    }

    /// Writes that a channel has ended, in order.
    pub(crate) fn encode_close(self, topic: &str, join_ref: Option<&Ref>) -> Frame {
        self.ended(topic, join_ref, "phx_close", "{}")
    }

    /// Writes that a channel has crashed.
    pub(crate) fn encode_error(self, topic: &str, join_ref: Option<&Ref>) -> Frame {
        self.ended(topic, join_ref, "phx_error", CRASHED)
    }

    fn ended(self, topic: &str, join_ref: Option<&Ref>, event: &str, payload: &str) -> Frame {
        let head = Head {
            join_ref,
            reference: join_ref,
            topic,
            event,
        };
        self.text(&head, Body::Payload(payload))
    }

    fn message(self, head: &Head<'_>, json: &ByteString) -> Result<Frame, EncodeError> {
        if self == Self::V2 && !json::is_object(json) {
            let event = head.event.to_owned();
            return Err(EncodeError::NotAnObject { event });
        }
        Ok(self.text(head, Body::Payload(json)))
    }

    fn text(self, head: &Head<'_>, body: Body<'_>) -> Frame {
        Frame::Text(match self {
            Self::V1 => v1::encode(head, body),
            Self::V2 => v2::encode(head, body),
        })
    }

    fn check_binary(self, carries: Carries) -> Result<(), EncodeError> {
        match (self, carries) {
            (Self::V1, _) => Err(EncodeError::BinaryInV1),
            (Self::V2, Carries::TextOnly) => Err(EncodeError::BinaryOverText),
            (Self::V2, Carries::TextAndBytes) => Ok(()),
        }
    }
}
