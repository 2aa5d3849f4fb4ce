//! What happened on the layer.

use std::collections::BTreeMap;

use serde::Serialize;
use towpath_layer_core as core;
use utoipa::ToSchema;

use super::call::Call;
use super::handle::Api;
use super::problem::Problem;

/// What happened on one channel, or on all, since the backend began.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ChannelStatistics {
    /// Messages enqueued.
    sent: u64,
    /// Messages handed to a receiver.
    received: u64,
    /// Sends refused because the channel was full.
    full: u64,
    /// Messages that nobody received in time.
    expired: u64,
    /// Messages that wait now.
    pending: u64,
    /// Messages that wait for their time, and for room if it has come.
    delayed: u64,
    /// How long the oldest that waits has waited, in seconds; null if none does.
    oldest_age_seconds: Option<f64>,
}

/// What happened on the layer since the backend began.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Statistics {
    /// All shared channels together.
    total: ChannelStatistics,
    /// Each shared channel that the backend knows.
    channels: BTreeMap<String, ChannelStatistics>,
    /// Messages for nodes or connections that were full or gone.
    dropped: u64,
    /// Messages that wait for their time, on channels of any kind.
    delayed: u64,
    /// Completions that came too late to count.
    stale: u64,
    /// Events whose worker died with them, or that went with a lost backend.
    lost: u64,
    /// Nodes alive now.
    nodes: u64,
}

impl From<core::ChannelStatistics> for ChannelStatistics {
    fn from(known: core::ChannelStatistics) -> Self {
        Self {
            sent: known.sent,
            received: known.received,
            full: known.full,
            expired: known.expired,
            pending: known.pending,
            delayed: known.delayed,
            oldest_age_seconds: known.oldest_age.map(|age| age.as_secs_f64()),
        }
    }
}

impl From<core::Statistics> for Statistics {
    fn from(known: core::Statistics) -> Self {
        let channels = known.channels.into_iter();
        Self {
            total: known.total.into(),
            channels: channels
                .map(|(name, channel)| (name.to_string(), channel.into()))
                .collect(),
            dropped: known.dropped,
            delayed: known.delayed,
            stale: known.stale,
            lost: known.lost,
            nodes: known.nodes,
        }
    }
}

pub(super) async fn all(api: &Api) -> Result<Statistics, Problem> {
    Ok(api.layer.statistics().await?.into())
}

pub(super) async fn of_channel(api: &Api, call: &Call) -> Result<ChannelStatistics, Problem> {
    let channel = call.channel(0)?;
    Ok(api.layer.channel_statistics(&channel).await?.into())
}
