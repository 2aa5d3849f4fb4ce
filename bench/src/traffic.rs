//! Who speaks, when, and whether everything arrived: once, in order, where it
//! belongs. Knows no socket: it says who is due, and is told what arrived.

use std::time::{Duration, Instant};

use crate::stats::Histogram;
use crate::wire::{self, Template};

/// Send times kept for each speaker. In a closed loop nobody falls so far behind;
/// in an open loop a server that does cannot hold the rate.
const BEHIND_MESSAGES_MAX: usize = 1024;
const CLOSED_BEHIND_MESSAGES_MAX: usize = 64;

/// What drives the speakers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    Silent,
    /// A speaker speaks again when its own message is back.
    Own,
    /// A speaker keeps this many messages on their way; one has arrived when the whole room has it.
    Room {
        ahead: usize,
    },
    /// Every speaker speaks at a fixed rate.
    Rate(Duration),
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
            self.seen = if skipped < 63 {
                self.seen << (skipped + 1) | 1
            } else {
                1
            };
            self.next = sequence + 1;
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

#[derive(Debug)]
struct Speaker {
    template: Template,
    sent: u64,
    sent_at: Vec<Instant>,
    /// For each message on its way, how many of the room have not got it.
    missing: Vec<usize>,
}

#[derive(Debug)]
pub(crate) struct Traffic {
    shape: Shape,
    speakers: Vec<Speaker>,
    lanes: Vec<Lane>,
    /// Sockets that are to speak now, once for each entry.
    due: Vec<usize>,
    speaking: bool,
    expected: u64,
    delivered: u64,
    wrong: Wrong,
    latency: Histogram,
}

impl Traffic {
    pub(crate) fn new(shape: Shape) -> Self {
        let behind = match shape.pace {
            Pace::Rate(_) => BEHIND_MESSAGES_MAX,
            _ => CLOSED_BEHIND_MESSAGES_MAX,
        };
        let speaker = |index: usize| Speaker {
            template: Template::new(
                index / shape.speakers * shape.room + index % shape.speakers,
                shape.payload_bytes,
            ),
            sent: 0,
            sent_at: vec![Instant::now(); behind],
            missing: vec![0; behind],
        };
        let rooms = shape.sockets / shape.room;
        let speakers = if shape.pace == Pace::Silent {
            0
        } else {
            rooms * shape.speakers
        };
        Self {
            shape,
            speakers: (0..speakers).map(speaker).collect(),
            lanes: vec![Lane::default(); shape.sockets * shape.speakers],
            due: Vec::new(),
            speaking: false,
            expected: 0,
            delivered: 0,
            wrong: Wrong::default(),
            latency: Histogram::new(),
        }
    }

    pub(crate) fn start(&mut self) {
        self.speaking = true;
        match self.shape.pace {
            Pace::Silent | Pace::Rate(_) => {}
            Pace::Own => self.all_are_due(),
            Pace::Room { ahead } => (0..ahead).for_each(|_| self.all_are_due()),
        }
    }

    pub(crate) fn stop(&mut self) {
        self.speaking = false;
        self.due.clear();
    }

    pub(crate) fn all_are_due(&mut self) {
        let Shape { room, speakers, .. } = self.shape;
        let socket = |index: usize| index / speakers * room + index % speakers;
        self.due.extend((0..self.speakers.len()).map(socket));
    }

    pub(crate) fn next_due(&mut self) -> Option<usize> {
        self.due.pop()
    }

    /// The frame for the next message of `socket`; `None` if the server is too far
    /// behind for its times to be known.
    pub(crate) fn speak(&mut self, socket: usize, now: Instant) -> Option<&[u8]> {
        let Shape {
            room,
            speakers,
            pace,
            ..
        } = self.shape;
        let speaker = self
            .speakers
            .get_mut(socket / room * speakers + socket % room)?;
        let slot = slot(speaker.sent, speaker.missing.len());
        let missing = speaker.missing.get_mut(slot)?;
        if *missing > 0 && matches!(pace, Pace::Rate(_)) {
            return None;
        }
        *missing = room;
        *speaker.sent_at.get_mut(slot)? = now;
        self.expected += room as u64;
        speaker.sent += 1;
        Some(speaker.template.stamp(speaker.sent - 1))
    }

    /// A data frame has arrived at `socket`.
    pub(crate) fn arrive(&mut self, socket: usize, payload: &[u8], now: Instant) {
        if payload.len() != self.shape.payload_bytes {
            self.wrong.malformed += 1;
            return;
        }
        match wire::marker(payload) {
            Some((sender, sequence)) => self.deliver(socket, sender, sequence, now),
            None => self.wrong.malformed += 1,
        }
    }

    fn deliver(&mut self, socket: usize, sender: usize, sequence: u64, now: Instant) {
        let Shape {
            room,
            speakers,
            pace,
            ..
        } = self.shape;
        let (place, voice) = (sender / room, sender % room);
        let speaker = self.speakers.get_mut(place * speakers + voice);
        let lane = self.lanes.get_mut(socket * speakers + voice);
        let (Some(speaker), Some(lane)) = (speaker, lane) else {
            self.wrong.misrouted += 1;
            return;
        };
        if place != socket / room || voice >= speakers || sequence >= speaker.sent {
            self.wrong.misrouted += 1;
            return;
        }
        match lane.take(sequence) {
            Arrival::InOrder => {}
            Arrival::Late => self.wrong.out_of_order += 1,
            Arrival::Repeated => {
                self.wrong.repeated += 1;
                return;
            }
        }
        self.delivered += 1;
        let kept = speaker.missing.len();
        let known = speaker.sent - sequence <= kept as u64;
        let slot = slot(sequence, kept);
        if let (true, Some(sent_at)) = (known, speaker.sent_at.get(slot)) {
            self.latency.record(now.saturating_duration_since(*sent_at));
        }
        let missing = speaker
            .missing
            .get_mut(slot)
            .filter(|_| known)
            .map(|missing| {
                *missing = missing.saturating_sub(1);
                *missing
            });
        let again = match pace {
            Pace::Silent | Pace::Rate(_) => false,
            Pace::Own => sender == socket,
            Pace::Room { .. } => missing == Some(0),
        };
        if again && self.speaking {
            self.due.push(sender);
        }
    }

    pub(crate) fn malformed(&mut self) {
        self.wrong.malformed += 1;
    }

    pub(crate) fn closed(&mut self) {
        self.wrong.closed += 1;
    }

    /// A handshake is a latency too.
    pub(crate) fn opened(&mut self, took: Duration) {
        self.latency.record(took);
    }

    pub(crate) fn has_all(&self) -> bool {
        self.delivered >= self.expected
    }

    pub(crate) fn delivered(&self) -> u64 {
        self.delivered
    }

    pub(crate) fn wrong(&self) -> Wrong {
        Wrong {
            lost: self.expected.saturating_sub(self.delivered),
            ..self.wrong
        }
    }

    pub(crate) fn latency(&self) -> &Histogram {
        &self.latency
    }

    pub(crate) fn forget_latency(&mut self) {
        self.latency.clear();
    }
}

fn slot(sequence: u64, kept: usize) -> usize {
    usize::try_from(sequence % kept as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room_of_three() -> Traffic {
        let pace = Pace::Room { ahead: 2 };
        let mut traffic = Traffic::new(Shape {
            sockets: 6,
            room: 3,
            speakers: 1,
            payload_bytes: 64,
            pace,
        });
        traffic.start();
        for socket in [3, 0, 3, 0] {
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
