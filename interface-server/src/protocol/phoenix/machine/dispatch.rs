//! What a client's message means, row by row of the table in §1.5.

use bytestring::ByteString;

use crate::protocol::phoenix::message::{Incoming, Payload, Ref};

use super::action::{Action, ChannelId, Dropped, Leaving};
use super::channel::{Channel, Stage};
use super::held::Reached;
use super::{Machine, Turn};

const JOIN: &str = "phx_join";
const LEAVE: &str = "phx_leave";

/// The topic and the event by which a client learns that the server is there.
const PHOENIX: &str = "phoenix";
const HEARTBEAT: &str = "heartbeat";

/// The response where there is no such topic, or it is not joined (§1.7).
const UNMATCHED: &str = r#"{"reason":"unmatched topic"}"#;

pub(super) fn is_heartbeat(incoming: &Incoming) -> bool {
    incoming.topic == PHOENIX && incoming.event == HEARTBEAT
}

/// Row 1: the answer to a heartbeat.
pub(super) fn alive(incoming: Incoming) -> Action {
    ok(None, incoming.reference, incoming.topic)
}

/// The answer `ok {}`.
pub(super) fn ok(join_ref: Option<Ref>, reference: Option<Ref>, topic: ByteString) -> Action {
    Action::Reply {
        join_ref,
        reference,
        topic,
        status: ByteString::from_static("ok"),
        response: Payload::empty(),
    }
}

/// An error as the answer.
pub(super) fn error(
    join_ref: Option<Ref>,
    reference: Option<Ref>,
    topic: ByteString,
    response: Payload,
) -> Action {
    Action::Reply {
        join_ref,
        reference,
        topic,
        status: ByteString::from_static("error"),
        response,
    }
}

/// Rows 2 and 11: nobody is there, and the `join_ref` does not go back.
pub(super) fn unmatched(reference: Option<Ref>, topic: ByteString) -> Action {
    error(None, reference, topic, Payload::fixed(UNMATCHED))
}

