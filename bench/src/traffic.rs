//! Who speaks, when, and whether everything arrived: once, in order, where it
//! belongs. Knows no socket: it says who is due, and is told what arrived.

use std::time::{Duration, Instant};

use crate::stats::Histogram;
use crate::wire::{self, Template};

/// What drives the speakers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    Silent,
    /// A speaker speaks again when its own message is back.
    Own,
    /// A speaker keeps this many messages on their way; one has arrived when the whole room has it.
    Room(usize),
    /// Every speaker speaks at a fixed rate.
    Rate(Duration),
}

impl Pace {
    /// Messages of one speaker whose times are kept. In a closed loop hardly anyone
    /// falls so far behind; at a fixed rate it ends the run.
    fn flights(self) -> usize {
        if matches!(self, Self::Rate(_)) {
            1024
        } else {
            64
        }
    }
}

/// Sockets in equal rooms; the first few of each room speak.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) sockets: usize,
    pub(crate) room: usize,
    pub(crate) speakers: usize,
    pub(crate) payload_bytes: usize,
    pub(crate) pace: Pace,
}

/// Deliveries that should not have been, or should have been and were not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) lost: u64,
    pub(crate) repeated: u64,
    pub(crate) out_of_order: u64,
    pub(crate) misrouted: u64,
    pub(crate) malformed: u64,
    pub(crate) closed: u64,
}

#[derive(Debug, PartialEq, Eq)]
enum Arrival {
    InOrder,
    Late,
    Repeated,
}

/// What one socket has of one speaker: the next number, and the 64 before it.
#[derive(Debug, Clone, Copy, Default)]
struct Lane {
    next: u64,
    seen: u64,
}

impl Lane {
    fn take(&mut self, sequence: u64) -> Arrival {
        if let Some(skipped) = sequence.checked_sub(self.next) {
            let kept = if skipped < 63 {
                self.seen << (skipped + 1)
            } else {
                0
            };
            *self = Self {
                next: sequence + 1,
                seen: kept | 1,
            };
            return Arrival::InOrder;
        }
        // Beyond the 64 a late message and a repeated one look the same.
        let back = self.next - 1 - sequence;
        let bit = if back < 64 { 1 << back } else { 0 };
        if self.seen & bit != 0 {
            return Arrival::Repeated;
        }
        self.seen |= bit;
        Arrival::Late
    }
}

/// A message on its way: since when, and to how many of the room.
#[derive(Debug, Clone, Copy)]
struct Flight {
    sent_at: Instant,
    missing: usize,
}

#[derive(Debug)]
struct Speaker {
    template: Template,
    sent: u64,
    flights: Vec<Flight>,
}

impl Speaker {
    /// `None` if so much was sent since that it is no longer known.
    fn flight(&mut self, sequence: u64) -> Option<&mut Flight> {
        let kept = self.flights.len() as u64;
        let known = self.sent.saturating_sub(sequence) <= kept;
        let at = usize::try_from(sequence.checked_rem(kept)?).ok()?;
        self.flights.get_mut(at).filter(|_| known)
    }
}

#[derive(Debug)]
pub(crate) struct Traffic {
    shape: Shape,
    /// By socket; those that stay silent have nothing on its way.
    speakers: Vec<Speaker>,
    /// For each socket one for each speaker of its room.
    lanes: Vec<Lane>,
    /// Sockets that are to speak now, once for each entry.
    due: Vec<usize>,
    expected: u64,
    pub(crate) delivered: u64,
    pub(crate) latency: Histogram,
    pub(crate) wrong: Wrong,
}

impl Traffic {
    pub(crate) fn new(shape: Shape) -> Self {
        let flights = vec![
            Flight {
                sent_at: Instant::now(),
                missing: 0
            };
            shape.pace.flights()
        ];
        let speaker = |socket: usize| Speaker {
            template: Template::new(socket, shape.payload_bytes),
            sent: 0,
            flights: if shape.speaks(socket) {
                flights.clone()
            } else {
                Vec::new()
            },
        };
        Self {
            shape,
            speakers: (0..shape.sockets).map(speaker).collect(),
            lanes: vec![Lane::default(); shape.sockets * shape.speakers],
            due: Vec::new(),
            expected: 0,
            delivered: 0,
            latency: Histogram::new(),
            wrong: Wrong::default(),
        }
    }

    pub(crate) fn start(&mut self) {
        match self.shape.pace {
            Pace::Silent | Pace::Rate(_) => {}
            Pace::Own => self.all_are_due(1),
            Pace::Room(ahead) => self.all_are_due(ahead),
        }
    }

    pub(crate) fn stop(&mut self) {
        self.shape.pace = Pace::Silent;
        self.due.clear();
    }

    pub(crate) fn all_are_due(&mut self, times: usize) {
        let shape = self.shape;
        let speaking = (0..shape.sockets).filter(|socket| shape.speaks(*socket));
        self.due
            .extend(speaking.flat_map(|socket| std::iter::repeat_n(socket, times)));
    }

    pub(crate) fn next_due(&mut self) -> Option<usize> {
        self.due.pop()
    }

