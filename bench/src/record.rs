//! What one run has shown, as it stands in the JSON file and goes into the tables.

use serde::{Deserialize, Serialize};

pub(crate) use towpath_load::Wrong;

/// One run of one scenario against one server. What a run cannot show is `None`.
///
/// A *delivery* is one message at one socket; in `connect` and in `churn` the unit is a
/// connection opened instead.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The scenario's name, as on the command line: `fan-out-10k`.
    pub(crate) scenario: String,
    /// What scenarios that differ in their number of connections alone have in common:
    /// `fan-out`. For plots against `connections`.
    pub(crate) family: String,
    /// The server's name.
    pub(crate) server: String,
    /// The round, from 1. Within a round all servers ran in turn, within seconds: ratios
    /// are taken between records of the same scenario and round.
    pub(crate) round: u32,
    /// Sockets that were open, silent ones and those beside included.
    pub(crate) connections: u32,
    /// Bytes of each message's payload.
    pub(crate) payload_bytes: u32,
    /// Deliveries, or connections, a second.
    pub(crate) per_second: Option<f64>,
    /// Processor time of all processes of the server for each of them, user and kernel,
    /// in microseconds (the same number as seconds for a million).
    pub(crate) server_us: Option<f64>,
    /// The same of the processes beside it, a Redis for example; `None` if it has none.
    pub(crate) side_us: Option<f64>,
    /// The same of the load generator.
    pub(crate) generator_us: Option<f64>,
    /// The share of one core that the generator used, 0 to 1: near 1 the generator, not
    /// the server, is what limits `per_second`.
    pub(crate) generator_share: Option<f64>,
    /// Latency in milliseconds that half of the deliveries did not exceed. In open loops it
    /// counts from when the message was due, in closed loops from just before its write,
    /// in `connect` it is the time of a handshake. In `mixed` it is the echo's.
    pub(crate) p50_ms: Option<f64>,
    /// As `p50_ms`, for 90 of 100.
    pub(crate) p90_ms: Option<f64>,
    /// As `p50_ms`, for 99 of 100.
    pub(crate) p99_ms: Option<f64>,
    /// As `p50_ms`, for 999 of 1000.
    pub(crate) p999_ms: Option<f64>,
    /// In `mixed`: the 99th percentile of the room that is served beside the echo.
    pub(crate) beside_p99_ms: Option<f64>,
    /// Growth of the resident memory of all processes of the server over the run, in
    /// bytes for each connection.
    pub(crate) rss_bytes: Option<f64>,
    /// Reads of the generator for each delivery: below 1 the server joins frames.
    pub(crate) reads: Option<f64>,
    /// Cores that neither server, side processes nor generator used: above 0.2 something
    /// else ran, and the row is to be distrusted.
    pub(crate) other_cores: Option<f64>,
    /// What is odd about this run, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
    /// Deliveries that should not have been, or should have been and were not.
    pub(crate) wrong: Wrong,
}
