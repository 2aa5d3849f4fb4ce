//! Frames that cannot be read, and messages that cannot be written.

use std::str::Utf8Error;

use crate::protocol::phoenix::message::Ref;

/// A frame that is no message of its version. The socket closes with
/// [`DecodeError::CLOSE_CODE`] (§1.7).
///
/// No text of it repeats what the client sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DecodeError {
    /// A text frame that is not JSON, or not of the right shape.
    #[error("the text is not {expected}")]
    Text {
        /// The shape.
        expected: &'static str,
        /// What is wrong, and where.
        source: serde_json::Error,
    },
    /// A binary frame that should hold text, or a string in one.
    #[error("{what} is not UTF-8")]
    NotUtf8 {
        /// Which part it is.
        what: &'static str,
        /// Where it is wrong.
        source: Utf8Error,
    },
    /// A binary frame of a kind that a client does not send.
    #[error("a binary frame of kind {kind}: a client sends kind 0 only")]
    Kind {
        /// Its first byte.
        kind: u8,
    },
    /// A binary frame that ends before what its header announces.
    #[error("a binary frame of {len} bytes announces {needed}")]
    Overrun {
        /// Bytes that there should be at least.
        needed: usize,
        /// Bytes that there are.
        len: usize,
    },
    /// A ref that cannot go back in every kind of frame.
    #[error("{what} has {len} bytes: {} at most", Ref::LEN_MAX)]
    RefTooLong {
        /// Which ref it is.
        what: &'static str,
        /// Its length, in bytes.
        len: usize,
    },
}

impl DecodeError {
    /// What the socket closes with: an internal error, as in Phoenix.
    pub(crate) const CLOSE_CODE: u16 = 1011;
}

/// A message that its client cannot be sent. Sending it again fails again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EncodeError {
    /// A string of a binary frame is too long for its size byte (§1.4).
    #[error("{field} has {len} bytes: 255 at most in a binary frame")]
    HeaderTooLong {
        /// Which string it is.
        field: &'static str,
        /// Its length, in bytes.
        len: usize,
    },
    /// V1 has no binary frames.
    #[error("a binary payload towards a client of version 1: send JSON")]
    BinaryInV1,
    /// The transport carries text alone; its client could not read bytes.
    #[error("a binary payload towards a text-only transport: send JSON")]
    BinaryOverText,
    /// The payload of a push or a broadcast in V2 is an object.
    #[error("the payload of {event:?} is not a JSON object")]
    NotAnObject {
        /// The message's event.
        event: String,
    },
}
