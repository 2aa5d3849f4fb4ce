//! `[worker]`: consumers.

use std::time::Duration;

use towpath_layer_core::Glob;

use super::section::Kind::{Count, Delay, Duration as Time, Globs};
use super::section::section;

section! {
    /// The workers: what they take, and how much of it at one time.
    pub struct Worker {
        /// Consumers that run at one time in one process.
        concurrency: usize = 256, Count(1);
        /// How long a consumer may take before it is cancelled. Interface servers and workers of one layer need the same value.
        #[serde(with = "humantime_serde")]
        consumer_timeout: Duration = Duration::from_secs(30), Time;
        /// How long a worker holds an event before it says so to the node that waits.
        #[serde(with = "humantime_serde")]
        taken_after: Duration = Duration::from_millis(250), Time;
        /// How long consumers that run may still take when the process is asked to stop.
        #[serde(with = "humantime_serde")]
        drain_timeout: Duration = Duration::from_secs(30), Delay;
        /// Take only from channels that match one of these globs; empty stands for all.
        only: Vec<Glob> = Vec::new(), Globs;
        /// Take nothing from channels that match one of these globs.
        exclude: Vec<Glob> = Vec::new(), Globs;
    }
}
