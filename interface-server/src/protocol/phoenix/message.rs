//! Messages, apart from how they are written.

use std::borrow::Cow;

use bytes::Bytes;
use bytestring::ByteString;
use towpath_layer_core::{Frame, Reference};

/// What a client chose to know an answer, or a join, by; it goes back as it came
/// (§1.3).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Ref(Reference);

impl Ref {
    /// The longest that a client may choose, in bytes: a binary frame could not
    /// carry back more, and a connection keeps a few.
    pub(crate) const LEN_MAX: usize = 255;

    /// A ref of this text.
    pub(crate) fn new(text: impl Into<ByteString>) -> Self {
        Self(Reference::Text(text.into()))
    }

    /// A ref that is a number.
    pub(crate) const fn number(number: i64) -> Self {
        Self(Reference::Number(number))
    }

    /// The text, or the digits.
    pub(crate) fn text(&self) -> Cow<'_, str> {
        match &self.0 {
            Reference::Text(text) => Cow::Borrowed(text),
            Reference::Number(number) => Cow::Owned(number.to_string()),
        }
    }

    /// As the layer carries it.
    pub(crate) const fn reference(&self) -> &Reference {
        &self.0
    }

    /// The same in memory of its own: a slice would keep its frame alive.
    pub(crate) fn detached(&self) -> Self {
        match &self.0 {
            Reference::Text(text) => Self::new(ByteString::from(&**text)),
            Reference::Number(number) => Self::number(*number),
        }
    }
}

impl From<Reference> for Ref {
    fn from(reference: Reference) -> Self {
        Self(reference)
    }
}

impl From<Ref> for Reference {
    fn from(Ref(reference): Ref) -> Self {
        reference
    }
}

/// What a message carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Payload {
    /// The text of one JSON value, as it was written; known to be well-formed
    /// if it came from a client.
    Json(ByteString),
    /// Bytes, in the binary frames of V2 only.
    Binary(Bytes),
}

impl Payload {
    /// `{}`.
    pub(crate) const fn empty() -> Self {
        Self::fixed("{}")
    }

    /// JSON text that is always the same.
    pub(crate) const fn fixed(json: &'static str) -> Self {
        Self::Json(ByteString::from_static(json))
    }
}

impl From<Frame> for Payload {
    fn from(frame: Frame) -> Self {
        match frame {
            Frame::Text(json) => Self::Json(json),
            Frame::Bytes(bytes) => Self::Binary(bytes),
        }
    }
}

impl From<Payload> for Frame {
    fn from(payload: Payload) -> Self {
        match payload {
            Payload::Json(json) => Self::Text(json),
            Payload::Binary(bytes) => Self::Bytes(bytes),
        }
    }
}

/// A message of a client.
///
/// Its strings and its payload are slices of the frame it came in, except for
/// strings that were written with escapes. So they keep the frame alive; who
/// keeps one for long copies it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Incoming {
    /// Which join of its topic it belongs to.
    pub(crate) join_ref: Option<Ref>,
    /// What an answer is known by.
    pub(crate) reference: Option<Ref>,
    /// Where it goes.
    pub(crate) topic: ByteString,
    /// What it is.
    pub(crate) event: ByteString,
    /// What it says.
    pub(crate) payload: Payload,
    /// Size of the frame that it keeps alive, in bytes.
    pub(crate) size: usize,
}

/// A message of a channel to its own client.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Push<'a> {
    /// The join that the channel came from.
    pub(crate) join_ref: Option<&'a Ref>,
    /// The channel's topic.
    pub(crate) topic: &'a str,
    /// What it is.
    pub(crate) event: &'a str,
    /// What it says: in V2 an object, or bytes.
    pub(crate) payload: &'a Payload,
}

/// The answer to a message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reply<'a> {
    /// The join that the message belonged to.
    pub(crate) join_ref: Option<&'a Ref>,
    /// What the message was known by.
    pub(crate) reference: Option<&'a Ref>,
    /// The message's topic.
    pub(crate) topic: &'a str,
    /// `ok`, `error`, or what the application chose.
    pub(crate) status: &'a str,
    /// Any JSON value, or bytes.
    pub(crate) response: &'a Payload,
}

/// A message to everybody on a topic.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Broadcast<'a> {
    /// The topic.
    pub(crate) topic: &'a str,
    /// What it is.
    pub(crate) event: &'a str,
    /// What it says: in V2 an object, or bytes.
    pub(crate) payload: &'a Payload,
}
