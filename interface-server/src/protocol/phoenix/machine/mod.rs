//! What the messages of one connection mean (§1.5, §1.6).
//!
//! A [`Machine`] knows which topics the connection has joined and decides what
//! happens next. Its methods take what happened, and push [`Action`]s for the
//! shell to perform in order; it knows no socket, no clock and no layer.
//!
//! A topic has one channel at most. While the channel joins or ends, the
//! topic's messages wait in order of arrival, and no other topic's do. Every
//! [`Action::StartJoin`] wants one [`Machine::join_done`], and every
//! [`Action::StartLeave`] one [`Machine::channel_stopped`]; the shell sees to it
//! with deadlines of its own.

mod action;
mod channel;
mod completion;
mod dispatch;
mod held;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use bytestring::ByteString;

use crate::protocol::phoenix::message::{Incoming, Payload, Ref};
use crate::protocol::phoenix::routes::Routes;
use channel::Channel;
use held::Budget;

pub(crate) use action::{Action, ChannelId, Dropped, JoinOutcome, Leaving, Stop};

/// How much a connection may keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Channels at one time, those that join or end included. A join beyond it
    /// is refused.
    pub(crate) max_topics: usize,
    /// Length of a joined topic, in bytes. A join to a longer one is refused.
    pub(crate) topic_len_max: usize,
    /// Messages that wait for channels that join or end. One beyond it is
    /// answered with an error, unless it is the first leave of its topic.
    pub(crate) held_messages_max: usize,
    /// Size of the frames of those, in bytes; a message beyond it is answered
    /// with an error, unless it is the only one that waits.
    pub(crate) held_bytes_max: usize,
}

/// The topics there are, and where actions go.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    /// The topics of the mount.
    pub(crate) routes: &'a Routes,
    /// What the shell is to do, in order.
    pub(crate) actions: &'a mut Vec<Action>,
}

impl Turn<'_> {
    fn push(&mut self, action: Action) {
        self.actions.push(action);
    }
}

/// The channels of one connection.
#[derive(Debug)]
pub(crate) struct Machine {
    limits: Limits,
    /// Boxed: most connections have one, and a table has room for four.
    channels: HashMap<ByteString, Box<Channel>>,
    next_id: u64,
    budget: Budget,
    ended: bool,
}

impl Machine {
    /// A connection that has joined nothing.
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            channels: HashMap::new(),
            next_id: 1,
            budget: Budget::default(),
            ended: false,
        }
    }

    /// How many channels there are, those that join or end included.
    #[cfg(test)]
    pub(crate) fn channel_count(&self) -> usize {
        self.channels.len()
    }

    /// How many messages wait for channels that join or end.
    #[cfg(test)]
    pub(crate) fn held_count(&self) -> usize {
        self.budget.messages()
    }

    /// A message of the client.
    pub(crate) fn received(&mut self, incoming: Incoming, turn: &mut Turn<'_>) {
        if self.ended {
            turn.push(Action::Drop(Dropped::ConnectionEnded));
        } else if dispatch::is_heartbeat(&incoming) {
            turn.push(dispatch::alive(incoming));
        } else if self.is_busy(&incoming.topic) {
            self.hold(incoming, turn);
        } else {
            self.dispatch(incoming, turn);
        }
    }

    /// A message of a channel to its client.
    pub(crate) fn push(
        &self,
        topic: &str,
        id: ChannelId,
        event: ByteString,
        payload: Payload,
        turn: &mut Turn<'_>,
    ) {
        let Some((topic, channel)) = self.current(topic, id) else {
            turn.push(Action::Drop(Dropped::ChannelEnded));
            return;
        };
        turn.push(Action::Push {
            join_ref: channel.own_ref().cloned(),
            topic: topic.clone(),
            event,
            payload,
        });
    }

    /// A channel's answer to a message that was forwarded to it.
    pub(crate) fn reply(
        &self,
        topic: &str,
        id: ChannelId,
        reference: Option<Ref>,
        status: ByteString,
        response: Payload,
        turn: &mut Turn<'_>,
    ) {
        let Some((topic, channel)) = self.current(topic, id) else {
            turn.push(Action::Drop(Dropped::ChannelEnded));
            return;
        };
        turn.push(Action::Reply {
            join_ref: channel.own_ref().cloned(),
            reference,
            topic: topic.clone(),
            status,
            response,
        });
    }

    /// The connection is over: every channel is told, and what waits is thrown
    /// away. Nothing happens any more.
    pub(crate) fn connection_ended(&mut self, reason: Leaving, turn: &mut Turn<'_>) {
        self.ended = true;
        self.budget = Budget::default();
        let mut channels: Vec<_> = std::mem::take(&mut self.channels).into_iter().collect();
        channels.sort_unstable_by_key(|(_, channel)| channel.id);
        for (topic, channel) in channels {
            if !channel.is_ending() {
                let id = channel.id;
                turn.push(Action::StartLeave { topic, id, reason });
            }
        }
    }

    fn current(&self, topic: &str, id: ChannelId) -> Option<(&ByteString, &Channel)> {
        let (topic, channel) = self.channels.get_key_value(topic)?;
        (channel.id == id).then_some((topic, &**channel))
    }

    fn is_busy(&self, topic: &str) -> bool {
        let channel = self.channels.get(topic);
        channel.is_some_and(|channel| channel.is_busy())
    }
}
