//! Latencies, and their percentiles.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Longer times count as this.
const LONGEST: Duration = Duration::from_mins(2);
/// A percentile is at most 0.1 % off.
const DIGITS: u8 = 3;

/// Latencies of a window, in memory of fixed size (about 200 KiB).
#[derive(Debug)]
pub struct Latency {
    nanos: Histogram<u64>,
}

impl Default for Latency {
    fn default() -> Self {
        let nanos = Histogram::new_with_bounds(1, nanos(LONGEST), DIGITS);
        Self {
            #[expect(clippy::expect_used, reason = "the bounds are constants and in order")]
            nanos: nanos.expect("bounds in order"),
        }
    }
}

impl Latency {
    pub(crate) fn record(&mut self, time: Duration) {
        self.nanos.saturating_record(nanos(time).max(1));
    }

    pub(crate) fn clear(&mut self) {
        self.nanos.reset();
    }

    /// The time that `share` of all, from 0 to 1, do not exceed; `None` if there are none.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        (!self.nanos.is_empty()).then(|| Duration::from_nanos(self.nanos.value_at_quantile(share)))
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_a_thousandth() {
        let mut latency = Latency::default();
        assert_eq!(latency.quantile(0.5), None);
        for micros in 1..=10_000 {
            latency.record(Duration::from_micros(micros));
        }
        for (share, micros) in [(0.5, 5_000.0), (0.99, 9_900.0), (1.0, 10_000.0)] {
            let found = latency.quantile(share).unwrap().as_secs_f64() * 1e6;
            assert!((0.999..1.001).contains(&(found / micros)), "{found}");
        }
        latency.clear();
        assert_eq!(latency.quantile(0.5), None);
    }

    #[test]
    fn no_time_is_too_short_or_too_long() {
        let mut latency = Latency::default();
        latency.record(Duration::ZERO);
        latency.record(Duration::MAX);
        assert!(latency.quantile(1.0).unwrap() >= LONGEST);
    }
}
