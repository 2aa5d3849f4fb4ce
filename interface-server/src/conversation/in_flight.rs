//! The one event in flight.

use std::time::Duration;

use towpath_layer_core::{EventKind, NodeId};

use super::Turn;

/// What became of handing an event to the layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Handed {
    /// The layer has it.
    Sent,
    /// The layer was lost before it answered, and may have it.
    Doubtful,
    /// Its channel is full.
    Full,
    /// The layer is out of reach, and does not have it.
    Unavailable,
    /// It is larger than the layer carries.
    TooLarge,
    /// The layer was closed.
    Closed,
}

impl Handed {
    /// Whether the event may be with the layer, and is not handed to it again.
    pub(crate) fn is_out(self) -> bool {
        matches!(self, Self::Sent | Self::Doubtful)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// The layer does not have it yet.
    Waiting,
    /// The layer took it then.
    Sent { at: Duration },
    /// The layer may have taken it then.
    Doubtful { at: Duration },
}

#[derive(Debug)]
pub(super) struct InFlight {
    pub(super) kind: EventKind,
    pub(super) order: u64,
    pub(super) attempt: u64,
    pub(super) retries: u8,
    pub(super) state: State,
    /// When it has waited long enough in its state.
    pub(super) until: Duration,
    /// Who said that it holds it.
    pub(super) worker: Option<NodeId>,
    /// Since when it is known that it does not wait in its channel.
    pub(super) handed_out: Option<Duration>,
}

impl InFlight {
    pub(super) fn new(
        kind: EventKind,
        order: u64,
        attempt: u64,
        retries: u8,
        until: Duration,
    ) -> Self {
        Self {
            kind,
            order,
            attempt,
            retries,
            state: State::Waiting,
            until,
            worker: None,
            handed_out: None,
        }
    }

    /// It is out of this node's hands, as far as is known.
    pub(super) fn hand_over(&mut self, state: State, turn: &Turn<'_>) {
        self.state = state;
        self.until = turn.now + turn.rules.expiry_of(&self.kind) + turn.rules.consumer_timeout;
    }

    pub(super) fn is_connect(&self) -> bool {
        matches!(self.kind, EventKind::Connect(_) | EventKind::Join(_))
    }
}
