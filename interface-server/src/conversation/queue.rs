//! The events that wait for the one in flight, in the order of arrival.

use std::collections::VecDeque;

use towpath_layer_core::{Application, EventKind};

use super::Rules;

/// Messages of the client that may wait: reading stops at it, so the kernel,
/// and then the client, keeps the rest.
const MESSAGES_MAX: usize = 1;

/// What an event costs besides its payload, in bytes.
const EVENT_OVERHEAD: usize = 64;

/// A bounded queue of events.
#[derive(Debug, Default)]
pub(super) struct Queue {
    events: VecDeque<EventKind>,
    bytes: usize,
    messages: usize,
}

fn size(kind: &EventKind) -> usize {
    let payload = match kind {
        EventKind::Receive(frame) => frame.len(),
        EventKind::In(push) | EventKind::Out(push) => push.event.len() + push.payload.len(),
        EventKind::Application(event) => event.name.len() + event.content.len(),
        EventKind::Connect(_) | EventKind::Join(_) | EventKind::Disconnect { .. } => 0,
    };
    EVENT_OVERHEAD + payload
}

fn is_message(kind: &EventKind) -> bool {
    matches!(kind, EventKind::Receive(_) | EventKind::In(_))
}

fn is(kind: &EventKind, event: &Application) -> bool {
    matches!(kind, EventKind::Application(known) if known == event)
}

impl Queue {
    /// Whether another event may wait; an empty queue takes one of any size.
    pub(super) fn has_room(&self, kind: &EventKind, rules: &Rules) -> bool {
        let bytes = self.bytes + size(kind);
        self.events.is_empty()
            || (self.events.len() < rules.queue_events_max && bytes <= rules.queue_bytes_max)
    }

    /// Whether another message of the client, of any size, may be read.
    pub(super) fn takes_message(&self, rules: &Rules) -> bool {
        self.messages < MESSAGES_MAX
            && self.events.len() < rules.queue_events_max
            && self.bytes < rules.queue_bytes_max
    }

    pub(super) fn messages(&self) -> usize {
        self.messages
    }

    pub(super) fn push(&mut self, kind: EventKind) {
        self.bytes += size(&kind);
        self.messages += usize::from(is_message(&kind));
        self.events.push_back(kind);
    }

    pub(super) fn pop(&mut self) -> Option<EventKind> {
        let kind = self.events.pop_front()?;
        self.bytes -= size(&kind);
        self.messages -= usize::from(is_message(&kind));
        if self.events.is_empty() {
            // An idle conversation keeps no memory of a busy minute.
            self.events = VecDeque::new();
        }
        Some(kind)
    }

    /// Whether such an event waits.
    pub(super) fn contains(&self, event: &Application) -> bool {
        self.events.iter().any(|kind| is(kind, event))
    }

    /// Takes such an event out.
    pub(super) fn remove(&mut self, event: &Application) {
        if let Some(position) = self.events.iter().position(|kind| is(kind, event))
            && let Some(kind) = self.events.remove(position)
        {
            self.bytes -= size(&kind);
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}
