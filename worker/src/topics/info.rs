//! What a topic's consumer hears that no client said.

use bytestring::ByteString;
use towpath_layer_core::{Application, Broadcast, EventKind};

use super::TopicPayload;
use crate::{Error, Result};

/// Close codes (RFC 6455 §7.4.1; 1012 is in its registry).
const NORMAL: u16 = 1000;
const GOING_AWAY: u16 = 1001;
const INTERNAL: u16 = 1011;
const RESTART: u16 = 1012;

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
        if event.name != *Broadcast::HEARD {
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
    /// A consumer of it failed. The log has more under this id.
    Crashed(ByteString),
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
            _ => crashed(*code, reason).unwrap_or_else(|| TerminateReason::Other(reason.clone())),
        };
        let code = *code;
        Some(Self { reason, code })
    }

    /// How the connection of a plain WebSocket ended: by its peer, unless code
    /// and reason are those of its node.
    pub(super) fn of_socket(kind: &EventKind) -> Option<Self> {
        let EventKind::Disconnect { code, reason } = kind else {
            return None;
        };
        let reason = match (*code, &**reason) {
            (GOING_AWAY, "disconnected") => TerminateReason::Disconnected,
            (RESTART, "the server restarts") => TerminateReason::Draining,
            _ => crashed(*code, reason).unwrap_or(TerminateReason::Closed),
        };
        let code = *code;
        Some(Self { reason, code })
    }

    /// It ended in good order, and its connection may live.
    pub(super) fn in_order(reason: TerminateReason) -> Self {
        Self {
            reason,
            code: NORMAL,
        }
    }
}

fn crashed(code: u16, reason: &ByteString) -> Option<TerminateReason> {
    let id = reason.strip_prefix("internal error ");
    let id = id.filter(|_| code == INTERNAL)?;
    Some(TerminateReason::Crashed(id.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gone(code: u16, reason: &str) -> EventKind {
        let reason = reason.into();
        EventKind::Disconnect { code, reason }
    }

    #[test]
    fn a_topic_knows_why_it_ended() {
        for (code, text, reason) in [
            (1000, "left", TerminateReason::Left),
            (1000, "stopped", TerminateReason::Stopped),
            (1012, "draining", TerminateReason::Draining),
            (
                1011,
                "internal error 7f",
                TerminateReason::Crashed("7f".into()),
            ),
            (
                1012,
                "an event was lost",
                TerminateReason::Other("an event was lost".into()),
            ),
            (
                1000,
                "internal error 7f",
                TerminateReason::Other("internal error 7f".into()),
            ),
        ] {
            let terminated = Terminated::of(&gone(code, text)).unwrap();
            assert_eq!((terminated.code, terminated.reason), (code, reason));
        }
    }

    #[test]
    fn a_plain_socket_was_closed_unless_its_node_ended_it() {
        for (code, text, reason) in [
            (1001, "", TerminateReason::Closed),
            (1000, "left", TerminateReason::Closed),
            (1001, "disconnected", TerminateReason::Disconnected),
            (1012, "the server restarts", TerminateReason::Draining),
            (
                1011,
                "internal error 7f",
                TerminateReason::Crashed("7f".into()),
            ),
        ] {
            let terminated = Terminated::of_socket(&gone(code, text)).unwrap();
            assert_eq!((terminated.code, terminated.reason), (code, reason));
        }
    }
}
