//! The events that wait for the one in flight, in the order of arrival.

use std::collections::VecDeque;

use towpath_layer_core::{Application, EventKind};

use super::Rules;

/// What an event costs besides its payload, in bytes.
const EVENT_OVERHEAD: usize = 64;

/// A bounded queue of events.
#[derive(Debug, Default)]
pub(super) struct Queue {
    events: VecDeque<Waiting>,
    bytes: usize,
    messages: usize,
    /// How many of the events, and of their bytes, were put beyond the bounds.
    beyond: Beyond,
}

#[derive(Debug)]
struct Waiting {
    kind: EventKind,
    is_beyond: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Beyond {
    events: usize,
    bytes: usize,
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
    /// What was put beyond the bounds does not count.
    pub(super) fn has_room(&self, kind: &EventKind, rules: &Rules) -> bool {
        let events = self.events.len() - self.beyond.events;
        let bytes = self.bytes - self.beyond.bytes + size(kind);
        self.events.is_empty()
            || (events < rules.queue_events_max && bytes <= rules.queue_bytes_max)
    }

    /// Whether another may wait beyond the bounds, by so many bytes: for it all
    /// that waits counts.
    pub(super) fn has_room_beyond(&self, kind: &EventKind, more: usize, rules: &Rules) -> bool {
        self.bytes + size(kind) <= rules.queue_bytes_max + more
    }

    /// Whether another message of the client, of any size, may wait, if no more
    /// than so many may.
    pub(super) fn takes_message(&self, messages_max: usize, rules: &Rules) -> bool {
        self.messages < messages_max
            && self.events.len() < rules.queue_events_max
            && self.bytes < rules.queue_bytes_max
    }

    pub(super) fn messages(&self) -> usize {
        self.messages
    }

    pub(super) fn push(&mut self, kind: EventKind) {
        self.add(kind, false);
    }

    pub(super) fn push_beyond(&mut self, kind: EventKind) {
        self.add(kind, true);
    }

    fn add(&mut self, kind: EventKind, is_beyond: bool) {
        let bytes = size(&kind);
        self.bytes += bytes;
        self.messages += usize::from(is_message(&kind));
        if is_beyond {
            self.beyond.events += 1;
            self.beyond.bytes += bytes;
        }
        self.events.push_back(Waiting { kind, is_beyond });
    }

    fn taken(&mut self, waiting: Waiting) -> EventKind {
        let Waiting { kind, is_beyond } = waiting;
        let bytes = size(&kind);
        self.bytes -= bytes;
        self.messages -= usize::from(is_message(&kind));
        if is_beyond {
            self.beyond.events -= 1;
            self.beyond.bytes -= bytes;
        }
        kind
    }

    pub(super) fn pop(&mut self) -> Option<EventKind> {
        let first = self.events.pop_front()?;
        let kind = self.taken(first);
        if self.events.is_empty() {
            // An idle conversation keeps no memory of a busy minute.
            self.events = VecDeque::new();
        }
        Some(kind)
    }

    /// Whether such an event waits.
    pub(super) fn contains(&self, event: &Application) -> bool {
        self.events.iter().any(|waiting| is(&waiting.kind, event))
    }

    /// Takes such an event out.
    pub(super) fn remove(&mut self, event: &Application) {
        let mut events = self.events.iter();
        if let Some(position) = events.position(|waiting| is(&waiting.kind, event))
            && let Some(waiting) = self.events.remove(position)
        {
            self.taken(waiting);
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}
