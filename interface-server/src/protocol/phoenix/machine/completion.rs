//! How joins and channels end, and what waited for that.

use bytestring::ByteString;

use super::action::{Action, ChannelId, Dropped, JoinOutcome, Stop};
use super::channel::{Channel, Stage};
use super::dispatch::{error, ok, unmatched};
use super::held::Held;
use super::{Machine, Turn};
use crate::protocol::phoenix::message::Payload;

/// The response to a join that did not come to an answer (§1.7).
const JOIN_CRASHED: &str = r#"{"reason":"join crashed"}"#;

impl Machine {
    /// How a join ended. The client is answered, and what waited goes on.
    pub(crate) fn join_done(
        &mut self,
        topic: &str,
        id: ChannelId,
        outcome: JoinOutcome,
        turn: &mut Turn<'_>,
    ) {
        let current = self.current(topic, id);
        if !current.is_some_and(|(_, channel)| channel.is_joining()) {
            turn.push(Action::Drop(Dropped::ChannelEnded));
            return;
        }
        match outcome {
            JoinOutcome::Joined { response } => self.joined(topic, response, turn),
            JoinOutcome::Refused { response } => self.not_joined(topic, Some(response), turn),
            JoinOutcome::Crashed => self.join_crashed(topic, turn),
            JoinOutcome::Unmatched => self.not_joined(topic, None, turn),
        }
    }

    fn joined(&mut self, topic: &str, response: Payload, turn: &mut Turn<'_>) {
        let Some(channel) = self.channels.get_mut(topic) else {
            return;
        };
        channel.stage = Stage::Joined;
        let held = std::mem::take(&mut channel.held);
        turn.push(Action::Reply {
            join_ref: channel.join_ref.clone(),
            reference: channel.reference.clone(),
            topic: ByteString::from(topic),
            status: ByteString::from_static("ok"),
            response,
        });
        self.resume(held, turn);
    }

    fn join_crashed(&mut self, topic: &str, turn: &mut Turn<'_>) {
        self.not_joined(topic, Some(Payload::fixed(JOIN_CRASHED)), turn);
    }

    /// A join is refused with that response, or because there is no such topic.
    fn not_joined(&mut self, topic: &str, response: Option<Payload>, turn: &mut Turn<'_>) {
        let Some((topic, channel)) = self.remove(topic) else {
            return;
        };
        turn.push(match response {
            Some(response) => error(channel.join_ref, channel.reference, topic, response),
            None => unmatched(channel.reference, topic),
        });
        self.resume(channel.held, turn);
    }

    /// A channel has ended, by itself or because it was told. What it said
    /// before that comes before this.
    pub(crate) fn channel_stopped(
        &mut self,
        topic: &str,
        id: ChannelId,
        stop: Stop,
        turn: &mut Turn<'_>,
    ) {
        match self.current(topic, id) {
            None => turn.push(Action::Drop(Dropped::ChannelEnded)),
            Some((_, channel)) if channel.is_joining() => self.join_crashed(topic, turn),
            Some(_) => self.stopped(topic, stop, turn),
        }
    }

    fn stopped(&mut self, topic: &str, stop: Stop, turn: &mut Turn<'_>) {
        let Some((topic, channel)) = self.remove(topic) else {
            return;
        };
        // A client that leaves gets what it wants even if the channel crashes.
        let crashed = stop == Stop::Crashed && !channel.is_ending();
        if let Stage::Leaving { reference } = &channel.stage {
            let own = channel.own_ref().cloned();
            turn.push(ok(own, reference.clone(), topic.clone()));
        }
        let join_ref = channel.join_ref;
        turn.push(if crashed {
            Action::Error { topic, join_ref }
        } else {
            Action::Close { topic, join_ref }
        });
        self.resume(channel.held, turn);
    }

    fn remove(&mut self, topic: &str) -> Option<(ByteString, Channel)> {
        let removed = self.channels.remove_entry(topic);
        if self.channels.is_empty() {
            // An idle connection keeps no memory of a busy minute.
            self.channels.shrink_to_fit();
        }
        removed.map(|(topic, channel)| (topic, *channel))
    }

    /// Goes on with a topic's messages until one of them has to be waited for.
    fn resume(&mut self, mut held: Held, turn: &mut Turn<'_>) {
        while let Some(incoming) = held.pop_front() {
            self.budget.remove(&incoming);
            let topic = incoming.topic.clone();
            self.dispatch(incoming, turn);
            if let Some(channel) = self.channels.get_mut(&*topic)
                && channel.is_busy()
            {
                channel.held.append(&mut held);
            }
        }
    }
}
