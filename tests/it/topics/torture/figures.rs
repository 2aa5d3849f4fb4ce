//! What has happened, in numbers.

use std::collections::BTreeMap;

use super::Seats;

/// How often each thing has happened.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// States and diffs.
    pub told: u64,
    others: BTreeMap<String, u64>,
}

/// Those of all users.
#[derive(Debug)]
pub struct Sum {
    pub told: u64,
    pub connected: usize,
    pub joined: usize,
    pub others: BTreeMap<String, u64>,
}

impl Figures {
    /// Something has happened once more.
    pub fn note(&mut self, what: impl Into<String>) {
        *self.others.entry(what.into()).or_default() += 1;
    }
}

pub fn of(seats: &Seats) -> Sum {
    let mut sum = Sum {
        told: 0,
        connected: 0,
        joined: 0,
        others: BTreeMap::new(),
    };
    for seat in seats {
        let seat = seat.lock();
        sum.told += seat.figures.told;
        sum.connected += usize::from(seat.connected);
        sum.joined += seat.joined().count();
        for (what, times) in &seat.figures.others {
            *sum.others.entry(what.clone()).or_default() += times;
        }
    }
    sum
}
