//! What is measured of a route.

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use towpath_layer_core::metrics::{CONSUMED, CONSUMER_SECONDS, CONSUMERS_RUNNING};

/// How the handling of a message ended, as the `outcome` label says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Done,
    Ignored,
    Rejected,
    BadPayload,
    Denied,
    Retry,
    Lost,
    Failed,
    Panicked,
    TimedOut,
    Unrouted,
    Malformed,
}

impl Ended {
    const ALL: [(Self, &'static str); 12] = [
        (Self::Done, "done"),
        (Self::Ignored, "ignored"),
        (Self::Rejected, "rejected"),
        (Self::BadPayload, "bad_payload"),
        (Self::Denied, "denied"),
        (Self::Retry, "retry"),
        (Self::Lost, "lost"),
        (Self::Failed, "failed"),
        (Self::Panicked, "panicked"),
        (Self::TimedOut, "timed_out"),
        (Self::Unrouted, "unrouted"),
        (Self::Malformed, "malformed"),
    ];
}

/// The metrics of one route, looked up once: a message costs no lookup.
pub(crate) struct Meter {
    route: String,
    consumed: [Counter; Ended::ALL.len()],
    seconds: Histogram,
}

impl Meter {
    pub(crate) fn new(route: &str) -> Self {
        let consumed = Ended::ALL.map(
            |(_, outcome)| counter!(CONSUMED, "route" => route.to_owned(), "outcome" => outcome),
        );
        Self {
            route: route.to_owned(),
            consumed,
            seconds: histogram!(CONSUMER_SECONDS, "route" => route.to_owned()),
        }
    }

    /// The route, as logs name it.
    pub(crate) fn route(&self) -> &str {
        &self.route
    }

    pub(crate) fn count(&self, ended: Ended) {
        if let Some(counter) = self.consumed.get(ended as usize) {
            counter.increment(1);
        }
    }

    pub(crate) fn ran(&self, time: Duration) {
        self.seconds.record(time.as_secs_f64());
    }
}

impl std::fmt::Debug for Meter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Meter").field(&self.route).finish()
    }
}

/// Counts as one running consumer while it lives.
#[derive(Debug)]
pub(crate) struct Running {
    gauge: Gauge,
}

impl Running {
    /// The gauge of the consumers that run in this process.
    pub(crate) fn gauge() -> Gauge {
        gauge!(CONSUMERS_RUNNING)
    }

    pub(crate) fn new(gauge: &Gauge) -> Self {
        gauge.increment(1);
        Self {
            gauge: gauge.clone(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.gauge.decrement(1);
    }
}
