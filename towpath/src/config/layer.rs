//! `[layers.<name>]`: channel layers.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use towpath_layer_core::{Glob, GlobTable, Limits};

use super::section::Kind::{
    Bytes, Capacities, Choice, Count, Duration as Time, Expiries, Text, Url,
};
use super::section::section;

section! {
    /// A channel layer and its limits. `default` carries sockets and consumers; further layers are opened beside it under their own names. Every process on one layer needs the same limits.
    pub struct Layer {
        /// The backend: `memory` inside one process, `redis` between processes.
        kind: LayerKind = LayerKind::Memory, Choice(&["memory", "redis"]);
        /// Where the backend is; only for `redis`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        url: Option<String> = None, Url;
        /// What the backend's keys begin with, so that several layers share one backend: letters, digits, `-`, `_`, `.`.
        prefix: String = "towpath".to_owned(), Text;
        /// The longest that one call of the backend takes; only for `redis`.
        #[serde(with = "humantime_serde")]
        call_timeout: Duration = Duration::from_secs(5), Time;
        /// The longest that one attempt to connect takes; only for `redis`.
        #[serde(with = "humantime_serde")]
        connect_timeout: Duration = Duration::from_secs(1), Time;
        /// The longest pause between two attempts to connect, which never end; only for `redis`.
        #[serde(with = "humantime_serde")]
        reconnect_pause_max: Duration = Duration::from_millis(250), Time;
        /// Connections for administration: statistics, listings, flush; only for `redis`.
        administration_connections: usize = 2, Count(1);
        /// User payload of one message, in bytes.
        message_size_max: usize = Limits::default().message_size_max, Bytes;
        /// What a message carries besides its payload, in bytes.
        envelope_size_max: usize = Limits::default().envelope_size_max, Bytes;
        /// Messages that wait on a channel for which no rule says otherwise.
        capacity: u32 = 100, Count(1);
        /// Capacities by glob on the channel's name; the first match wins.
        capacity_rules: Vec<CapacityRule> = vec![CapacityRule::websocket()], Capacities;
        /// How long a message waits on a channel for which no rule says otherwise.
        #[serde(with = "humantime_serde")]
        expiry: Duration = Duration::from_mins(1), Time;
        /// Expiries by glob on the channel's name; the first match wins.
        expiry_rules: Vec<ExpiryRule> = Vec::new(), Expiries;
        /// Messages that wait for their time on one channel.
        delayed_max: u32 = Limits::default().delayed_max, Count(1);
        /// How long a message may wait for its time.
        #[serde(with = "humantime_serde")]
        delay_max: Duration = Limits::default().delay_max, Time;
        /// How long a membership lives that nobody renews.
        #[serde(with = "humantime_serde")]
        group_expiry: Duration = Limits::default().group_expiry, Time;
        /// Metadata of one membership, in bytes.
        group_meta_size_max: usize = Limits::default().group_meta_size_max, Bytes;
        /// What the messages that one group keeps for those who come back weigh together, in bytes; beyond it the oldest go.
        history_bytes_max: usize = Limits::default().history_bytes_max, Bytes;
        /// Session of one conversation, in bytes.
        session_size_max: usize = Limits::default().session_size_max, Bytes;
        /// How long a process counts as alive after it was last heard of.
        #[serde(with = "humantime_serde")]
        lease: Duration = Limits::default().lease, Time;
        /// Entries that wait in one process's inbox.
        inbox_entries_max: usize = Limits::default().inbox_entries_max, Count(1);
        /// Size of these entries together, in bytes.
        inbox_bytes_max: usize = Limits::default().inbox_bytes_max, Bytes;
    }
}

/// The backends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LayerKind {
    /// Inside one process.
    Memory,
    /// Between processes, over Redis.
    Redis,
}

/// The capacity of some channels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CapacityRule {
    /// Which channels.
    pub channel: Glob,
    /// How many messages wait on each.
    pub messages: u32,
}

impl CapacityRule {
    /// Events of sockets come in crowds: the contract's own rule.
    fn websocket() -> Self {
        Self {
            channel: Glob::new("websocket.*"),
            messages: 10_000,
        }
    }
}

/// The expiry on some channels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpiryRule {
    /// Which channels.
    pub channel: Glob,
    /// How long a message waits on each.
    #[serde(with = "humantime_serde")]
    pub expiry: Duration,
}

impl Layer {
    /// The limits, as a backend takes them.
    #[must_use]
    pub fn limits(&self) -> Limits {
        let capacity = GlobTable::new(self.capacity);
        let capacity = self.capacity_rules.iter().fold(capacity, |table, rule| {
            table.rule(rule.channel.as_str(), rule.messages)
        });
        let expiry = GlobTable::new(self.expiry);
        let expiry = self.expiry_rules.iter().fold(expiry, |table, rule| {
            table.rule(rule.channel.as_str(), rule.expiry)
        });
        Limits {
            message_size_max: self.message_size_max,
            envelope_size_max: self.envelope_size_max,
            capacity,
            expiry,
            delayed_max: self.delayed_max,
            delay_max: self.delay_max,
            group_expiry: self.group_expiry,
            group_meta_size_max: self.group_meta_size_max,
            history_bytes_max: self.history_bytes_max,
            session_size_max: self.session_size_max,
            lease: self.lease,
            inbox_entries_max: self.inbox_entries_max,
            inbox_bytes_max: self.inbox_bytes_max,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_limits_are_those_of_the_contract() {
        assert_eq!(Layer::default().limits(), Limits::default());
    }
}
