//! The phases of a server's life, and the way from one to the next.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::hub::Hub;

/// What a server is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// It does not accept connections yet.
    Starting,
    /// It serves.
    Ready,
    /// It finishes what it has begun, and begins nothing.
    Draining,
    /// It is over.
    Stopped,
}

impl Phase {
    pub(crate) fn from_number(number: u8) -> Self {
        match number {
            0 => Self::Starting,
            1 => Self::Ready,
            2 => Self::Draining,
            _ => Self::Stopped,
        }
    }
}

/// What a shard may take beyond the deadline to reset what is left.
const GRACE: Duration = Duration::from_millis(500);

/// Ends everything in good order within `limit`.
pub(crate) async fn drain(hub: &Hub, limit: Duration) {
    let started = Instant::now();
    let until = started + limit;
    if timeout_at(until + GRACE, hub.drain(until)).await.is_err() {
        tracing::warn!("a shard did not answer the drain in time");
    }
    let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::info!(took_ms, "drained");
}
