//! What happens when nothing happens.

use std::time::Duration;

use bytestring::ByteString;
use towpath_layer_core::{Counter, NodeId};

use super::in_flight::State;
use super::{Action, Conversation, Stage, Turn};
use crate::protocol::close;
use crate::protocol::refusal::Refusal;

/// After this long without a word the node asks whether the event still waits
/// in its channel. A worker speaks up after 250 ms of holding one.
const SUSPICION: Duration = Duration::from_secs(1);

/// How long whoever took an event may still say so, once it is known to have
/// been handed out.
const GRACE: Duration = Duration::from_secs(1);

impl Conversation {
    /// Looks at the deadlines.
    pub(crate) fn check_deadlines(&mut self, turn: &mut Turn<'_>) {
        let Some(event) = &self.in_flight else {
            return;
        };
        let sent = event.state != State::Waiting;
        let overdue = turn.now >= event.until;
        if self.stage == Stage::Asking && turn.now >= self.answer_by {
            self.in_flight = None;
            let refusal = if sent {
                Refusal::timed_out()
            } else {
                Refusal::unavailable()
            };
            self.refuse(refusal, turn);
        } else if sent && overdue {
            self.lost(turn);
        } else if overdue && self.stage != Stage::Asking {
            self.give_up(turn);
        }
    }

    /// The channel had no room, or the layer was out of reach, for too long.
    fn give_up(&mut self, turn: &mut Turn<'_>) {
        self.in_flight = None;
        turn.push(Action::Count(Counter::Lost));
        let reason = ByteString::from_static("the server is too busy");
        self.close(close::TRY_LATER, reason, turn);
        self.advance(turn);
    }

    /// The worker whose lease this conversation depends on.
    pub(crate) fn worker(&self) -> Option<NodeId> {
        self.in_flight.as_ref()?.worker
    }

    /// The worker that held the event in flight is gone.
    pub(crate) fn worker_gone(&mut self, worker: NodeId, turn: &mut Turn<'_>) {
        if self.worker() == Some(worker) {
            self.lost(turn);
        }
    }

    /// If nobody said that it holds the event in flight, for too long: its
    /// channel, its attempt, and how long it has been with the layer.
    pub(crate) fn suspect(&self, now: Duration) -> Option<(&'static str, u64, Duration)> {
        let event = self.in_flight.as_ref()?;
        let (at, silence) = match event.state {
            State::Waiting => return None,
            State::Sent { at } => (at, SUSPICION),
            State::Doubtful { at } => (at, Duration::ZERO),
        };
        let age = now.saturating_sub(at);
        let silent = event.worker.is_none() && age >= silence;
        silent.then_some((event.kind.channel(), event.attempt, age))
    }

    /// Whether the event of that attempt may still wait in its channel: what
    /// the layer said about it. Handed out twice in a row, with time to speak
    /// up in between, it is lost.
    pub(crate) fn whereabouts(&mut self, attempt: u64, may_wait: bool, turn: &mut Turn<'_>) {
        let Some(event) = &mut self.in_flight else {
            return;
        };
        if event.attempt != attempt || event.worker.is_some() {
            return;
        }
        match event.handed_out {
            // A worker that stops gives back what it had taken.
            _ if may_wait => event.handed_out = None,
            None => {
                event.handed_out = Some(turn.now);
                // It may have come to the layer late, though not later than this.
                if let State::Doubtful { at } = &mut event.state {
                    *at = turn.now;
                }
            }
            Some(since) if turn.now >= since + GRACE => self.lost(turn),
            Some(_) => {}
        }
    }
}
