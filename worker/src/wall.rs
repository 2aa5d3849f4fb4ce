//! What time it is outside: tokens and rate limits are read by many machines.

use std::sync::LazyLock;
use std::time::Duration;

#[expect(
    clippy::disallowed_types,
    reason = "the one place that asks for the time of day, corrected by the runtime's clock"
)]
use std::time::SystemTime;

use tokio::time::Instant;

/// The machine's clock counts as set anew if it differs by more than this
/// from what it was at the start and has passed since. Below it the steady
/// clock is right: two clocks cannot be read at once.
const SET_ANEW: Duration = Duration::from_secs(1);

/// When this process first asked.
static FIRST: LazyLock<(Duration, std::time::Instant)> =
    LazyLock::new(|| (time_of_day(), std::time::Instant::now()));

/// The time since 1970.
///
/// It goes on steadily from the machine's clock and follows when that is set
/// anew; a test that moves the clock of its tokio runtime moves it as well.
pub(crate) fn now() -> Duration {
    let (day, first) = *FIRST;
    let at = |moment| day + since(moment, first) - since(first, moment);
    let steady = at(Instant::now().into_std());
    let (told, due) = (time_of_day(), at(std::time::Instant::now()));
    if told.abs_diff(due) < SET_ANEW {
        steady
    } else {
        (steady + told).saturating_sub(due)
    }
}

fn since(later: std::time::Instant, earlier: std::time::Instant) -> Duration {
    later.saturating_duration_since(earlier)
}

fn time_of_day() -> Duration {
    #[expect(clippy::disallowed_types, reason = "as above")]
    SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default()
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
