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
}

#[derive(Debug)]
struct Waiting {
    kind: EventKind,
    is_beyond: bool,
}

fn size(kind: &EventKind) -> usize {
    let payload = match kind {
        EventKind::Receive(frame) => frame.len(),
        EventKind::In(push) | EventKind::Out(push) => push.event.len() + push.payload.len(),
        EventKind::Application(event) => event.envelope_size() + event.content.len(),
        EventKind::Connect(_) | EventKind::Join(_) | EventKind::Disconnect { .. } => 0,
    };
    EVENT_OVERHEAD + payload
}

fn is_message(kind: &EventKind) -> bool {
    matches!(kind, EventKind::Receive(_) | EventKind::In(_))
}

fn is(kind: &EventKind, event: &Application) -> bool {
    matches!(kind, EventKind::Application(known) if **known == *event)
}

impl Queue {
    /// Whether another event may wait; an empty queue takes one of any size.
    /// What was put beyond the bounds does not count.
    pub(super) fn has_room(&self, kind: &EventKind, rules: &Rules) -> bool {
        let fits = |events, bytes| {
            events < rules.queue_events_max && bytes + size(kind) <= rules.queue_bytes_max
        };
        if self.events.is_empty() || fits(self.events.len(), self.bytes) {
            return true;
        }
        let within = self.events.iter().filter(|waiting| !waiting.is_beyond);
        let (events, bytes) = within.fold((0, 0), |(events, bytes), waiting| {
            (events + 1, bytes + size(&waiting.kind))
        });
        fits(events, bytes)
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
        self.bytes += size(&kind);
        self.messages += usize::from(is_message(&kind));
        self.events.push_back(Waiting { kind, is_beyond });
    }

    pub(super) fn pop(&mut self) -> Option<EventKind> {
        let Waiting { kind, .. } = self.events.pop_front()?;
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
        self.events.iter().any(|waiting| is(&waiting.kind, event))
    }

    /// Takes such an event out.
    pub(super) fn remove(&mut self, event: &Application) {
        let mut events = self.events.iter();
        if let Some(position) = events.position(|waiting| is(&waiting.kind, event))
            && let Some(waiting) = self.events.remove(position)
        {
            self.bytes -= size(&waiting.kind);
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}
