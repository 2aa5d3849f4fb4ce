//! Pauses between attempts.

use std::time::Duration;

use towpath_layer_core::Entropy;

const FIRST: Duration = Duration::from_millis(10);

/// Growing pauses with jitter, so that many nodes do not come back in step.
#[derive(Debug)]
pub(crate) struct Backoff<'a> {
    next: Duration,
    max: Duration,
    entropy: &'a dyn Entropy,
}

impl<'a> Backoff<'a> {
    pub(crate) fn new(max: Duration, entropy: &'a dyn Entropy) -> Self {
        Self {
            next: FIRST.min(max),
            max,
            entropy,
        }
    }

    /// What the first pause is again.
    pub(crate) fn reset(&mut self) {
        self.next = FIRST.min(self.max);
    }

    /// Waits: between half and all of the pause that is due.
    pub(crate) async fn pause(&mut self) {
        let half = self.next / 2;
        let spread = u64::try_from(half.as_micros()).unwrap_or(u64::MAX).max(1);
        let jitter = Duration::from_micros(self.entropy.next_u64() % spread);
        self.next = (self.next * 2).min(self.max);
        tokio::time::sleep(half + jitter).await;
    }
}
