//! What a layer counts.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::ChannelName;

/// What happened on one channel, or on all, since the backend began.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ChannelStatistics {
    /// Messages enqueued.
    pub sent: u64,
    /// Messages handed to a receiver.
    pub received: u64,
    /// Sends refused because the channel was full.
    pub full: u64,
    /// Messages that nobody received in time.
    pub expired: u64,
    /// Messages that wait now.
    pub pending: u64,
    /// Messages that wait for their time, and for room if it has come.
    pub delayed: u64,
    /// How long the oldest of them has waited.
    pub oldest_age: Option<Duration>,
}

/// What happened on a layer since the backend began.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Statistics {
    /// All shared channels together.
    pub total: ChannelStatistics,
    /// Each shared channel that the backend knows.
    pub channels: BTreeMap<ChannelName, ChannelStatistics>,
    /// Messages for nodes or connections that were full or gone.
    pub dropped: u64,
    /// Messages that wait for their time, on channels of any kind.
    pub delayed: u64,
    /// Completions that came too late to count.
    pub stale: u64,
    /// Events whose worker died with them, or that went with a lost backend.
    pub lost: u64,
    /// Nodes alive now.
    pub nodes: u64,
}

/// What a node counts on behalf of the layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Counter {
    /// A message for a connection that was full or gone.
    Dropped,
    /// A completion that came too late to count.
    Stale,
    /// An event whose worker died with it, or that went with a lost backend.
    Lost,
}
