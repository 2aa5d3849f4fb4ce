//! What is measured here. Labels come from small closed sets, never from a
//! peer.

use metrics::{Counter, Gauge, counter, gauge};
use towpath_layer_core::channels;
use towpath_layer_core::metrics::{
    CLOSES, COMPLETIONS_STALE, CONNECTIONS, EVENTS, EVENTS_LOST, FRAMES_IN, FRAMES_OUT, HANDSHAKES,
    OUTBOX_DROPPED, REPLIES_DROPPED,
};

use crate::protocol::close;

/// The handles of one shard, looked up once.
pub(crate) struct ShardMetrics {
    pub(crate) connections: Gauge,
    pub(crate) frames_in: Counter,
    pub(crate) frames_out: Counter,
    pub(crate) outbox_dropped: Counter,
    pub(crate) replies_dropped: Counter,
    pub(crate) lost: Counter,
    pub(crate) stale: Counter,
    connects: Counter,
    receives: Counter,
    applications: Counter,
    disconnects: Counter,
}

impl std::fmt::Debug for ShardMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ShardMetrics").finish_non_exhaustive()
    }
}

impl ShardMetrics {
    pub(crate) fn new() -> Self {
        Self {
            connections: gauge!(CONNECTIONS),
            frames_in: counter!(FRAMES_IN),
            frames_out: counter!(FRAMES_OUT),
            outbox_dropped: counter!(OUTBOX_DROPPED),
            replies_dropped: counter!(REPLIES_DROPPED),
            lost: counter!(EVENTS_LOST),
            stale: counter!(COMPLETIONS_STALE),
            connects: counter!(EVENTS, "channel" => channels::CONNECT),
            receives: counter!(EVENTS, "channel" => channels::RECEIVE),
            applications: counter!(EVENTS, "channel" => channels::EVENT),
            disconnects: counter!(EVENTS, "channel" => channels::DISCONNECT),
        }
    }

    /// The counter of events handed to the layer on a channel.
    pub(crate) fn events(&self, channel: &str) -> &Counter {
        match channel {
            channels::CONNECT => &self.connects,
            channels::RECEIVE => &self.receives,
            channels::EVENT => &self.applications,
            _ => &self.disconnects,
        }
    }
}

/// A handshake was answered.
pub(crate) fn handshake(status: http::StatusCode) {
    counter!(HANDSHAKES, "status" => status.as_u16().to_string()).increment(1);
}

/// A socket was closed.
pub(crate) fn closed(code: u16) {
    counter!(CLOSES, "code" => close::label(code)).increment(1);
}
