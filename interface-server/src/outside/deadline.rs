//! How long a connection may go on, which every step of a request moves.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, sleep_until};

/// The end of a connection, unless it is moved before.
///
/// One bound for all that can stand still: an idle connection, a body that
/// does not come, an answer that nobody takes.
#[derive(Debug, Clone)]
pub(super) struct Deadline(Arc<Mutex<Instant>>);

impl Deadline {
    /// A deadline so long from now.
    pub(super) fn after(span: Duration) -> Self {
        Self(Arc::new(Mutex::new(Instant::now() + span)))
    }

    /// Moves the deadline so long from now; never back.
    pub(super) fn extend(&self, span: Duration) {
        let mut until = self.0.lock();
        *until = (*until).max(Instant::now() + span);
    }

    /// Waits until the deadline has passed.
    pub(super) async fn passed(&self) {
        loop {
            let until = *self.0.lock();
            if until <= Instant::now() {
                return;
            }
            sleep_until(until).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_deadline_moves_on_and_never_back() {
        let started = Instant::now();
        let deadline = Deadline::after(Duration::from_secs(10));
        let waiting = deadline.passed();
        deadline.extend(Duration::from_secs(20));
        deadline.extend(Duration::from_secs(1));
        waiting.await;
        assert_eq!(started.elapsed(), Duration::from_secs(20));
    }
}
