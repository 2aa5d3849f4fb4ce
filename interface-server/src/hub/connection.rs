//! One connection, as its shard knows it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use bytestring::ByteString;
use smallvec::SmallVec;
use tokio::sync::oneshot;
use towpath_layer_core::{ChannelName, GroupName, Headers, LocalId, Position};

use super::flusher::Marks;
use super::hold::Hold;
use super::signal::Signal;
use super::topic::{Phoenix, Topic};
use crate::conversation::Conversation;
use crate::protocol::refusal::Refusal;
use crate::transport::longpoll::Session;
use crate::transport::outbox::Outbox;
use crate::transport::stream::WriteSide;

/// Groups that a connection remembers as touched.
const TOUCHED_MAX: usize = 64;

/// How a handshake is answered.
#[derive(Debug)]
pub(crate) enum Decision {
    /// With 101.
    Accept {
        subprotocol: Option<ByteString>,
        headers: Headers,
        /// Where the connection's replies go.
        channel: ChannelName,
    },
    /// With an error.
    Refuse(Refusal),
}

/// A handshake that waits.
#[derive(Debug)]
pub(crate) struct Asking {
    pub(crate) answer: oneshot::Sender<Decision>,
    pub(crate) subprotocols: Vec<ByteString>,
}

/// The way out to the peer.
#[derive(Debug, Default)]
pub(crate) struct Line {
    /// Absent until the upgrade, and after the end.
    pub(crate) write: Option<WriteSide>,
    pub(crate) outbox: Outbox,
    /// The connection's task waits for room, and writes.
    pub(crate) blocked: bool,
    /// Writing failed: the peer is gone.
    pub(crate) broken: bool,
    /// Whether the client has been told of the end of topics that are not over:
    /// here, as whoever brings topics something looks at the line anyway.
    pub(super) ends_topics: bool,
    /// When a closing socket is reset.
    pub(crate) close_by: Option<Duration>,
}

/// What a connection is.
#[derive(Debug)]
pub(crate) enum Role {
    /// A socket whose handshake waits, and what it has if it speaks Phoenix.
    Socket(Asking, Option<Box<Phoenix>>),
    /// A topic that a socket has joined: it speaks on the socket's line.
    Topic(Topic),
}

/// A connection from its handshake, or its join, to the end of its disconnect.
///
/// Its parts are borrowed for a moment at a time, never across an await and
/// never while another part is called.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) id: LocalId,
    pub(crate) channel: ChannelName,
    pub(crate) conversation: RefCell<Conversation>,
    /// If it is a socket that speaks Phoenix.
    pub(crate) phoenix: Option<Box<Phoenix>>,
    topic: Option<Box<Topic>>,
    /// What waits until its joins are answered.
    pub(crate) hold: RefCell<Option<Box<Hold>>>,
    /// Published messages up to these it has been told, or is not to be: one for
    /// each history that was read for it.
    pub(super) seen: RefCell<SmallVec<[Position; 1]>>,
    pub(crate) asking: RefCell<Option<Asking>>,
    pub(crate) line: RefCell<Line>,
    /// In which lists of sockets to write to it is.
    pub(crate) marks: Cell<Marks>,
    /// Whether reading waits for the conversation.
    pub(crate) paused: Cell<bool>,
    /// Whether the socket is to be reset.
    pub(crate) cut: Cell<bool>,
    /// Whether there is a socket, or a handshake that may become one.
    pub(crate) held: Cell<bool>,
    /// Whether the conversation is over.
    pub(crate) over: Cell<bool>,
    /// When bytes last came from the peer.
    pub(crate) heard: Cell<Duration>,
    /// When a ping was sent that nothing has followed.
    pub(crate) pinged: Cell<Option<Duration>>,
    /// Groups whose joins and leaves came by since the event in flight began.
    pub(crate) touched: RefCell<SmallVec<[GroupName; 1]>>,
    /// The highest of its listeners that has been in a group.
    pub(crate) listeners: Cell<u8>,
    /// The emission that waits until the memberships have ended, and whether
    /// they are about to.
    pub(crate) leaving: Cell<Leaving>,
    /// Whether its disconnect was handed over, or there is none to come.
    pub(crate) parted: Cell<bool>,
    /// Wakes the task that reads.
    pub(crate) task: Signal,
}

