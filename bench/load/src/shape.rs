//! Who is there, who speaks, and when.

use std::time::Duration;

/// What drives the speakers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Nobody speaks.
    Silent,
    /// Closed loop: a speaker speaks again when its own message is back.
    Own,
    /// Closed loop: a speaker keeps this many messages on their way; one has arrived when
    /// the whole room has it.
    Room(usize),
    /// Open loop: every speaker speaks once in this time, spread evenly over it. Latency
    /// counts from when a message was due, however late it was sent.
    Rate(Duration),
}

/// Sockets that come, stay in the first room for a while, and go, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Visitors {
    /// One comes in each of these.
    pub every: Duration,
    /// From when it is open until it asks to be closed.
    pub stay: Duration,
}

/// Sockets in equal rooms; the first few of each room speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Sockets that stay for the whole run.
    pub sockets: usize,
    /// Sockets in a room; 1 is an echo.
    pub room: usize,
    /// Speakers in each room.
    pub speakers: usize,
    /// Bytes of a message, [`PAYLOAD_BYTES_MIN`](crate::PAYLOAD_BYTES_MIN) to
    /// [`PAYLOAD_BYTES_MAX`](crate::PAYLOAD_BYTES_MAX); brought into this range.
    pub payload_bytes: usize,
    /// What drives the speakers.
    pub pace: Pace,
    /// Who else comes and goes.
    pub visitors: Option<Visitors>,
}

impl Shape {
    /// Sockets on their own; 64 bytes a message.
    #[must_use]
    pub fn echo(sockets: usize, pace: Pace) -> Self {
        Self {
            payload_bytes: 64,
            ..Self::rooms(sockets, 1, pace)
        }
    }

    /// One room with one speaker and so many listeners besides; 128 bytes a message.
    #[must_use]
    pub fn fan_out(listeners: usize, pace: Pace) -> Self {
        Self {
            speakers: 1,
            ..Self::rooms(1, listeners + 1, pace)
        }
    }

    /// Rooms in which everybody speaks; 128 bytes a message.
    #[must_use]
    pub fn rooms(rooms: usize, room: usize, pace: Pace) -> Self {
        let room = room.max(1);
        Self {
            sockets: rooms * room,
            room,
            speakers: room,
            payload_bytes: 128,
            pace,
            visitors: None,
        }
    }

    /// How many speak.
    #[must_use]
    pub fn speaking(&self) -> usize {
        let rooms = self.sockets / self.room;
        if self.pace == Pace::Silent {
            0
        } else {
            rooms * self.speakers + (self.sockets % self.room).min(self.speakers)
        }
    }

    pub(crate) fn speaks(&self, socket: usize) -> bool {
        self.pace != Pace::Silent && socket < self.sockets && socket % self.room < self.speakers
    }

    /// The socket that speaks as the `number`th, counted round.
    pub(crate) fn speaker(&self, number: usize) -> usize {
        let number = number % self.speaking().max(1);
        number / self.speakers * self.room + number % self.speakers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speakers_are_the_first_of_each_room() {
        let pace = Pace::Own;
        let two_of_three = Shape {
            speakers: 2,
            ..Shape::rooms(3, 3, pace)
        };
        let speaking: Vec<usize> = (0..9).filter(|at| two_of_three.speaks(*at)).collect();
        assert_eq!(speaking, [0, 1, 3, 4, 6, 7]);
        assert_eq!(two_of_three.speaking(), 6);
        let in_turn: Vec<usize> = (0..7).map(|at| two_of_three.speaker(at)).collect();
        assert_eq!(in_turn, [0, 1, 3, 4, 6, 7, 0]);
        assert_eq!(Shape::fan_out(10, pace).speaking(), 1);
        assert_eq!(Shape::rooms(3, 3, Pace::Silent).speaking(), 0);
    }
}