    /// The frame for the next message of `socket`; `None` if the server is too far
    /// behind for its times to be known.
    pub(crate) fn speak(&mut self, socket: usize, now: Instant) -> Option<&[u8]> {
        let Shape { room, pace, .. } = self.shape;
        let speaker = self.speakers.get_mut(socket)?;
        let sequence = speaker.sent;
        speaker.sent += 1;
        let flight = speaker.flight(sequence)?;
        if flight.missing > 0 && matches!(pace, Pace::Rate(_)) {
            return None;
        }
        *flight = Flight {
            sent_at: now,
            missing: room,
        };
        self.expected += room as u64;
        Some(speaker.template.stamp(sequence))
    }

    /// A data frame has arrived at `socket`.
    pub(crate) fn arrive(&mut self, socket: usize, payload: &[u8], now: Instant) {
        match wire::marker(payload) {
            Some((sender, sequence)) if payload.len() == self.shape.payload_bytes => {
                self.deliver(socket, sender, sequence, now);
            }
            _ => self.wrong.malformed += 1,
        }
    }

    fn deliver(&mut self, socket: usize, sender: usize, sequence: u64, now: Instant) {
        let Shape {
            room,
            speakers,
            pace,
            ..
        } = self.shape;
        let sent = |speaker: &&mut Speaker| sequence < speaker.sent;
        let lane = self.lanes.get_mut(socket * speakers + sender % room);
        let (Some(speaker), Some(lane), true) = (
            self.speakers.get_mut(sender).filter(sent),
            lane,
            sender / room == socket / room,
        ) else {
            self.wrong.misrouted += 1;
            return;
        };
        match lane.take(sequence) {
            Arrival::InOrder => {}
            Arrival::Late => self.wrong.out_of_order += 1,
            Arrival::Repeated => {
                self.wrong.repeated += 1;
                return;
            }
        }
        self.delivered += 1;
        let mut everywhere = false;
        if let Some(flight) = speaker.flight(sequence) {
            self.latency
                .record(now.saturating_duration_since(flight.sent_at));
            flight.missing = flight.missing.saturating_sub(1);
            everywhere = flight.missing == 0;
        }
        let again = match pace {
            Pace::Silent | Pace::Rate(_) => false,
            Pace::Own => sender == socket,
            Pace::Room(_) => everywhere,
        };
        if again {
            self.due.push(sender);
        }
    }

    pub(crate) fn has_all(&self) -> bool {
        self.delivered >= self.expected
    }

    /// What was wrong, if nothing more arrives.
    pub(crate) fn wrong(&self) -> Wrong {
        Wrong {
            lost: self.expected.saturating_sub(self.delivered),
            ..self.wrong
        }
    }
}

impl Shape {
    fn speaks(&self, socket: usize) -> bool {
        self.pace != Pace::Silent && socket % self.room < self.speakers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room_of_three() -> Traffic {
        let pace = Pace::Room(2);
        let mut traffic = Traffic::new(Shape {
            sockets: 6,
            room: 3,
            speakers: 1,
            payload_bytes: 64,
            pace,
        });
        traffic.start();
        for socket in [3, 3, 0, 0] {
            assert_eq!(traffic.next_due(), Some(socket));
            traffic.speak(socket, Instant::now()).unwrap();
        }
        assert_eq!(traffic.next_due(), None);
        traffic
    }

    fn deliver(traffic: &mut Traffic, arrivals: &[(usize, usize, u64)]) {
        for &(socket, sender, sequence) in arrivals {
            let payload = Template::new(sender, 64).stamp(sequence)[6..].to_vec();
            traffic.arrive(socket, &payload, Instant::now());
        }
    }

    #[test]
    fn a_speaker_is_due_when_the_whole_room_has_its_message() {
        let mut traffic = room_of_three();
        deliver(&mut traffic, &[(0, 0, 0), (1, 0, 0), (1, 0, 1)]);
        assert_eq!(traffic.next_due(), None);
        deliver(&mut traffic, &[(2, 0, 0)]);
        assert_eq!(traffic.next_due(), Some(0));
        deliver(&mut traffic, &[(0, 0, 1), (2, 0, 1)]);
        assert!(!traffic.has_all());
        for socket in 3..6 {
            deliver(&mut traffic, &[(socket, 3, 0), (socket, 3, 1)]);
        }
        assert!(traffic.has_all());
        assert_eq!(traffic.wrong(), Wrong::default());
    }

    #[test]
    fn every_kind_of_wrong_delivery_is_counted() {
        let mut traffic = room_of_three();
        deliver(&mut traffic, &[(0, 0, 1), (0, 0, 0), (0, 0, 1), (0, 0, 7)]);
        deliver(&mut traffic, &[(0, 3, 0), (1, 2, 0), (1, 700, 0)]);
        traffic.arrive(1, b"not ours", Instant::now());
        let wrong = traffic.wrong();
        assert_eq!((wrong.out_of_order, wrong.repeated), (1, 1));
        assert_eq!((wrong.misrouted, wrong.malformed), (4, 1));
        assert_eq!(wrong.lost, 12 - 2);
    }

    #[test]
    fn a_lane_remembers_the_last_64() {
        let mut lane = Lane::default();
        assert_eq!(lane.take(63), Arrival::InOrder);
        assert_eq!(lane.take(0), Arrival::Late);
        assert_eq!(lane.take(0), Arrival::Repeated);
        assert_eq!(lane.take(1000), Arrival::InOrder);
        assert_eq!(lane.take(1000), Arrival::Repeated);
        assert_eq!(lane.take(999), Arrival::Late);
    }
}
