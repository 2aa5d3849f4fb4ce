//! What time it is outside: tokens and rate limits are read by many machines.

use std::time::Duration;

#[expect(
    clippy::disallowed_types,
    reason = "the one place that asks for the time of day, corrected by the runtime's clock"
)]
use std::time::SystemTime;

use tokio::time::Instant;

/// The time since 1970.
///
/// It is the machine's clock, with every correction that the machine makes to
/// it, moved by as much as a test has moved the clock of its tokio runtime.
pub(crate) fn now() -> Duration {
    #[expect(clippy::disallowed_types, reason = "as above")]
    let since_1970 = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    let (ours, real) = (Instant::now().into_std(), std::time::Instant::now());
    if ours >= real {
        since_1970 + (ours - real)
    } else {
        since_1970.saturating_sub(real - ours)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_time_of_day_moves_with_the_runtimes_clock() {
        let before = now();
        tokio::time::advance(Duration::from_hours(1)).await;
        let passed = now() - before;
        assert!(passed >= Duration::from_hours(1), "{passed:?}");
        assert!(passed < Duration::from_mins(61), "{passed:?}");
    }
}