/// How far a connection is with leaving its groups.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Leaving {
    /// Nothing is on its way.
    #[default]
    No,
    /// Its memberships end; this emission waits for it.
    Before(Option<(&'static str, u64)>),
}

impl Connection {
    pub(crate) fn new(
        id: LocalId,
        channel: ChannelName,
        conversation: Conversation,
        role: Role,
        now: Duration,
    ) -> Self {
        let (asking, phoenix, topic) = match role {
            Role::Socket(asking, phoenix) => (Some(asking), phoenix, None),
            Role::Topic(topic) => (None, None, Some(Box::new(topic))),
        };
        Self {
            id,
            channel,
            conversation: RefCell::new(conversation),
            held: Cell::new(topic.is_none()),
            hold: RefCell::new(topic.as_ref().map(|_| Box::new(Hold::of_topic()))),
            seen: RefCell::default(),
            phoenix,
            topic,
            asking: RefCell::new(asking),
            line: RefCell::default(),
            marks: Cell::default(),
            paused: Cell::new(false),
            cut: Cell::new(false),
            over: Cell::new(false),
            heard: Cell::new(now),
            pinged: Cell::new(None),
            touched: RefCell::default(),
            listeners: Cell::default(),
            leaving: Cell::default(),
            parted: Cell::new(false),
            task: Signal::default(),
        }
    }

    /// As whom it may be in groups: itself, and its listeners.
    pub(crate) fn members(&self) -> impl Iterator<Item = LocalId> + use<> {
        let id = self.id;
        (0..=self.listeners.get()).map(move |number| id.listener(number))
    }

    /// What it has if it is one topic of a socket.
    pub(crate) fn topic(&self) -> Option<&Topic> {
        self.topic.as_deref()
    }

    /// Whether it has been told of what was published at a position.
    pub(crate) fn has_seen(&self, at: Option<Position>) -> bool {
        let Some(at) = at else {
            return false;
        };
        // No two histories have an epoch in common.
        let seen = self.seen.borrow();
        let mut seen = seen.iter().filter(|seen| seen.epoch == at.epoch);
        seen.any(|seen| at.offset <= seen.offset)
    }

    /// Notes that it has been told what was published up to a position.
    pub(super) fn note_seen(&self, position: Position) {
        let mut seen = self.seen.borrow_mut();
        seen.retain(|known| known.epoch != position.epoch);
        seen.push(position);
    }

    /// What it has if its client polls.
    pub(crate) fn session(&self) -> Option<&Session> {
        self.phoenix.as_ref()?.session.as_deref()
    }

    /// The connection on whose line it speaks: itself, or a topic's socket.
    pub(crate) fn socket(self: &Rc<Self>) -> &Rc<Self> {
        self.topic.as_ref().map_or(self, |topic| &topic.socket)
    }

    /// Resets the socket as soon as its task runs.
    pub(crate) fn cut(&self) {
        self.cut.set(true);
        self.task.notify();
    }

    /// Notes that a membership of this connection changed by way of the inbox.
    pub(crate) fn touch(&self, group: &GroupName) {
        if self.conversation.borrow().is_busy() {
            let mut touched = self.touched.borrow_mut();
            if touched.len() < TOUCHED_MAX && !touched.contains(group) {
                touched.push(group.clone());
            }
        }
    }

    /// Whether such a change came by since the event in flight began; yes if
    /// there were too many to remember.
    pub(crate) fn is_touched(&self, group: &GroupName) -> bool {
        let touched = self.touched.borrow();
        touched.len() >= TOUCHED_MAX || touched.contains(group)
    }
}
