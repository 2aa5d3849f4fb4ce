//! The interface server with real sockets, the layer in memory, and workers
//! that do what a test says.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test says what it expects by unwrapping"
)]

mod client;
mod draining;
mod events;
mod groups;
mod handshake;
mod limits;
mod local;
mod mounted;
mod operator;
mod outside;
mod phoenix;
mod reading;
mod rig;
mod slow;
mod trouble;
