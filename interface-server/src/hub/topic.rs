//! What a Phoenix socket, and a topic that it has joined, have beside their
//! conversations.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::protocol::phoenix::{Carries, ChannelId, Limits, Machine, Speech};
use crate::transport::longpoll::Session;

use super::connection::Connection;
use super::standstill::{Ending, Reading};

/// The longest topic, in bytes.
const TOPIC_LEN_MAX: usize = 255;

/// Messages of a client that may wait for joins and leaves of its topics, and
/// their bytes.
const HELD_MESSAGES_MAX: usize = 64;
const HELD_BYTES_MAX: usize = 256 << 10;

/// What a socket that speaks Phoenix has beside its own conversation.
#[derive(Debug)]
pub(crate) struct Phoenix {
    pub(crate) speech: Speech,
    /// If its client polls; boxed, as most do not.
    pub(crate) session: Option<Box<Session>>,
    pub(super) machine: RefCell<Machine>,
    pub(super) topics: RefCell<HashMap<ChannelId, Rc<Connection>>>,
    /// Messages of the client that wait for its topics' conversations.
    pub(super) waiting: Cell<usize>,
    pub(super) reading: Cell<Reading>,
    /// Whether the socket closes as soon as its topics have ended.
    pub(super) draining: Cell<bool>,
}

/// What a connection that is one joined topic has beside its conversation.
#[derive(Debug)]
pub(crate) struct Topic {
    /// The connection on whose line it speaks.
    pub(crate) socket: Rc<Connection>,
    pub(crate) name: Arc<str>,
    /// The number of its route on the mount.
    pub(crate) route: usize,
    pub(super) id: ChannelId,
    /// Whether the client knows that it has ended, or never was.
    pub(super) told: Cell<bool>,
    /// Whether all that was read is handled.
    pub(super) departed: Cell<bool>,
    pub(super) ending: Cell<Ending>,
    /// How many of the socket's waiting messages are this topic's.
    pub(super) waiting: Cell<usize>,
}

impl Phoenix {
    pub(crate) fn new(speech: Speech, now: Duration) -> Self {
        let polls = speech.carries == Carries::TextOnly;
        let window = speech.mount.longpoll_window;
        let limits = Limits {
            max_topics: speech.mount.max_topics,
            topic_len_max: TOPIC_LEN_MAX,
            held_messages_max: HELD_MESSAGES_MAX,
            held_bytes_max: HELD_BYTES_MAX,
        };
        Self {
            session: polls.then(|| Box::new(Session::new(window, now))),
            speech,
            machine: RefCell::new(Machine::new(limits)),
            topics: RefCell::default(),
            waiting: Cell::new(0),
            reading: Cell::new(Reading::Waits),
            draining: Cell::new(false),
        }
    }

    pub(super) fn topic(&self, id: ChannelId) -> Option<Rc<Connection>> {
        self.topics.borrow().get(&id).cloned()
    }

    /// The client needs to hear no more of its topics' ends.
    pub(super) fn note_told(&self) {
        for topic in self.topics.borrow().values() {
            if let Some(topic) = topic.topic() {
                topic.note_told();
            }
        }
    }

    /// Whether its client knows of the end of a topic that is not over.
    pub(super) fn ends_topics(&self) -> bool {
        let topics = self.topics.borrow();
        let mut all = topics.values().filter_map(|topic| topic.topic());
        all.any(Topic::is_told)
    }

    /// Whether all that was read of every topic is handled.
    pub(super) fn has_departed(&self) -> bool {
        let topics = self.topics.borrow();
        let mut all = topics.values().filter_map(|topic| topic.topic());
        all.all(|topic| topic.departed.get())
    }

    /// The connections of all topics that are not over.
    pub(super) fn all_topics(&self) -> Vec<Rc<Connection>> {
        self.topics.borrow().values().cloned().collect()
    }
}

impl Topic {
    /// Whether its client knows that it has ended, or never was.
    pub(super) fn is_told(&self) -> bool {
        self.told.get()
    }

    /// Notes that its client knows that. Returns whether it did before.
    pub(super) fn note_told(&self) -> bool {
        self.socket.line.borrow_mut().ends_topics = true;
        self.told.replace(true)
    }

    /// Whether its socket closes as soon as it has handled all that was read.
    pub(super) fn is_draining(&self) -> bool {
        let phoenix = self.socket.phoenix.as_ref();
        phoenix.is_some_and(|phoenix| phoenix.draining.get())
    }
}
