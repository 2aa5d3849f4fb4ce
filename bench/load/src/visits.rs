//! Who comes and who goes, and when.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::shape::Visitors;

/// Visitors at one time, at most; while a server is so slow nobody else comes.
const VISITORS_MAX: usize = 1_000;

/// The times of visitors.
#[derive(Debug)]
pub(crate) struct Visits {
    visitors: Visitors,
    next: Instant,
    /// Open ones with the time at which they go, in the order in which they came.
    staying: VecDeque<(Instant, usize)>,
    /// Places that others have left.
    free: Vec<usize>,
    places: usize,
}

impl Visits {
    pub(crate) fn new(visitors: Visitors, now: Instant) -> Self {
        Self {
            visitors,
            next: now,
            staying: VecDeque::new(),
            free: Vec::new(),
            places: 0,
        }
    }

    /// The place of one who comes now, if it is time.
    pub(crate) fn comes(&mut self, now: Instant) -> Option<usize> {
        if self.next > now {
            return None;
        }
        let place = match self.free.pop() {
            Some(place) => place,
            None if self.places == VISITORS_MAX => return None,
            None => {
                self.places += 1;
                self.places - 1
            }
        };
        self.next += self.visitors.every;
        Some(place)
    }

    /// The one at this place is open.
    pub(crate) fn is_open(&mut self, place: usize, now: Instant) {
        self.staying.push_back((now + self.visitors.stay, place));
    }

    /// The place of one who goes now, if it is time.
    pub(crate) fn goes(&mut self, now: Instant) -> Option<usize> {
        let due = self.staying.front().is_some_and(|(at, _)| *at <= now);
        due.then(|| self.staying.pop_front())
            .flatten()
            .map(|(_, place)| place)
    }

    /// The one at this place is gone.
    pub(crate) fn is_gone(&mut self, place: usize) {
        self.staying.retain(|(_, staying)| *staying != place);
        self.free.push(place);
    }

    /// How long nobody comes or goes.
    pub(crate) fn wait(&self, now: Instant) -> Duration {
        let next = match self.staying.front() {
            Some((at, _)) => self.next.min(*at),
            None => self.next,
        };
        next.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_taken_again_and_bounded() {
        let now = Instant::now();
        let visitors = Visitors {
            every: Duration::from_millis(10),
            stay: Duration::from_millis(15),
        };
        let mut visits = Visits::new(visitors, now);
        assert_eq!(visits.comes(now), Some(0));
        assert_eq!(visits.comes(now), None);
        visits.is_open(0, now);
        assert_eq!(visits.wait(now), Duration::from_millis(10));
        let later = now + Duration::from_millis(15);
        assert_eq!(visits.comes(later), Some(1));
        assert_eq!(visits.goes(later), Some(0));
        assert_eq!(visits.goes(later), None);
        visits.is_gone(0);
        let much_later = now + Duration::from_secs(60);
        let mut came = 0;
        while visits.comes(much_later).is_some() {
            came += 1;
        }
        assert_eq!(came, VISITORS_MAX - 1);
    }
}
