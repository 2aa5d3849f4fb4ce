//! How a peer may break the protocol, and what it is told.

use crate::protocol::close;

/// What a peer did that ends its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Violation {
    #[error("a frame without a mask")]
    Unmasked,
    #[error("a reserved bit is set")]
    ReservedBit,
    #[error("a reserved opcode")]
    ReservedOpcode,
    #[error("a length in more bytes than it needs")]
    LongLength,
    #[error("a control frame in pieces")]
    ControlInPieces,
    #[error("a control frame of more than 125 bytes")]
    ControlTooLarge,
    #[error("a continuation of nothing")]
    NothingToContinue,
    #[error("a message within a message")]
    MessageInMessage,
    #[error("a close frame of one byte")]
    HalfACode,
    #[error("a close code that may not be sent")]
    CloseCode,
    #[error("text that is not UTF-8")]
    NotUtf8,
    #[error("a frame or message above its limit")]
    TooLarge,
    #[error("a message in more frames than allowed")]
    TooManyFragments,
}

impl Violation {
    /// The close code and the reason that the peer is told.
    pub(crate) fn close(self) -> (u16, &'static str) {
        match self {
            Self::NotUtf8 => (close::INVALID_TEXT, "not UTF-8"),
            Self::TooLarge => (close::TOO_BIG, "the message is too large"),
            Self::TooManyFragments => (close::TOO_BIG, "too many fragments"),
            Self::Unmasked
            | Self::ReservedBit
            | Self::ReservedOpcode
            | Self::LongLength
            | Self::ControlInPieces
            | Self::ControlTooLarge
            | Self::NothingToContinue
            | Self::MessageInMessage
            | Self::HalfACode
            | Self::CloseCode => (close::PROTOCOL, "protocol error"),
        }
    }
}
