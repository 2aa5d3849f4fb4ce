//! The bounds of the HTTP interface, as data.

use std::time::Duration;

/// The bounds of a [`LayerApi`](super::LayerApi).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiLimits {
    /// Connections at one time; default 256. Further ones wait in the kernel's
    /// queue until one ends.
    pub connections_max: usize,
    /// Body of one request, in bytes; default 2 MiB. A larger one is answered
    /// with 413.
    pub body_bytes_max: usize,
    /// Operations in one batch; default 1000. More are answered with 422.
    pub batch_max: usize,
    /// How long the head of a request may take to arrive, counted from the end
    /// of the one before: so a connection that idles for as long is closed.
    /// Default 5 s.
    pub header_timeout: Duration,
    /// How long a request may take, its long poll apart: for its body to
    /// arrive, again to be served, and again for its answer to be taken.
    /// Default 30 s.
    pub request_timeout: Duration,
    /// The longest that a receive may ask to wait; default 60 s.
    pub poll_timeout_max: Duration,
    /// How long requests that run may still take when the server is asked to
    /// stop; default 5 s.
    pub stop_timeout: Duration,
}

impl Default for ApiLimits {
    fn default() -> Self {
        Self {
            connections_max: 256,
            body_bytes_max: 2 << 20,
            batch_max: 1000,
            header_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(30),
            poll_timeout_max: Duration::from_mins(1),
            stop_timeout: Duration::from_secs(5),
        }
    }
}
