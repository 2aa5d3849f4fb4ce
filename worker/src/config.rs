//! The bounds of a worker.

use std::time::Duration;

use towpath_layer_core::Glob;

/// The bounds of a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerConfig {
    /// Events and messages in the worker's hands at once, from the moment they
    /// are received until their completion is sent; at least 1, default 256.
    ///
    /// A consumer that waits costs nothing but memory: at 10 ms of waiting for
    /// a database 256 of them answer 25 000 events a second. It is also what a
    /// killed process takes with it, and how many blocking consumers run at
    /// once, which is why it is not larger.
    pub concurrency: usize,
    /// How long a consumer may take from the moment its event was received;
    /// then it is cancelled and has failed. Default 30 s.
    pub consumer_timeout: Duration,
    /// After how long the waiting node is told that an event is still in this
    /// worker's hands; default 250 ms.
    pub taken_after: Duration,
    /// How long a worker that stops waits for what runs; what still runs then
    /// is cancelled and counts as lost. Default 30 s.
    pub drain_timeout: Duration,
    /// If not empty, receive only from channels that match one of these.
    pub only: Vec<Glob>,
    /// Never receive from channels that match one of these.
    pub exclude: Vec<Glob>,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        Self {
            concurrency: 256,
            consumer_timeout: Duration::from_secs(30),
            taken_after: Duration::from_millis(250),
            drain_timeout: Duration::from_secs(30),
            only: Vec::new(),
            exclude: Vec::new(),
        }
    }
}

impl WorkerConfig {
    /// Whether this worker receives from a channel of that name.
    #[must_use]
    pub fn receives(&self, channel: &str) -> bool {
        let only = self.only.is_empty() || self.only.iter().any(|glob| glob.matches(channel));
        only && !self.exclude.iter().any(|glob| glob.matches(channel))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_and_exclude_choose_channels() {
        let config = WorkerConfig {
            only: vec![Glob::new("websocket.*"), Glob::new("jobs.*")],
            exclude: vec![Glob::new("*.slow")],
            ..WorkerConfig::default()
        };
        assert!(config.receives("websocket.connect") && config.receives("jobs.fast"));
        assert!(!config.receives("jobs.slow") && !config.receives("mail.send"));
        assert!(WorkerConfig::default().receives("anything"));
    }
}
