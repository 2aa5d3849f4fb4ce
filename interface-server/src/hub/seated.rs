//! A member of a group, with all that telling it something needs: a message is
//! brought to thousands of them, and each pointer that is followed on the way is
//! memory that has grown cold.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use towpath_layer_core::{GroupName, PlainMember};

use super::connection::Connection;
use super::topic::Topic;
use crate::protocol::phoenix::{Carries, Serializer};
use crate::routes::Mount;

/// A member of a group on this shard.
#[derive(Debug)]
pub(crate) struct Seated {
    pub(crate) connection: Rc<Connection>,
    /// On whose line it is told.
    pub(crate) socket: Rc<Connection>,
    pub(crate) meta: Bytes,
    pub(super) hears: Hears,
}

/// How a member hears of a topic's messages.
#[derive(Debug)]
pub(super) enum Hears {
    /// As a plain WebSocket, or one of its streams.
    Plain(PlainMember),
    /// As a listener of such a one, whose consumer has subscribed to the topic:
    /// its stream, empty without one.
    Listens(ByteString),
    /// As a topic that a client has joined.
    Joined(Joined),
    /// As a socket itself: it is in no topic but its id.
    Socket,
}

/// What a joined topic is to a group.
#[derive(Debug)]
pub(super) struct Joined {
    /// Whether the group is of this topic, and of no other.
    pub(super) is_own: bool,
    pub(super) serializer: Serializer,
    pub(super) carries: Carries,
    /// The mount and the number of the topic's route there, if its consumer
    /// sees any events before the client does.
    pub(super) intercepted: Option<(Arc<Mount>, usize)>,
    /// Whether its join was unanswered when it was last looked at.
    joins: Cell<bool>,
}

impl Seated {
    pub(super) fn new(connection: Rc<Connection>, group: &GroupName, meta: Bytes) -> Self {
        let hears = Hears::of(&connection, group, &meta);
        Self::hearing(connection, meta, hears)
    }

    /// A listener of a plain WebSocket.
    pub(super) fn listener(connection: Rc<Connection>, meta: Bytes) -> Self {
        let hears = Hears::Listens(PlainMember::of(&meta).stream);
        Self::hearing(connection, meta, hears)
    }

    fn hearing(connection: Rc<Connection>, meta: Bytes, hears: Hears) -> Self {
        let socket = Rc::clone(connection.socket());
        Self {
            connection,
            socket,
            meta,
            hears,
        }
    }

    /// Whether it hears of broadcasts by its consumer, and of nothing else.
    pub(super) fn listens(&self) -> bool {
        matches!(self.hears, Hears::Listens(_))
    }

    /// Whether frames may be written to it that are no messages of a topic.
    pub(super) fn takes_frames(&self) -> bool {
        match self.hears {
            Hears::Plain(_) => true,
            Hears::Socket => self.socket.phoenix.is_none(),
            Hears::Joined(_) | Hears::Listens(_) => false,
        }
    }

    /// Whether it is a topic of whose end its client has been told.
    pub(super) fn is_over(&self) -> bool {
        let ends_topics = self.socket.line.borrow().ends_topics;
        ends_topics && self.connection.topic().is_some_and(Topic::is_told)
    }

    /// Whether what the group is told has to wait for it. A topic waits for its join, which it
    /// begins with; once that is answered it is not looked at any more.
    pub(super) fn holds(&self, group: &GroupName) -> bool {
        match &self.hears {
            Hears::Joined(joined) => {
                let holds = joined.joins.get() && self.connection.holds(group);
                joined.joins.set(holds);
                holds
            }
            Hears::Plain(_) | Hears::Socket => self.connection.holds(group),
            Hears::Listens(_) => false,
        }
    }
}

impl Hears {
    fn of(connection: &Connection, group: &GroupName, meta: &Bytes) -> Self {
        let Some(topic) = connection.topic() else {
            let is_plain = connection.phoenix.is_none() && *meta != *GroupName::SOCKET_ID_META;
            return if is_plain {
                Self::Plain(PlainMember::of(meta))
            } else {
                Self::Socket
            };
        };
        let Some(phoenix) = &topic.socket.phoenix else {
            return Self::Socket;
        };
        let speech = &phoenix.speech;
        let intercepts = speech.mount.intercepts_any(topic.route);
        Self::Joined(Joined {
            is_own: *group == GroupName::topic(&topic.name),
            serializer: speech.serializer,
            carries: speech.carries,
            intercepted: intercepts.then(|| (Arc::clone(&speech.mount), topic.route)),
            joins: Cell::new(true),
        })
    }
}
