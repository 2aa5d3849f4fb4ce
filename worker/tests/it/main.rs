//! A worker on a layer in memory; the test plays the interface server.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what it expects by unwrapping"
)]
#![allow(
    clippy::needless_pass_by_value,
    clippy::too_many_arguments,
    reason = "consumers take their arguments by value, eight at most"
)]

mod consumers;
mod cookies;
mod extractors;
mod failures;
#[cfg(feature = "tokens")]
mod identity;
mod later;
mod middleware;
mod outbox;
mod rate_limits;
mod recorder;
mod replies;
mod rooms;
mod routing;
mod runtime;
mod sessions;
mod stage;
mod stopping;
mod streams;
mod streams_alone;
mod topics;
mod topics_alone;
mod topics_alone_hears;
mod topics_mounted;
mod topics_presence;
mod topics_subscription;
mod traces;
