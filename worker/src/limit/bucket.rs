//! A token bucket, as the moment at which it is full again.

use std::time::Duration;

/// A bucket that holds 200 million tokens is still full again in the time that
/// can be counted.
const DAY_US: u64 = 24 * 3600 * 1_000_000;

/// How often something may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    interval_us: u64,
}

impl Rate {
    /// So many times a second; 0 counts as 1.
    #[must_use]
    pub fn per_second(times: u32) -> Self {
        Self::every(Duration::from_secs(1) / times.max(1))
    }

    /// So many times a minute; 0 counts as 1.
    #[must_use]
    pub fn per_minute(times: u32) -> Self {
        Self::every(Duration::from_mins(1) / times.max(1))
    }

    /// Once in each interval, from a microsecond to a day.
    #[must_use]
    pub fn every(interval: Duration) -> Self {
        let interval_us = u64::try_from(interval.as_micros()).unwrap_or(u64::MAX);
        Self {
            interval_us: interval_us.clamp(1, DAY_US),
        }
    }
}

/// How a bucket is filled, and how much it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bucket {
    pub(super) interval_us: u64,
    pub(super) burst: u32,
}

impl Bucket {
    /// A burst of 0 counts as 1.
    pub(super) fn new(rate: Rate, burst: u32) -> Self {
        Self {
            interval_us: rate.interval_us,
            burst: burst.max(1),
        }
    }

    /// Takes a token from a bucket that is full again at `full_at`, in
    /// microseconds: when it is full now, or how long until there is a token.
    ///
    /// No bucket owes more than it holds, whatever a clock that jumped says.
    pub(super) fn take(self, full_at: u64, now: u64) -> Result<u64, Duration> {
        let holds = self.interval_us.saturating_mul(u64::from(self.burst));
        let full_at = full_at.clamp(now, now.saturating_add(holds));
        let next = full_at.saturating_add(self.interval_us);
        match next.saturating_sub(now).checked_sub(holds) {
            None | Some(0) => Ok(next),
            Some(lacks) => Err(Duration::from_micros(lacks)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000;

    #[test]
    fn a_burst_passes_at_once_and_then_the_rate_counts() {
        let bucket = Bucket::new(Rate::per_second(2), 3);
        let mut full_at = 0;
        for _ in 0..3 {
            full_at = bucket.take(full_at, SECOND).unwrap();
        }
        assert_eq!(
            bucket.take(full_at, SECOND),
            Err(Duration::from_millis(500))
        );
        full_at = bucket.take(full_at, SECOND + SECOND / 2).unwrap();
        assert!(bucket.take(full_at, SECOND + SECOND / 2).is_err());
        assert!(bucket.take(full_at, 2 * SECOND).is_ok());
    }

    #[test]
    fn a_clock_that_goes_back_costs_at_most_an_empty_bucket() {
        let bucket = Bucket::new(Rate::per_second(1), 5);
        let full_at = bucket.take(0, 1_000 * SECOND).unwrap();
        assert_eq!(bucket.take(full_at, SECOND), Err(Duration::from_secs(1)));
    }

    #[test]
    fn rates_without_sense_are_the_nearest_with_one() {
        assert_eq!(Rate::per_second(0), Rate::per_second(1));
        let daily = Bucket::new(Rate::every(Duration::MAX), 0);
        let full_at = daily.take(0, SECOND).unwrap();
        assert_eq!(daily.take(full_at, SECOND), Err(Duration::from_hours(24)));
        assert_eq!(Rate::every(Duration::ZERO).interval_us, 1);
    }

    proptest! {
        #[test]
        fn no_time_lets_more_through_than_burst_and_rate(
            interval_us in 1..2_000_000_u64,
            burst in 1..20_u32,
            pauses in prop::collection::vec(0..3_000_000_u64, 1..200),
        ) {
            let bucket = Bucket { interval_us, burst };
            let (start, mut now, mut full_at, mut passed) = (SECOND, SECOND, 0, 0);
            for pause in pauses {
                now += pause;
                if let Ok(next) = bucket.take(full_at, now) {
                    full_at = next;
                    passed += 1;
                }
                prop_assert!(passed <= u64::from(burst) + (now - start) / interval_us);
            }
        }
    }
}
