//! What time it is for Redis.

use std::time::Duration;

use parking_lot::Mutex;

/// How far two clocks may drift apart in one second, in parts of it.
const DRIFT: u32 = 1_000;

/// The latest that the clock of the server can show now.
///
/// The server's time is read between a question and its answer; counted from
/// the question it is never too early. So what looks alive by it is alive, and
/// a message may be held for expired too early by one round trip at most.
#[derive(Debug, Default)]
pub(crate) struct ServerTime {
    sample: Mutex<Option<Sample>>,
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    /// When the question was asked, by our clock.
    asked: Duration,
    /// How long the answer took.
    took: Duration,
    /// The answer, in milliseconds.
    server_ms: u64,
}

impl ServerTime {
    /// Starts anew: the server may be another one.
    pub(crate) fn replace(&self, asked: Duration, answered: Duration, server_ms: u64) {
        *self.sample.lock() = Some(Sample {
            asked,
            took: answered.saturating_sub(asked),
            server_ms,
        });
    }

    /// Takes another sample into account, if it is the better one.
    pub(crate) fn refine(&self, asked: Duration, answered: Duration, server_ms: u64) {
        let took = answered.saturating_sub(asked);
        let known = *self.sample.lock();
        let better = known.is_none_or(|known| {
            let age = asked.saturating_sub(known.asked);
            took <= known.took + age / DRIFT
        });
        if better {
            self.replace(asked, answered, server_ms);
        }
    }

    /// The latest that the server's clock can show at `now`, in milliseconds;
    /// nothing has expired as long as no server was reached.
    pub(crate) fn latest_ms(&self, now: Duration) -> u64 {
        self.sample.lock().map_or(0, |sample| {
            let since = now.saturating_sub(sample.asked).as_millis();
            sample.server_ms + u64::try_from(since).unwrap_or(u64::MAX)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn the_time_is_never_too_early_and_the_quicker_answer_wins() {
        let time = ServerTime::default();
        assert_eq!(time.latest_ms(ms(50)), 0);
        time.replace(ms(100), ms(140), 5_020);
        assert_eq!(time.latest_ms(ms(200)), 5_120);
        time.refine(ms(200), ms(202), 5_101);
        assert_eq!(time.latest_ms(ms(300)), 5_201);
        time.refine(ms(300), ms(350), 5_240);
        assert_eq!(time.latest_ms(ms(400)), 5_301);
        time.refine(ms(100_300), ms(100_350), 105_220);
        assert_eq!(time.latest_ms(ms(100_300)), 105_220);
    }
}