/// An error that names a limit.
fn refuse(incoming: Incoming, reason: &str, limit: Reached) -> Action {
    let Reached { name, value } = limit;
    let response = format!(r#"{{"reason":"{reason}","{name}":{value}}}"#);
    error(
        incoming.join_ref,
        incoming.reference,
        incoming.topic,
        Payload::Json(response.into()),
    )
}

/// A leave that keeps nothing of its frame.
fn lean(leave: &Incoming) -> Incoming {
    Incoming {
        join_ref: leave.join_ref.as_ref().map(Ref::detached),
        reference: leave.reference.as_ref().map(Ref::detached),
        topic: ByteString::from(&*leave.topic),
        event: ByteString::from_static(LEAVE),
        payload: Payload::empty(),
        size: leave.topic.len(),
    }
}

fn no_room(incoming: Incoming, limit: Reached) -> Action {
    refuse(incoming, "too many messages wait for their channels", limit)
}

impl Machine {
    /// A message for a topic whose channel neither joins nor ends.
    pub(super) fn dispatch(&mut self, incoming: Incoming, turn: &mut Turn<'_>) {
        let is_joined = self.channels.contains_key(&*incoming.topic);
        match (&*incoming.event, is_joined) {
            (JOIN, false) => self.join(incoming, turn),
            (JOIN, true) => self.join_again(incoming, turn),
            (LEAVE, true) => self.leave(&incoming, turn),
            // Row 8: the client has what it wants.
            (LEAVE, false) => {
                turn.push(ok(incoming.join_ref, incoming.reference, incoming.topic));
            }
            (_, true) => self.forward(incoming, turn),
            (_, false) => turn.push(unmatched(incoming.reference, incoming.topic)),
        }
    }

    /// Rows 2 to 4.
    fn join(&mut self, incoming: Incoming, turn: &mut Turn<'_>) {
        if turn.routes.find(&incoming.topic).is_none() {
            turn.push(unmatched(incoming.reference, incoming.topic));
            return;
        }
        if self.channels.len() >= self.limits.max_topics {
            let limit = Reached {
                name: "max_topics",
                value: self.limits.max_topics,
            };
            turn.push(refuse(incoming, "too many channels joined", limit));
            return;
        }
        if incoming.topic.len() > self.limits.topic_len_max {
            let limit = Reached {
                name: "topic_len_max",
                value: self.limits.topic_len_max,
            };
            turn.push(refuse(incoming, "the topic is too long", limit));
            return;
        }
        let id = ChannelId(self.next_id);
        self.next_id += 1;
        let join_ref = incoming.join_ref.as_ref();
        let channel = Channel::new(id, join_ref, incoming.reference.as_ref());
        // A slice would keep the frame alive for as long as the channel.
        let topic = ByteString::from(&*incoming.topic);
        turn.push(Action::StartJoin {
            topic: topic.clone(),
            id,
            join_ref: channel.own_ref().cloned(),
            reference: channel.reference.clone(),
            payload: incoming.payload,
        });
        self.channels.insert(topic, Box::new(channel));
    }

    /// Row 5: the last join wins. The channel that there is ends first, and the
    /// join waits for that.
    fn join_again(&mut self, incoming: Incoming, turn: &mut Turn<'_>) {
        if let Some(limit) = self.budget.reached(incoming.size, &self.limits) {
            turn.push(no_room(incoming, limit));
            return;
        }
        if let Some(channel) = self.channels.get_mut(&*incoming.topic) {
            channel.stage = Stage::Replaced;
            turn.push(Action::StartLeave {
                topic: ByteString::from(&*incoming.topic),
                id: channel.id,
                reason: Leaving::DuplicateJoin,
            });
            self.keep(incoming);
        }
    }

    /// Rows 6 and 7.
    fn leave(&mut self, incoming: &Incoming, turn: &mut Turn<'_>) {
        let Some(channel) = self.channels.get_mut(&*incoming.topic) else {
            return;
        };
        if !channel.owns(incoming.join_ref.as_ref()) {
            turn.push(Action::Drop(Dropped::StaleJoinRef));
            return;
        }
        let reference = incoming.reference.as_ref().map(Ref::detached);
        channel.stage = Stage::Leaving { reference };
        let id = channel.id;
        turn.push(Action::StartLeave {
            topic: ByteString::from(&*incoming.topic),
            id,
            reason: Leaving::Left,
        });
    }

    /// Rows 9 and 10.
    fn forward(&mut self, incoming: Incoming, turn: &mut Turn<'_>) {
        let Some((topic, channel)) = self.channels.get_key_value(&*incoming.topic) else {
            return;
        };
        if !channel.owns(incoming.join_ref.as_ref()) {
            turn.push(Action::Drop(Dropped::StaleJoinRef));
            return;
        }
        turn.push(Action::Forward {
            topic: topic.clone(),
            id: channel.id,
            reference: incoming.reference,
            event: incoming.event,
            payload: incoming.payload,
        });
    }

    /// A message for a topic whose channel joins or ends. A leave always fits,
    /// one for each topic: a client that was refused it would stay joined.
    pub(super) fn hold(&mut self, incoming: Incoming, turn: &mut Turn<'_>) {
        match self.budget.reached(incoming.size, &self.limits) {
            None => self.keep(incoming),
            Some(_) if incoming.event == LEAVE && !self.holds(&incoming.topic, LEAVE) => {
                self.keep(lean(&incoming));
            }
            Some(limit) => turn.push(no_room(incoming, limit)),
        }
    }

    /// Whether such a message waits for the topic's channel.
    fn holds(&self, topic: &str, event: &str) -> bool {
        let channel = self.channels.get(topic);
        channel.is_some_and(|channel| channel.held.iter().any(|held| held.event == event))
    }

    /// Whether a channel is to end, and the client waits for that: it has joined
    /// the topic again.
    pub(crate) fn is_in_the_way(&self, topic: &str, id: ChannelId) -> bool {
        let current = self.current(topic, id);
        current.is_some_and(|(_, channel)| channel.is_ending()) && self.holds(topic, JOIN)
    }

    fn keep(&mut self, incoming: Incoming) {
        if let Some(channel) = self.channels.get_mut(&*incoming.topic) {
            self.budget.add(&incoming);
            channel.held.push_back(incoming);
        }
    }
}
