//! Whether workers were lately given something, and may wait for a core.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::time::Instant;

/// How long after an event it counts as lately, in milliseconds.
const LATELY: u64 = 20;

/// When an event was last handed to the layer, by any shard.
#[derive(Debug)]
pub(crate) struct Woken {
    origin: Instant,
    /// Milliseconds from the origin; written about once in each, so that shards
    /// do not take the line from one another. Nothing yet counts as just now.
    at: AtomicU64,
}

impl Woken {
    pub(crate) fn new() -> Self {
        Self {
            origin: Instant::now(),
            at: AtomicU64::new(0),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Events were handed over.
    pub(crate) fn note(&self) {
        let now = self.now();
        if self.at.load(Ordering::Relaxed) != now {
            self.at.store(now, Ordering::Relaxed);
        }
    }

    pub(crate) fn lately(&self) -> bool {
        self.now().saturating_sub(self.at.load(Ordering::Relaxed)) <= LATELY
    }
}
