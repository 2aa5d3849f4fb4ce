//! How fast changes are published, and how soon something is tried again.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// How much may be made up for after a pause.
const BURST: Duration = Duration::from_millis(50);

/// Lets at most so many pass in one second.
#[derive(Debug)]
pub(crate) struct Pace {
    each: Duration,
    /// When the next may pass.
    next: Instant,
}

impl Pace {
    pub(crate) fn new(per_second: u32) -> Self {
        Self {
            each: Duration::from_secs(1) / per_second.max(1),
            next: Instant::now(),
        }
    }

    /// Waits until the next may pass.
    ///
    /// Dropping the future loses nothing.
    pub(crate) async fn pass(&mut self) {
        let now = Instant::now();
        self.next = self.next.max(now.checked_sub(BURST).unwrap_or(now));
        if self.next > now {
            sleep_until(self.next).await;
        }
        self.next += self.each;
    }
}

/// Waits longer each time, up to a bound.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
    most: Duration,
}

impl Backoff {
    pub(crate) fn new(least: Duration, most: Duration) -> Self {
        Self { next: least, most }
    }

    /// How long to wait now: a random half of it, so that many do not come at once.
    pub(crate) fn next(&mut self) -> Duration {
        let whole = self.next;
        self.next = (whole * 2).min(self.most);
        whole.mul_f64(rand::random_range(0.5..1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_more_pass_than_may_in_a_second() {
        let started = Instant::now();
        let mut pace = Pace::new(1000);
        for _ in 0..1000 {
            pace.pass().await;
        }
        let took = started.elapsed();
        assert!(took > Duration::from_millis(900), "{took:?}");
        assert!(took < Duration::from_millis(2100), "{took:?}");
    }

    #[test]
    fn it_waits_longer_up_to_the_bound() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        let waits: Vec<Duration> = (0..8).map(|_| backoff.next()).collect();
        assert!(waits[0] <= Duration::from_millis(100));
        assert!(waits[7] > Duration::from_millis(500) && waits[7] <= Duration::from_secs(1));
    }
}
