//! The bounds of a layer, as data.

use std::time::Duration;

use crate::{ChannelName, GlobTable};

/// The bounds of a layer; the same words in every backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// User payload of one message, in bytes; default 1 MiB. A larger message
    /// is refused with [`SendError::MessageTooLarge`](crate::SendError).
    pub message_size_max: usize,
    /// What a message may carry besides its payload (headers, session), in
    /// bytes; default 128 KiB.
    pub envelope_size_max: usize,
    /// Messages that wait on one channel, by glob on its name; default 100,
    /// `websocket.*` 10 000.
    pub capacity: GlobTable<u32>,
    /// How long a message waits before it is gone, by glob on the channel's
    /// name; default 60 s.
    pub expiry: GlobTable<Duration>,
    /// Messages that wait for their time on one channel; default 10 000. The
    /// one over it is refused with [`SendError::ChannelFull`](crate::SendError).
    pub delayed_max: u32,
    /// How long a message may wait for its time; default 30 days. A longer
    /// delay is refused with [`SendError::DelayTooLong`](crate::SendError).
    pub delay_max: Duration,
    /// How long a membership lives that nobody renews; default 86 400 s.
    pub group_expiry: Duration,
    /// Metadata of one membership, in bytes; default 4 KiB.
    pub group_meta_size_max: usize,
    /// What the messages that one group keeps weigh together, in bytes; default
    /// 1 MiB. Each weighs its size and 64 bytes; beyond it the oldest go, but
    /// never the newest.
    pub history_bytes_max: usize,
    /// Session of one conversation, in bytes; default 16 KiB.
    pub session_size_max: usize,
    /// How long a node counts as alive after it was last heard of; renewed at
    /// a third of it; default 15 s.
    pub lease: Duration,
    /// Entries that wait in one node's inbox; default 65 536.
    pub inbox_entries_max: usize,
    /// Bytes that wait in one node's inbox; default 64 MiB.
    pub inbox_bytes_max: usize,
}

impl Limits {
    /// The capacity of a channel, in messages.
    #[must_use]
    pub fn capacity_of(&self, channel: &ChannelName) -> u32 {
        self.capacity.get(channel.as_str())
    }

    /// The expiry of the messages of a channel.
    #[must_use]
    pub fn expiry_of(&self, channel: &ChannelName) -> Duration {
        self.expiry.get(channel.as_str())
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_size_max: 1 << 20,
            envelope_size_max: 128 << 10,
            capacity: GlobTable::new(100).rule("websocket.*", 10_000),
            expiry: GlobTable::new(Duration::from_mins(1)),
            delayed_max: 10_000,
            delay_max: Duration::from_hours(30 * 24),
            group_expiry: Duration::from_hours(24),
            group_meta_size_max: 4 << 10,
            history_bytes_max: 1 << 20,
            session_size_max: 16 << 10,
            lease: Duration::from_secs(15),
            inbox_entries_max: 65_536,
            inbox_bytes_max: 64 << 20,
        }
    }
}
