//! What a topic's consumer hears that no client said.

use bytestring::ByteString;
use towpath_layer_core::{Application, Broadcast, EventKind};

use super::{TopicPayload, names};
use crate::{Error, Result};

/// What [`TopicConsumer::handle_info`](super::TopicConsumer::handle_info) is
/// called for.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Info {
    /// An event of the application: a tick, an event to itself, or what was sent
    /// to a group of this conversation.
    Event(Application),
    /// A broadcast of another topic, to which the conversation subscribed by
    /// [`Topic::subscribe`](super::Topic::subscribe).
    Broadcast {
        /// The other topic.
        topic: ByteString,
        /// What it is.
        event: ByteString,
        /// What it carries.
        payload: TopicPayload,
    },
}

impl Info {
    pub(super) fn of(event: Application) -> Result<Self> {
        if event.name != names::BROADCAST {
            return Ok(Self::Event(event));
        }
        let broadcast: Broadcast = event
            .content
            .decode()
            .map_err(|error| Error::internal("a broadcast cannot be read").caused_by(error))?;
        Ok(Self::Broadcast {
            topic: broadcast.topic,
            event: broadcast.event,
            payload: broadcast.payload.into(),
        })
    }
}

/// Why a conversation of a topic is over.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Terminated {
    /// Why.
    pub reason: TerminateReason,
    /// The close code of the connection if it is closed, 1006 for a loss
    /// without one.
    pub code: u16,
}

/// Why a conversation of a topic is over.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TerminateReason {
    /// The client left the topic.
    Left,
    /// The same client joined the topic again.
    DuplicateJoin,
    /// The connection is gone.
    Closed,
    /// All sockets of its id were told to disconnect.
    Disconnected,
    /// Nothing was heard of the client for too long.
    Inactive,
    /// The server stops.
    Draining,
    /// The consumer ended it.
    Stopped,
    /// Another reason.
    Other(ByteString),
}

impl Terminated {
    /// How a topic of a socket ended.
    pub(super) fn of(kind: &EventKind) -> Option<Self> {
        let EventKind::Disconnect { code, reason } = kind else {
            return None;
        };
        let reason = match &**reason {
            "left" => TerminateReason::Left,
            "duplicate_join" => TerminateReason::DuplicateJoin,
            "closed" => TerminateReason::Closed,
            "disconnected" => TerminateReason::Disconnected,
            "inactive" => TerminateReason::Inactive,
            "draining" => TerminateReason::Draining,
            "stopped" => TerminateReason::Stopped,
            _ => TerminateReason::Other(reason.clone()),
        };
        let code = *code;
        Some(Self { reason, code })
    }

    /// The connection of a plain WebSocket is gone.
    pub(super) fn closed(kind: &EventKind) -> Option<Self> {
        let mut terminated = Self::of(kind)?;
        terminated.reason = TerminateReason::Closed;
        Some(terminated)
    }

    /// The consumer ended it, and the connection lives.
    pub(super) fn stopped() -> Self {
        Self {
            reason: TerminateReason::Stopped,
            code: 1000,
        }
    }
}
