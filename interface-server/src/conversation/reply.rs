//! What a reply, or a group's message, means for a conversation.

use bytestring::ByteString;
use towpath_layer_core::{Accept, Counter, Deny, Frame, Reply, Taken, TopicReply};

use super::{Action, Conversation, Stage, Turn};
use crate::protocol::close;
use crate::protocol::refusal::Refusal;

impl Conversation {
    /// A reply: its parts in the order of the contract. What comes with a
    /// stale completion is as stale as that.
    pub(crate) fn reply(&mut self, reply: Reply, turn: &mut Turn<'_>) {
        let attempt = self.in_flight.as_ref().map(|event| event.attempt);
        if let Some(completion) = &reply.completion
            && attempt != Some(completion.attempt)
        {
            turn.push(Action::Count(Counter::Stale));
            return;
        }
        if let Some(taken) = &reply.taken {
            self.taken(taken);
        }
        if let Some(accept) = reply.accept {
            self.accept(*accept, turn);
        }
        if let Some(deny) = reply.deny {
            self.deny(*deny, turn);
        } else {
            if let Some(frame) = reply.frame {
                self.frame(frame, turn);
            }
            for said in reply.topic {
                self.topic(said, turn);
            }
            if let Some(event) = reply.event {
                self.application(event, turn);
            }
            if let Some(tick) = reply.tick {
                self.set_tick(*tick, turn);
            }
            if let Some(close) = reply.close {
                self.close_as_asked(&close, turn);
            }
        }
        if let Some(completion) = reply.completion {
            self.completion(*completion, turn);
        }
    }

    /// What a group's message says besides its frame. It does not answer a
    /// handshake with 101, sets no ticks and completes nothing: only the conversation's own
    /// consumer does.
    pub(crate) fn group_reply(&mut self, reply: &Reply, turn: &mut Turn<'_>) {
        if let Some(event) = &reply.event {
            self.application(event.clone(), turn);
        }
        if let Some(close) = &reply.close {
            self.close_as_asked(close, turn);
        }
    }

    fn taken(&mut self, taken: &Taken) {
        if let Some(event) = &mut self.in_flight
            && event.attempt == taken.attempt
        {
            event.worker = Some(taken.worker);
            event.handed_out = None;
        }
    }

    fn accept(&mut self, accept: Accept, turn: &mut Turn<'_>) {
        match self.stage {
            Stage::Asking => {
                self.stage = Stage::Open;
                self.accepted = true;
                turn.push(Action::Accept(accept));
            }
            // The consumer believes in a socket: it is told of its end.
            Stage::Left => self.accepted = true,
            Stage::Open | Stage::Shut | Stage::Parting | Stage::Ended => {}
        }
    }

    fn deny(&mut self, deny: Deny, turn: &mut Turn<'_>) {
        if self.stage == Stage::Asking {
            self.refuse(Refusal::denied(deny), turn);
        }
    }

    /// What a topic's consumer says to its client: an answer to the join is one
    /// only while that waits; the rest goes out while the topic lives, and with
    /// its last event, too.
    fn topic(&mut self, said: TopicReply, turn: &mut Turn<'_>) {
        match (&said, self.stage) {
            (TopicReply::Joined { .. }, Stage::Asking) => {
                self.stage = Stage::Open;
                self.accepted = true;
                turn.push(Action::Topic(said));
            }
            (TopicReply::Joined { .. }, Stage::Left) => self.accepted = true,
            // A plain WebSocket is accepted before it is told where it stands.
            (TopicReply::Joined { .. }, Stage::Open) if self.topic.is_none() => {
                turn.push(Action::Topic(said));
            }
            (TopicReply::Resume(_), Stage::Asking | Stage::Open) => {
                turn.push(Action::Topic(said));
            }
            (TopicReply::Refused { .. }, Stage::Asking) => {
                self.stage = Stage::Shut;
                self.waiting.clear();
                self.end_ticks(turn);
                turn.push(Action::Topic(said));
            }
            (TopicReply::Stop, Stage::Open) => {
                self.close(close::NORMAL, ByteString::from_static("stopped"), turn);
            }
            // It ends already.
            (TopicReply::Stop, Stage::Left | Stage::Shut | Stage::Parting) => {}
            (
                TopicReply::Push { .. } | TopicReply::Answer { .. } | TopicReply::Tracking(_),
                Stage::Open | Stage::Left | Stage::Shut | Stage::Parting,
            ) if self.accepted => turn.push(Action::Topic(said)),
            _ => turn.push(Action::Count(Counter::Dropped)),
        }
    }

    fn frame(&mut self, frame: Frame, turn: &mut Turn<'_>) {
        self.accept(Accept::default(), turn);
        if self.stage == Stage::Open {
            turn.push(Action::Send(frame));
        } else {
            turn.push(Action::Count(Counter::Dropped));
        }
    }
}
