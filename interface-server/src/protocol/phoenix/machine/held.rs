//! Messages that wait for a channel that joins or ends.

use std::collections::VecDeque;

use crate::protocol::phoenix::message::Incoming;

use super::Limits;

/// The messages of one topic that wait, in the order of arrival.
pub(super) type Held = VecDeque<Incoming>;

/// What all topics of a connection hold together.
#[derive(Debug, Default)]
pub(super) struct Budget {
    messages: usize,
    bytes: usize,
}

/// A limit that was reached, under the name that the client is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reached {
    pub(super) name: &'static str,
    pub(super) value: usize,
}

impl Budget {
    #[cfg(test)]
    pub(super) fn messages(&self) -> usize {
        self.messages
    }

    /// The limit that keeps another message from waiting. A message of any
    /// size may wait alone.
    pub(super) fn reached(&self, size: usize, limits: &Limits) -> Option<Reached> {
        if self.messages >= limits.held_messages_max {
            return Some(Reached {
                name: "held_messages_max",
                value: limits.held_messages_max,
            });
        }
        let fits = self.bytes.saturating_add(size) <= limits.held_bytes_max;
        (self.messages > 0 && !fits).then_some(Reached {
            name: "held_bytes_max",
            value: limits.held_bytes_max,
        })
    }

    pub(super) fn add(&mut self, incoming: &Incoming) {
        self.messages += 1;
        self.bytes += incoming.size;
    }

    pub(super) fn remove(&mut self, incoming: &Incoming) {
        self.messages -= 1;
        self.bytes -= incoming.size;
    }
}
