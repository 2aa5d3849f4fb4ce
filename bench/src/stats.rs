//! Figures: a latency histogram of fixed size, and the median of a few runs.

use std::time::Duration;

// 64 steps for each power of two: a percentile is at most 1.6 % too high.
const STEP_BITS: u32 = 6;
const STEPS: usize = 1 << STEP_BITS;
const BUCKETS: usize = (64 - STEP_BITS as usize + 1) * STEPS;

#[derive(Debug)]
pub(crate) struct Histogram {
    buckets: Vec<u64>,
    count: u64,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self {
            buckets: vec![0; BUCKETS],
            count: 0,
        }
    }

    pub(crate) fn record(&mut self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let shift = (u64::BITS - nanos.leading_zeros()).saturating_sub(STEP_BITS + 1);
        let step = usize::try_from(nanos >> shift).unwrap_or(0);
        if let Some(bucket) = self.buckets.get_mut(shift as usize * STEPS + step) {
            *bucket += 1;
            self.count += 1;
        }
    }

    pub(crate) fn clear(&mut self) {
        self.buckets.fill(0);
        self.count = 0;
    }

    /// The time that `per_mille` of all recorded ones do not exceed.
    pub(crate) fn percentile(&self, per_mille: u64) -> Option<Duration> {
        let rank = (self.count * per_mille).div_ceil(1000).max(1);
        let mut seen = 0;
        let at = self.buckets.iter().position(|bucket| {
            seen += bucket;
            seen >= rank
        })?;
        let shift = (at / STEPS).saturating_sub(1);
        let step = (at - shift * STEPS) as u64;
        Some(Duration::from_nanos((step << shift) + ((1 << shift) - 1)))
    }
}

/// The middle value, or the mean of the two in the middle.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let upper = values.get(values.len() / 2)?;
    let lower = values.get((values.len() - 1) / 2)?;
    Some((lower + upper) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_exact_when_small_and_within_a_step_when_large() {
        let mut histogram = Histogram::new();
        assert_eq!(histogram.percentile(500), None);
        for nanos in 1..=100 {
            histogram.record(Duration::from_nanos(nanos));
        }
        assert_eq!(histogram.percentile(500), Some(Duration::from_nanos(50)));
        histogram.clear();
        for micros in 1..=10_000 {
            histogram.record(Duration::from_micros(micros));
        }
        for (per_mille, micros) in [(1, 10.0), (500, 5_000.0), (990, 9_900.0), (1000, 10_000.0)] {
            let found = histogram.percentile(per_mille).unwrap().as_secs_f64() * 1e6;
            assert!(
                (1.0..1.016).contains(&(found / micros)),
                "{per_mille}: {found}"
            );
        }
    }

    #[test]
    fn the_longest_time_has_a_bucket() {
        let mut histogram = Histogram::new();
        histogram.record(Duration::ZERO);
        histogram.record(Duration::MAX);
        assert_eq!(histogram.percentile(500), Some(Duration::ZERO));
        assert_eq!(
            histogram.percentile(1000),
            Some(Duration::from_nanos(u64::MAX))
        );
    }

    #[test]
    fn median_is_the_middle() {
        assert_eq!(median([]), None);
        assert_eq!(median([3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median([4.0, 1.0]), Some(2.5));
    }
}
