//! What a node tells another about a session that is polled: a request may come
//! to any node, its session lives on one.

use bytes::Bytes;
use bytestring::ByteString;
use serde::{Deserialize, Serialize};

use super::Frame;
use crate::ChannelName;

/// A request to a session, or what the session answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Poll {
    /// Somebody reads what waits for the client, or waits for it.
    Read(PollFrom),
    /// Somebody brings what the client has sent.
    Write {
        /// Who.
        from: PollFrom,
        /// The frames, in order.
        frames: Vec<Frame>,
    },
    /// To whoever asked: the session is there, its answer comes.
    Waits,
    /// To whoever asked.
    Answer(PollAnswer),
}

/// Who asks a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PollFrom {
    /// Where the answer goes.
    pub channel: ChannelName,
    /// What only the session's client knows.
    pub secret: Bytes,
}

/// A session's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PollAnswer {
    /// 200 with messages or for what was brought, 204 if nothing came, 408 if
    /// what was brought was not taken in time, 410 if the session is gone.
    pub status: u16,
    /// Encoded messages for the client, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<ByteString>,
}

impl PollAnswer {
    /// An answer that is its status.
    #[must_use]
    pub const fn status(status: u16) -> Self {
        Self {
            status,
            messages: Vec::new(),
        }
    }
}

impl Poll {
    pub(super) fn payload_size(&self) -> usize {
        match self {
            Self::Write { frames, .. } => frames.iter().map(Frame::len).sum(),
            Self::Answer(answer) => answer.messages.iter().map(|text| text.len()).sum(),
            Self::Read(_) | Self::Waits => 0,
        }
    }
}
