//! Who is due to speak, and whether everything arrived: once, in order, where it belongs.
//! Knows no socket: it says who is due, and is told what arrived.

use std::collections::VecDeque;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::dialect::Dialect;
use crate::lane::{Arrival, Lane};
use crate::latency::Latency;
use crate::marker::{self, Template};
use crate::shape::{Pace, Shape};

/// Messages of one speaker that some have not yet, at most; when a server is further
/// behind, the oldest are forgotten, and their latency is not counted.
const FLIGHTS_MAX: usize = 16 * 1024;

/// Deliveries that should not have been, or should have been and were not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Wrong {
    /// Not arrived by the end; what a visitor did not get between its first and last
    /// message counts, too.
    pub lost: u64,
    /// Arrived a second time.
    pub repeated: u64,
    /// Arrived after a later message of the same sender.
    pub out_of_order: u64,
    /// Arrived in a room other than the sender's.
    pub misrouted: u64,
    /// Not a message of this generator, or not a frame at all.
    pub malformed: u64,
    /// Connections that the server refused or closed.
    pub closed: u64,
}

impl Wrong {
    /// Whether nothing was wrong.
    #[must_use]
    pub fn is_none(self) -> bool {
        self == Self::default()
    }

    /// What was wrong in both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            lost: self.lost + other.lost,
            repeated: self.repeated + other.repeated,
            out_of_order: self.out_of_order + other.out_of_order,
            misrouted: self.misrouted + other.misrouted,
            malformed: self.malformed + other.malformed,
            closed: self.closed + other.closed,
        }
    }
}

/// A message on its way: since when, and to how many of the room.
#[derive(Debug)]
struct Flight {
    since: Instant,
    missing: usize,
}

#[derive(Debug)]
struct Speaker {
    template: Template,
    sent: u64,
    /// The last ones of those sent.
    flights: VecDeque<Flight>,
}

impl Speaker {
    fn take_off(&mut self, since: Instant, missing: usize) -> &[u8] {
        while self.flights.len() >= FLIGHTS_MAX
            || self.flights.front().is_some_and(|it| it.missing == 0)
        {
            self.flights.pop_front();
        }
        self.flights.push_back(Flight { since, missing });
        self.sent += 1;
        self.template.stamp(self.sent - 1)
    }

    fn flight(&mut self, sequence: u64) -> Option<&mut Flight> {
        let back = usize::try_from(self.sent - sequence).ok()?;
        let at = self.flights.len().checked_sub(back)?;
        self.flights.get_mut(at)
    }
}

#[derive(Debug)]
pub(crate) struct Traffic {
    shape: Shape,
    /// By socket.
    speakers: Vec<Option<Speaker>>,
    /// For each socket one for each speaker of its room.
    lanes: Vec<Lane>,
    /// The same for visitors, once a first message has come.
    visitors: Vec<Option<Lane>>,
    /// Who is to speak now, and since when if not only now.
    due: VecDeque<(usize, Option<Instant>)>,
    expected: u64,
    pub(crate) sent: u64,
    pub(crate) delivered: u64,
    pub(crate) latency: Latency,
    pub(crate) wrong: Wrong,
}

impl Traffic {
    pub(crate) fn new(shape: Shape, dialect: Dialect) -> Self {
        let speaker = |socket: usize| {
            shape.speaks(socket).then(|| Speaker {
                template: Template::new(dialect, socket, shape.payload_bytes),
                sent: 0,
                flights: VecDeque::new(),
            })
        };
        Self {
            shape,
            speakers: (0..shape.sockets).map(speaker).collect(),
            lanes: vec![Lane::default(); shape.sockets * shape.speakers],
            visitors: Vec::new(),
            due: VecDeque::new(),
            expected: 0,
            sent: 0,
            delivered: 0,
            latency: Latency::default(),
            wrong: Wrong::default(),
        }
    }

    /// Makes the speakers of a closed loop due.
    pub(crate) fn start(&mut self) {
        let times = match self.shape.pace {
            Pace::Silent | Pace::Rate(_) => 0,
            Pace::Own => 1,
            Pace::Room(ahead) => ahead,
        };
        for number in 0..self.shape.speaking() {
            let socket = self.shape.speaker(number);
            self.due.extend(std::iter::repeat_n((socket, None), times));
        }
    }

