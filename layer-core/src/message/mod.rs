//! What channels carry.

mod content;
mod event;
mod plain_member;
mod poll;
mod reply;
mod topic;

use serde::{Deserialize, Serialize};

pub use content::{Content, ContentError, Frame};
pub use event::{Application, Event, EventKind, Handshake, Headers, channels};
pub use plain_member::PlainMember;
pub use poll::{Poll, PollAnswer, PollFrom};
pub use reply::{Accept, Close, Completion, Deny, GroupChange, Outcome, Reply, Taken, Tick};
pub use topic::{Broadcast, Join, Push, Reference, Resume, TopicReply, Tracking};

/// What a channel carries.
///
/// Typed inside a process, a MessagePack map on any wire. Payloads are shared
/// bytes: cloning a message copies none of them, and what was sent is a
/// snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// Something happened on a connection; for a worker.
    Event(Event),
    /// An application's own message on a channel of its own.
    Custom(Content),
    /// Something to do on a connection; for its interface server.
    Reply(Reply),
}

impl Message {
    /// Size of the user's payload, in bytes: what
    /// [`message_size_max`](crate::Limits::message_size_max) bounds.
    #[must_use]
    pub fn payload_size(&self) -> usize {
        match self {
            Self::Event(event) => event.payload_size(),
            Self::Custom(content) => content.len(),
            Self::Reply(reply) => reply.payload_size(),
        }
    }

    /// Size of what goes with the payload, in bytes: what
    /// [`envelope_size_max`](crate::Limits::envelope_size_max) bounds.
    #[must_use]
    pub fn envelope_size(&self) -> usize {
        match self {
            Self::Event(event) => event.envelope_size(),
            Self::Custom(_) => 0,
            Self::Reply(reply) => reply.envelope_size(),
        }
    }
}

impl From<Event> for Message {
    fn from(event: Event) -> Self {
        Self::Event(event)
    }
}

impl From<Reply> for Message {
    fn from(reply: Reply) -> Self {
        Self::Reply(reply)
    }
}

impl From<Content> for Message {
    fn from(content: Content) -> Self {
        Self::Custom(content)
    }
}
