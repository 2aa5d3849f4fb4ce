//! What a topic's conversation hears and says, beyond what every conversation does.

use bytes::Bytes;
use bytestring::ByteString;
use serde::{Deserialize, Serialize};

use super::Frame;
use crate::Position;
use crate::presence::Change;

/// A client asks to join a topic; its join waits for the answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Join {
    /// What the client sent along: JSON text, or bytes.
    pub payload: Frame,
    /// The session of the socket, as its last completion left it. A topic has
    /// a copy: later changes of either are not seen by the other.
    pub socket: Bytes,
}

/// A message of a client to a topic that it has joined, or one of the topic on
/// its way to that client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Push {
    /// What the message is, `new_msg` for example.
    pub event: ByteString,
    /// JSON text, or bytes.
    pub payload: Frame,
    /// What an answer to it carries; none is expected without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference>,
    /// The stream of a demultiplexer to which it is on its way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<ByteString>,
}

/// What a client knows an answer by; it goes back as it came.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Reference {
    /// What the clients of Phoenix send: a string.
    Text(ByteString),
    /// What handwritten clients send now and then.
    Number(i64),
}

/// What a topic's consumer tells the client that joined.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TopicReply {
    /// The join succeeded.
    Joined {
        /// The answer: JSON text, or bytes.
        response: Frame,
    },
    /// The join is refused.
    Refused {
        /// The answer: JSON text, or bytes.
        response: Frame,
    },
    /// A message.
    Push {
        /// What it is.
        event: ByteString,
        /// JSON text of an object, or bytes.
        payload: Frame,
    },
    /// The answer to a message.
    Answer {
        /// The message's reference.
        reference: Reference,
        /// `ok`, `error`, or a word of the application's.
        status: ByteString,
        /// The answer: JSON text, or bytes.
        response: Frame,
    },
    /// A message for everybody who joined the topic; it goes through the
    /// topic's group.
    Broadcast(Broadcast),
    /// Presences of the topic changed, for every shard with members in it; it goes
    /// through the topic's group.
    Presence(Box<Change>),
    /// What the client has missed goes behind the answer to its join.
    Resume(Box<Resume>),
    /// Who is here: presences of this conversation.
    Tracking(Tracking),
    /// The topic ends for this client, in good order.
    Stop,
}

/// A client that joins wants what it has missed, or a part of what was said
/// before. It stands before the answer to the join; the interface server adds
/// to that where the client stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resume {
    /// The topic.
    pub topic: ByteString,
    /// What the client has seen last, as it says: the text of a
    /// [`Position`](crate::Position).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen_id: Option<ByteString>,
    /// How many of the latest messages one is told that has seen none.
    pub latest: u32,
    /// For one that has seen none: where the topic stood before it joined. All
    /// that was published since is told, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Position>,
    /// For a plain WebSocket, which has not joined the topic's group yet: the
    /// text of its [`PlainMember`](super::PlainMember).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<ByteString>,
}

/// What a consumer asks for about who is here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tracking {
    /// This connection is present in a topic under a key, with that meta from
    /// now on.
    Track {
        /// The topic.
        topic: ByteString,
        /// Who it is, a user's id for example.
        key: ByteString,
        /// JSON text of an object.
        meta: ByteString,
    },
    /// It is not any more.
    Untrack {
        /// The topic.
        topic: ByteString,
        /// The key.
        key: ByteString,
    },
    /// Its client is told who is present, and, if asked for, who joins and
    /// leaves from then on.
    Watch {
        /// The topic.
        topic: ByteString,
        /// Whether changes are told.
        diffs: bool,
    },
}

impl Tracking {
    /// The topic that it is about.
    #[must_use]
    pub const fn topic(&self) -> &ByteString {
        match self {
            Self::Track { topic, .. } | Self::Untrack { topic, .. } | Self::Watch { topic, .. } => {
                topic
            }
        }
    }

    fn size(&self) -> usize {
        let more = match self {
            Self::Track { key, meta, .. } => key.len() + meta.len(),
            Self::Untrack { key, .. } => key.len(),
            Self::Watch { .. } => 0,
        };
        self.topic().len() + more
    }
}

/// A message of a topic for everybody who joined it, by way of the topic's group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Broadcast {
    /// The topic.
    pub topic: ByteString,
    /// What it is.
    pub event: ByteString,
    /// JSON text of an object, or bytes.
    pub payload: Frame,
    /// The conversation that it is not for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub except: Option<crate::ChannelName>,
}

impl Broadcast {
    /// The name of the [`Application`](super::Application) by which a consumer
    /// hears of a broadcast of a topic that it has subscribed to; the broadcast is
    /// its content.
    pub const HEARD: &'static str = "phx_broadcast";
}

impl Reference {
    fn size(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Number(_) => size_of::<i64>(),
        }
    }
}

impl Push {
    pub(super) fn envelope_size(&self) -> usize {
        let stream = self.stream.as_ref().map_or(0, |stream| stream.len());
        self.event.len() + self.reference.as_ref().map_or(0, Reference::size) + stream
    }
}

impl Resume {
    fn size(&self) -> usize {
        let text = |text: &Option<ByteString>| text.as_ref().map_or(0, |text| text.len());
        self.topic.len() + text(&self.last_seen_id) + text(&self.member)
    }
}

impl Join {
    pub(super) fn size(&self) -> usize {
        self.socket.len()
    }
}

impl TopicReply {
    pub(super) fn payload_size(&self) -> usize {
        match self {
            Self::Joined { response } | Self::Refused { response } => response.len(),
            Self::Push { payload, .. } => payload.len(),
            Self::Answer { response, .. } => response.len(),
            Self::Broadcast(broadcast) => broadcast.payload.len(),
            Self::Presence(change) => change.size(),
            Self::Tracking(tracking) => tracking.size(),
            Self::Resume(resume) => resume.size(),
            Self::Stop => 0,
        }
    }

    pub(super) fn envelope_size(&self) -> usize {
        match self {
            Self::Push { event, .. } => event.len(),
            Self::Answer {
                reference, status, ..
            } => reference.size() + status.len(),
            Self::Broadcast(broadcast) => broadcast.topic.len() + broadcast.event.len(),
            Self::Joined { .. }
            | Self::Refused { .. }
            | Self::Presence(_)
            | Self::Tracking(_)
            | Self::Resume(_)
            | Self::Stop => 0,
        }
    }
}
