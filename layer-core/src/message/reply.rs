//! What a connection is told, by a reply or through a group.

use std::time::Duration;

use bytes::Bytes;
use bytestring::ByteString;
use serde::{Deserialize, Serialize};

use super::{Application, Frame, Headers, Poll, TopicReply};
use crate::{GroupName, NodeId, Position};

/// What to do on a connection. Its parts are done in the order of the fields.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Reply {
    /// A worker still holds an event; not an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taken: Option<Taken>,
    /// Answers the handshake with 101.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accept: Option<Box<Accept>>,
    /// Answers the handshake with an HTTP error; the rest is ignored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deny: Option<Box<Deny>>,
    /// A frame for the client; accepts the handshake if it still waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frame: Option<Frame>,
    /// What a topic's client is told, in this order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub topic: Vec<TopicReply>,
    /// To a session that is polled, or from one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub poll: Option<Box<Poll>>,
    /// An event for the conversation's own consumer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<Box<Application>>,
    /// Starts or stops a recurring event for the conversation's own consumer;
    /// a group's message cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tick: Option<Box<Tick>>,
    /// Closes the socket; a waiting handshake is answered with 403.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub close: Option<Close>,
    /// A consumer has returned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion: Option<Box<Completion>>,
    /// Where it stands among the messages of its group, if it was published
    /// there; set by the layer, and by nobody else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<Box<Position>>,
}

/// How to answer a handshake with 101.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Accept {
    /// The subprotocol chosen among those that the peer offered.
    pub subprotocol: Option<ByteString>,
    /// Header fields to add.
    pub headers: Headers,
}

/// How to refuse a handshake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deny {
    /// The HTTP status, 400 to 599.
    pub status: u16,
    /// Header fields to add.
    pub headers: Headers,
    /// The body.
    pub body: Bytes,
}

/// A recurring event for the conversation's own consumer.
///
/// The interface server keeps it: nothing passes through the layer until it is
/// due, and it ends with the connection. A conversation has 16 of them at
/// most, and a name has 255 bytes at most; what is beyond that is ignored and
/// counted as dropped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tick {
    /// The name of the event, `clock.tick` for example; its content is nil.
    pub name: ByteString,
    /// How often, in place of what was said before for this name; at least
    /// 100 ms, less is raised to that. `None` stops it.
    pub every: Option<Duration>,
    /// The stream of a demultiplexer that it is for, and whose names it shares;
    /// without one it is for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<ByteString>,
}

/// How to close a socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Close {
    /// The close code (RFC 6455 §7.4).
    pub code: u16,
    /// The reason, at most 123 bytes (RFC 6455 §5.5).
    pub reason: ByteString,
}

/// A worker still holds an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// The emission that it holds.
    pub attempt: u64,
    /// The worker's node, whose lease is worth watching.
    pub worker: NodeId,
}

/// What a worker says when a consumer has returned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Completion {
    /// The emission that this completes; any other is stale.
    pub attempt: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// The changes that the consumer made to its own conversation's groups,
    /// repeated so that they survive the loss of the backend.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupChange>,
}

/// How a consumer ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It returned.
    Done {
        /// The new session, if it changed.
        session: Option<Bytes>,
    },
    /// It failed; the log has the rest under this id.
    Failed {
        /// What to look for in the worker's log.
        error_id: ByteString,
    },
    /// It failed only because the layer was out of reach.
    Lost,
    /// It asks for the event once more, with the old session.
    Retry,
}

/// One change of one conversation's memberships.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupChange {
    /// It joined.
    Add {
        /// The group.
        group: GroupName,
        /// The membership's metadata.
        meta: Bytes,
        /// Which of its [listeners](crate::LocalId::listener), or itself.
        #[serde(default, skip_serializing_if = "is_itself")]
        listener: u8,
    },
    /// It left.
    Discard {
        /// The group.
        group: GroupName,
        /// Which of its listeners, or itself.
        #[serde(default, skip_serializing_if = "is_itself")]
        listener: u8,
    },
}

impl GroupChange {
    /// It joined, as itself.
    #[must_use]
    pub fn add(group: GroupName, meta: Bytes) -> Self {
        Self::Add {
            group,
            meta,
            listener: 0,
        }
    }

