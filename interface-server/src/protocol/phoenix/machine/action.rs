//! What a machine wants done, and what it is told.

use bytestring::ByteString;

use crate::protocol::phoenix::message::{Payload, Ref};

/// A channel of a connection: never given twice, so that what comes late for
/// one that has ended is not taken for its successor's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ChannelId(pub u64);

/// What the shell is to do, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// Send the client an answer.
    Reply {
        /// The join that the message belonged to.
        join_ref: Option<Ref>,
        /// What the message was known by.
        reference: Option<Ref>,
        /// The message's topic.
        topic: ByteString,
        /// `ok`, `error`, or what the application chose.
        status: ByteString,
        /// The response.
        response: Payload,
    },
    /// Send the client a message of a channel.
    Push {
        /// The join that the channel came from.
        join_ref: Option<Ref>,
        /// The channel's topic.
        topic: ByteString,
        /// What it is.
        event: ByteString,
        /// What it says.
        payload: Payload,
    },
    /// Tell the client that a channel has ended, in order.
    Close {
        /// The channel's topic.
        topic: ByteString,
        /// The `join_ref` as the join had it.
        join_ref: Option<Ref>,
    },
    /// Tell the client that a channel has crashed.
    Error {
        /// The channel's topic.
        topic: ByteString,
        /// The `join_ref` as the join had it.
        join_ref: Option<Ref>,
    },
    /// Begin a channel, and tell [`Machine::join_done`](super::Machine::join_done).
    StartJoin {
        /// The topic, which no channel has.
        topic: ByteString,
        /// The new channel.
        id: ChannelId,
        /// What the join is known by: its `join_ref`, or else its `ref`.
        join_ref: Option<Ref>,
        /// What its answer is known by.
        reference: Option<Ref>,
        /// What it says.
        payload: Payload,
    },
    /// Hand a message to a joined channel. What it answers goes to
    /// [`Machine::reply`](super::Machine::reply).
    Forward {
        /// The channel's topic.
        topic: ByteString,
        /// The channel.
        id: ChannelId,
        /// What an answer is known by.
        reference: Option<Ref>,
        /// What the message is.
        event: ByteString,
        /// What it says.
        payload: Payload,
    },
    /// End a channel, behind what was forwarded to it and behind its join, and
    /// tell [`Machine::channel_stopped`](super::Machine::channel_stopped).
    StartLeave {
        /// The channel's topic.
        topic: ByteString,
        /// The channel.
        id: ChannelId,
        /// Why.
        reason: Leaving,
    },
    /// Nothing, but count it.
    Drop(Dropped),
}

/// Why a channel is told to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leaving {
    /// The client leaves.
    Left,
    /// The client has joined the topic again.
    DuplicateJoin,
    /// The connection is gone.
    Closed,
    /// The connection was closed by the id of its socket (§1.11).
    Disconnected,
    /// No poll came for too long (§1.13).
    Inactive,
    /// The server stops (§1.12).
    Draining,
}

impl Leaving {
    /// As the channel's consumer is told.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::DuplicateJoin => "duplicate_join",
            Self::Closed => "closed",
            Self::Disconnected => "disconnected",
            Self::Inactive => "inactive",
            Self::Draining => "draining",
        }
    }
}

/// How a join ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum JoinOutcome {
    /// There is a channel; the response is `{}` unless the application gave
    /// one.
    Joined {
        /// The response.
        response: Payload,
    },
    /// The application refuses.
    Refused {
        /// The response.
        response: Payload,
    },
    /// It did not come to an answer.
    Crashed,
    /// Whoever knows the topics knows none like this.
    Unmatched,
}

/// How a channel ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// In order, by itself or because it was told.
    Normal,
    /// In any other way.
    Crashed,
}

/// Why something was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dropped {
    /// A client's message belongs to an earlier join of its topic.
    StaleJoinRef,
    /// What came is for a channel that has ended, or has had it already.
    ChannelEnded,
    /// A client's message came after the end of its connection.
    ConnectionEnded,
}
