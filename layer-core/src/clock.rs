//! Time, handed in rather than looked up.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

/// A source of monotonic time.
///
/// Everything that expires, renews or waits asks its `Clock`, so a test moves
/// time instead of waiting for it.
#[async_trait]
pub trait Clock: fmt::Debug + Send + Sync {
    /// Time since a fixed point in the past; never goes back.
    fn now(&self) -> Duration;

    /// Waits until this clock shows `at` or later.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    async fn sleep_until(&self, at: Duration) {
        loop {
            let left = at.saturating_sub(self.now());
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left).await;
        }
    }
}

/// The clock of the machine; under a paused tokio runtime, the runtime's clock.
#[derive(Debug)]
pub struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    /// A clock whose zero is now.
    #[must_use]
    pub fn new() -> Self {
        Self {
            origin: Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        self.origin.elapsed()
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug, Default)]
pub struct ManualClock {
    now: Mutex<Duration>,
    moved: Notify,
}

impl ManualClock {
    /// Moves the clock forward, and wakes who waited for that.
    pub fn advance(&self, by: Duration) {
        *self.now.lock() += by;
        self.moved.notify_waiters();
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Duration {
        *self.now.lock()
    }

    async fn sleep_until(&self, at: Duration) {
        loop {
            let mut moved = std::pin::pin!(self.moved.notified());
            moved.as_mut().enable();
            if self.now() >= at {
                return;
            }
            moved.await;
        }
    }
}