    /// It left, as itself.
    #[must_use]
    pub fn discard(group: GroupName) -> Self {
        Self::Discard { group, listener: 0 }
    }

    /// Which membership it is about.
    #[must_use]
    pub fn of(&self) -> (&GroupName, u8) {
        match self {
            Self::Add {
                group, listener, ..
            }
            | Self::Discard { group, listener } => (group, *listener),
        }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks with a reference"
)]
fn is_itself(listener: &u8) -> bool {
    *listener == 0
}

impl Reply {
    /// A frame for the client.
    #[must_use]
    pub fn frame(frame: Frame) -> Self {
        Self {
            frame: Some(frame),
            ..Self::default()
        }
    }

    /// A text frame for the client.
    #[must_use]
    pub fn text(text: impl Into<ByteString>) -> Self {
        Self::frame(Frame::Text(text.into()))
    }

    /// A binary frame for the client.
    #[must_use]
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        Self::frame(Frame::Bytes(bytes.into()))
    }

    /// An event for the conversation's own consumer.
    #[must_use]
    pub fn event(event: Application) -> Self {
        Self {
            event: Some(Box::new(event)),
            ..Self::default()
        }
    }

    /// An event of that name for the conversation's own consumer, again and
    /// again: the first after `every`. `None` stops it.
    #[must_use]
    pub fn tick(name: impl Into<ByteString>, every: Option<Duration>) -> Self {
        let tick = Tick {
            name: name.into(),
            every,
            stream: None,
        };
        Self {
            tick: Some(Box::new(tick)),
            ..Self::default()
        }
    }

    /// Closes the socket.
    #[must_use]
    pub fn close(code: u16, reason: impl Into<ByteString>) -> Self {
        Self {
            close: Some(Close {
                code,
                reason: reason.into(),
            }),
            ..Self::default()
        }
    }

    /// A consumer has returned.
    #[must_use]
    pub fn completion(completion: Completion) -> Self {
        Self {
            completion: Some(Box::new(completion)),
            ..Self::default()
        }
    }

    /// Size of the user's payload, in bytes.
    #[must_use]
    pub fn payload_size(&self) -> usize {
        let frame = self.frame.as_ref().map_or(0, Frame::len);
        let event = self.event.as_ref().map_or(0, |event| event.content.len());
        let body = self.deny.as_ref().map_or(0, |deny| deny.body.len());
        let topic: usize = self.topic.iter().map(TopicReply::payload_size).sum();
        let poll = self.poll.as_ref().map_or(0, |poll| poll.payload_size());
        frame + event + body + topic + poll
    }

    /// Size of what goes with the payload, in bytes.
    #[must_use]
    pub fn envelope_size(&self) -> usize {
        fn headers_size(headers: &Headers) -> usize {
            headers
                .iter()
                .map(|(name, value)| name.len() + value.len())
                .sum()
        }
        let accept = self
            .accept
            .as_ref()
            .map_or(0, |accept| headers_size(&accept.headers));
        let deny = self
            .deny
            .as_ref()
            .map_or(0, |deny| headers_size(&deny.headers));
        let completion = self
            .completion
            .as_ref()
            .map_or(0, |completion| completion.size());
        let event = self.event.as_ref();
        let event = event.map_or(0, |event| event.envelope_size());
        let tick = self.tick.as_ref().map_or(0, |tick| tick.size());
        let topic: usize = self.topic.iter().map(TopicReply::envelope_size).sum();
        accept + deny + topic + event + tick + completion
    }
}

impl Tick {
    fn size(&self) -> usize {
        self.name.len() + self.stream.as_ref().map_or(0, |stream| stream.len())
    }
}

impl Completion {
    fn size(&self) -> usize {
        let session = match &self.outcome {
            Outcome::Done { session } => session.as_ref().map_or(0, Bytes::len),
            Outcome::Failed { .. } | Outcome::Lost | Outcome::Retry => 0,
        };
        let groups: usize = self.groups.iter().map(GroupChange::size).sum();
        session + groups
    }
}

impl GroupChange {
    fn size(&self) -> usize {
        match self {
            Self::Add { group, meta, .. } => group.as_str().len() + meta.len(),
            Self::Discard { group, .. } => group.as_str().len(),
        }
    }
}
