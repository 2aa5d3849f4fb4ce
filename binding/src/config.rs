//! The bounds of a feed.

use std::time::Duration;

/// The bounds of a change feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedConfig {
    /// Changes that are read at one time; default 500.
    pub batch_rows_max: u32,
    /// Bytes of rows that are read at one time; default 4 MiB. A change that
    /// is larger alone is read alone.
    pub batch_bytes_max: u32,
    /// Changes that are published in one second; default 10 000. A client has
    /// to be able to keep up with this, or its outbox fills.
    pub changes_per_second_max: u32,
    /// Changes that are kept while nobody takes them, or while the layer is
    /// out of reach; default 1 000 000. Beyond it the oldest are dropped,
    /// which is logged and counted. It is part of what is installed.
    pub kept_rows_max: u32,
    /// How often it is looked for changes that nobody told of: on SQLite those
    /// of other processes, by one `PRAGMA data_version`, default 100 ms; on
    /// PostgreSQL those whose notification was lost, at the latest after 50
    /// times this.
    pub look_interval: Duration,
    /// How often a process that stands by tries to take over; default 1 s.
    pub standby_interval: Duration,
    /// How long the taker of a SQLite feed counts as alive after it was last
    /// heard of; default 5 s. It is renewed at a third of it.
    pub lease: Duration,
    /// How long one call to the database may take; default 10 s.
    pub call_timeout: Duration,
}

impl Default for FeedConfig {
    fn default() -> Self {
        Self {
            batch_rows_max: 500,
            batch_bytes_max: 4 << 20,
            changes_per_second_max: 10_000,
            kept_rows_max: 1_000_000,
            look_interval: Duration::from_millis(100),
            standby_interval: Duration::from_secs(1),
            lease: Duration::from_secs(5),
            call_timeout: Duration::from_secs(10),
        }
    }
}
