//! How an event in flight ends.

use bytestring::ByteString;
use towpath_layer_core::{Completion, Counter, Outcome};

use super::in_flight::{InFlight, State};
use super::{Action, Conversation, Handed, Stage, Turn};
use crate::config::OnEvent;
use crate::protocol::close;
use crate::protocol::refusal::Refusal;

/// How often an event is emitted again because its consumer asked for it.
const RETRIES_MAX: u8 = 10;

impl Conversation {
    /// What became of handing an emission to the layer. Returns whether to try
    /// again later.
    pub(crate) fn handed(&mut self, attempt: u64, handed: Handed, turn: &mut Turn<'_>) -> bool {
        let asking = self.stage == Stage::Asking;
        let Some(event) = &mut self.in_flight else {
            return false;
        };
        if event.attempt != attempt || event.state != State::Waiting {
            return false;
        }
        match handed {
            Handed::Sent => {
                event.hand_over(State::Sent { at: turn.now }, turn);
                false
            }
            Handed::Doubtful => {
                event.hand_over(State::Doubtful { at: turn.now }, turn);
                false
            }
            Handed::Full if asking => {
                self.in_flight = None;
                self.refuse(Refusal::unavailable(), turn);
                false
            }
            Handed::Full | Handed::Unavailable => true,
            Handed::TooLarge => {
                self.too_large(turn);
                false
            }
            Handed::Closed => {
                self.lost(turn);
                let reason = ByteString::from_static("the server stops");
                self.close(close::RESTART, reason, turn);
                false
            }
        }
    }

    fn too_large(&mut self, turn: &mut Turn<'_>) {
        let Some(event) = self.in_flight.take() else {
            return;
        };
        if event.is_connect() {
            let status = http::StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
            self.refuse(Refusal::new(status, "the request is too large\n"), turn);
        }
        let reason = ByteString::from_static("the message is too large");
        self.close(close::TOO_BIG, reason, turn);
        self.advance(turn);
    }

    /// The completion of the event in flight, and of no other.
    pub(super) fn completion(&mut self, completion: Completion, turn: &mut Turn<'_>) {
        let Some(event) = self.in_flight.take() else {
            return;
        };
        if !self.departed && !completion.groups.is_empty() {
            turn.push(Action::Groups(completion.groups));
        }
        match completion.outcome {
            Outcome::Done { session } => self.done(&event, session, turn),
            Outcome::Failed { error_id } => self.failed(&error_id, turn),
            Outcome::Lost => self.lost_event(&event, turn),
            // A socket that this side has closed has only its end to hear of.
            Outcome::Retry if self.stage == Stage::Shut => self.advance(turn),
            Outcome::Retry if event.retries < RETRIES_MAX => {
                self.emit(event.kind, event.order, event.retries + 1, turn);
            }
            Outcome::Retry => {
                tracing::warn!(order = event.order, "an event was retried too often");
                self.failed("retried too often", turn);
            }
        }
    }

    fn done(&mut self, event: &InFlight, session: Option<bytes::Bytes>, turn: &mut Turn<'_>) {
        if let Some(session) = session {
            if session.len() > turn.rules.session_size_max {
                tracing::warn!(size = session.len(), "a session is too large");
                self.failed("the session is too large", turn);
                return;
            }
            self.session = session;
        }
        if event.is_connect() && self.stage == Stage::Asking {
            tracing::warn!(path = %self.path, "a connect consumer neither accepted nor refused");
            self.refuse(Refusal::forbidden(), turn);
        }
        self.advance(turn);
    }

    fn failed(&mut self, error_id: &str, turn: &mut Turn<'_>) {
        if self.stage == Stage::Asking {
            self.refuse(Refusal::internal(), turn);
        }
        let reason = ByteString::from(format!("internal error {error_id}"));
        self.close(close::INTERNAL, close::cut(&reason), turn);
        self.advance(turn);
    }

    /// Gives up the event in flight: whoever had it is gone.
    pub(super) fn lost(&mut self, turn: &mut Turn<'_>) {
        if let Some(event) = self.in_flight.take() {
            self.lost_event(&event, turn);
        }
    }

    fn lost_event(&mut self, event: &InFlight, turn: &mut Turn<'_>) {
        turn.push(Action::Count(Counter::Lost));
        if event.is_connect() && self.stage == Stage::Asking {
            self.refuse(Refusal::unavailable(), turn);
        } else if turn.rules.on_lost == OnEvent::Close {
            let reason = ByteString::from_static("an event was lost");
            self.close(close::RESTART, reason, turn);
        }
        self.advance(turn);
    }
}