    pub(crate) fn stop(&mut self) {
        self.shape.pace = Pace::Silent;
        self.due.clear();
    }

    /// The `number`th message of an open loop was due at this time.
    pub(crate) fn is_due(&mut self, number: usize, since: Instant) {
        let socket = self.shape.speaker(number);
        self.due.push_back((socket, Some(since)));
    }

    pub(crate) fn next_due(&mut self) -> Option<(usize, Option<Instant>)> {
        self.due.pop_front()
    }

    /// The frame of the next message of `socket`.
    pub(crate) fn speak(&mut self, socket: usize, since: Instant) -> Option<&[u8]> {
        let speaker = self.speakers.get_mut(socket)?.as_mut()?;
        self.expected += self.shape.room as u64;
        self.sent += 1;
        Some(speaker.take_off(since, self.shape.room))
    }

    /// Another visitor has this place among them.
    pub(crate) fn visitor_comes(&mut self, place: usize) {
        let from = place * self.shape.speakers;
        let to = from + self.shape.speakers;
        if self.visitors.len() < to {
            self.visitors.resize(to, None);
        }
        self.visitors
            .get_mut(from..to)
            .unwrap_or_default()
            .fill(None);
    }

    /// A payload has arrived at `socket`.
    pub(crate) fn arrive(&mut self, socket: usize, payload: &[u8], now: Instant) {
        let marker = marker::marker(payload).filter(|_| payload.len() == self.shape.payload_bytes);
        let Some((sender, sequence)) = marker else {
            self.wrong.malformed += 1;
            return;
        };
        let visits = socket >= self.shape.sockets;
        let room = if visits { 0 } else { socket / self.shape.room };
        let sent = self
            .speakers
            .get(sender)
            .and_then(|it| it.as_ref())
            .is_some_and(|speaker| sequence < speaker.sent);
        if !sent || sender / self.shape.room != room {
            self.wrong.misrouted += 1;
        } else if let Some(place) = socket.checked_sub(self.shape.sockets) {
            self.visit(place, sender, sequence);
        } else {
            self.deliver(socket, sender, sequence, now);
        }
    }

    /// Whoever comes in the middle has no first message, but every one from then on.
    fn visit(&mut self, place: usize, sender: usize, sequence: u64) {
        let at = place * self.shape.speakers + sender % self.shape.room;
        let Some(lane) = self.visitors.get_mut(at) else {
            return;
        };
        match lane.get_or_insert(Lane::from(sequence)).take(sequence) {
            Arrival::InOrder { skipped } => self.wrong.lost += skipped,
            Arrival::Late => self.wrong.out_of_order += 1,
            Arrival::Repeated => self.wrong.repeated += 1,
        }
    }

    fn deliver(&mut self, socket: usize, sender: usize, sequence: u64, now: Instant) {
        let Shape {
            room,
            speakers,
            pace,
            ..
        } = self.shape;
        let lane = self.lanes.get_mut(socket * speakers + sender % room);
        match lane.map(|lane| lane.take(sequence)) {
            Some(Arrival::InOrder { .. }) | None => {}
            Some(Arrival::Late) => self.wrong.out_of_order += 1,
            Some(Arrival::Repeated) => {
                self.wrong.repeated += 1;
                return;
            }
        }
        self.delivered += 1;
        let speaker = self.speakers.get_mut(sender).and_then(Option::as_mut);
        let mut everywhere = false;
        if let Some(flight) = speaker.and_then(|speaker| speaker.flight(sequence)) {
            self.latency
                .record(now.saturating_duration_since(flight.since));
            flight.missing = flight.missing.saturating_sub(1);
            everywhere = flight.missing == 0;
        }
        let again = match pace {
            Pace::Silent | Pace::Rate(_) => false,
            Pace::Own => sender == socket,
            Pace::Room(_) => everywhere,
        };
        if again {
            self.due.push_back((sender, None));
        }
    }

    pub(crate) fn has_all(&self) -> bool {
        self.delivered >= self.expected
    }

    /// What was wrong, if nothing more arrives.
    pub(crate) fn wrong(&self) -> Wrong {
        Wrong {
            lost: self.wrong.lost + self.expected.saturating_sub(self.delivered),
            ..self.wrong
        }
    }
}

#[cfg(test)]
mod tests;
