//! What may keep a socket's other topics, or a new join, waiting, and for how
//! long: nothing stands still because one topic does.

use std::rc::Rc;
use std::time::Duration;

use towpath_layer_core::Push;

use super::connection::Connection;
use super::shard::Shard;
use super::topic::{Phoenix, Topic};
use crate::conversation::Conversation;
use crate::protocol::phoenix::{Payload, Stop};

/// Messages of a client that may wait for its topics' conversations: reading
/// stops at it, as long as they go on.
const WAITING_MAX: usize = 16;

/// Messages that may wait for one of them once reading does not stop any more:
/// half of what may arrive there by default, so that there is room for what
/// comes from elsewhere. One beyond it is answered with an error.
const TOPIC_WAITING_MAX: usize = 32;

/// How long reading may stand still before it goes on without those topics for
/// which too much waits. A sweep looks at it.
const STANDSTILL_MAX: Duration = Duration::from_secs(1);

/// How long a client that joins a topic again waits for the end of what it had
/// joined before (reference §1.6). A sweep looks at it.
const ENDING_MAX: Duration = Duration::from_secs(5);

/// Whether a socket is read while too much waits for its topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// Not now: they go on, so far as is known.
    Waits,
    /// Not now: they have been at a standstill since then.
    Stands(Duration),
    /// It is, as other topics, and heartbeats, must not wait for ever.
    GoesOn,
}

/// How a topic ends that was told to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// It was not.
    No,
    /// It handles what was read, and parts.
    Asked,
    /// The client has joined it again since then, and waits.
    Awaited(Duration),
}

impl Phoenix {
    /// Whether another message of the client has to wait in the kernel.
    pub(crate) fn is_full(&self) -> bool {
        self.draining.get() || (self.has_enough() && self.reading.get() != Reading::GoesOn)
    }

    fn has_enough(&self) -> bool {
        self.waiting.get() >= WAITING_MAX
    }

    /// How many messages may wait for one of the topics, if there is a limit.
    pub(super) fn topic_waiting_max(&self) -> Option<usize> {
        (self.reading.get() == Reading::GoesOn).then_some(TOPIC_WAITING_MAX)
    }

    /// Notes whether the topics stand still; whether reading goes on from now.
    pub(super) fn stands_still(&self, now: Duration) -> bool {
        if !self.has_enough() {
            return false;
        }
        let reading = match self.reading.get() {
            Reading::Waits => Reading::Stands(now),
            Reading::Stands(since) if now >= since + STANDSTILL_MAX => Reading::GoesOn,
            same => same,
        };
        self.reading.replace(reading) != reading && reading == Reading::GoesOn
    }

    /// Notes how many messages wait for one of the topics.
    pub(super) fn note_waiting(&self, topic: &Topic, waiting: usize) {
        let before = topic.waiting.replace(waiting);
        self.waiting.set(self.waiting.get() + waiting - before);
        if !self.has_enough() {
            self.reading.set(Reading::Waits);
        }
    }
}

impl Topic {
    /// Notes whether its client waits for its end; whether it has waited for
    /// too long.
    pub(super) fn is_overdue(&self, now: Duration) -> bool {
        match self.ending.get() {
            Ending::No => false,
            Ending::Asked => {
                let phoenix = self.socket.phoenix.as_ref();
                let in_the_way = phoenix.is_some_and(|phoenix| {
                    let machine = phoenix.machine.borrow();
                    machine.is_in_the_way(&self.name, self.id)
                });
                if in_the_way {
                    self.ending.set(Ending::Awaited(now));
                }
                false
            }
            Ending::Awaited(since) => now >= since + ENDING_MAX,
        }
    }
}

impl Shard {
    /// A message of the client for a topic. One for which there is no room is
    /// answered with an error that names the limit.
    pub(super) fn push_to(
        self: &Rc<Self>,
        connection: &Rc<Connection>,
        phoenix: &Phoenix,
        push: Push,
    ) {
        let max = phoenix.topic_waiting_max();
        let full = max.filter(|max| {
            let conversation = connection.conversation.borrow();
            !conversation.takes_message(*max, &self.rules)
        });
        let (Some(max), Some(topic)) = (full, connection.topic()) else {
            return self.turn(connection, |conversation, turn| {
                conversation.push(push, turn);
            });
        };
        let reason = "too many messages wait for the topic";
        let response = format!(r#"{{"reason":"{reason}","topic_waiting_max":{max}}}"#);
        let (reference, status) = (push.reference.map(Into::into), "error".into());
        let response = Payload::Json(response.into());
        self.on_machine(topic, |machine, turn| {
            machine.reply(&topic.name, topic.id, reference, status, response, turn);
        });
    }

    /// Looks at what may keep other topics of a socket, or a new join, waiting.
    pub(super) fn look_at_topics(self: &Rc<Self>, connection: &Rc<Connection>, now: Duration) {
        if let Some(phoenix) = &connection.phoenix
            && phoenix.stands_still(now)
        {
            connection.task.notify();
        }
        if let Some(topic) = connection.topic()
            && topic.is_overdue(now)
        {
            topic.ending.set(Ending::No);
            topic.note_told();
            self.turn(connection, Conversation::cut_short);
            self.stopped(topic, Stop::Normal);
        }
    }
}
