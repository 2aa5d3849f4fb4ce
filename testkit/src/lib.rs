//! The conformance suite and the test harnesses of Towpath.
//!
//! A backend is whatever passes [`conformance!`]. To prove one of your own,
//! say how the suite makes it, and make a test of every case:
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//! use towpath_layer_core::{ChannelLayer, Limits, NodeId};
//! use towpath_testkit::{Backend, Factory, async_trait, conformance};
//!
//! # #[derive(Debug)]
//! # struct Store(Limits);
//! # impl Store {
//! #     async fn start(limits: Limits) -> Self { Self(limits) }
//! #     async fn connect(&self) -> Arc<dyn ChannelLayer> { panic!("{:?}", self.0) }
//! #     async fn kill(&self, node: NodeId) { panic!("{node}") }
//! # }
//! struct Mine;
//!
//! #[async_trait]
//! impl Factory for Mine {
//!     async fn backend(&self, limits: Limits) -> Arc<dyn Backend> { Arc::new(Store::start(limits).await) }
//! }
//!
//! #[async_trait]
//! impl Backend for Store {
//!     async fn node(&self) -> Arc<dyn ChannelLayer> { self.connect().await }
//!     async fn crash(&self, node: NodeId) { self.kill(node).await }
//!     async fn pass(&self, time: Duration) { tokio::time::sleep(time).await }
//! }
//!
//! conformance!(Mine);
//! # fn main() {}
//! ```
//!
//! That is all that has to stand in `tests/conformance.rs`. Besides:
//!
//! - [`model`] runs random operations against a backend and compares what they
//!   show with a plain model, or with another backend;
//! - [`history`] records what senders and receivers saw, in any number of
//!   processes, and finds what was lost, doubled, reordered, late or too much;
//! - [`CollectingSink`] is the inbox of a node without sockets;
//! - [`Troubled`] is a node whose calls fail as a test wants it;
//! - [`redis`] and [`postgres`] start servers of a test's own.
//!
//! Without the feature `suite`, which is on by default, there is [`redis`]
//! alone, with few dependencies: an application's own tests need no more.
//!
//! Nothing here is for use outside tests: what goes wrong panics.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "the crate is a test: it says what it expects by panicking"
)]

#[cfg(feature = "suite")]
mod backend;
#[cfg(feature = "suite")]
pub mod conformance;
#[cfg(feature = "suite")]
pub mod history;
#[cfg(feature = "suite")]
pub mod model;
pub mod postgres;
pub mod redis;
mod server;
#[cfg(feature = "suite")]
mod sink;
#[cfg(feature = "suite")]
mod troubled;

#[cfg(feature = "suite")]
pub use async_trait::async_trait;
#[cfg(feature = "suite")]
pub use backend::{Backend, Factory, Faults};
#[cfg(feature = "suite")]
pub use sink::{CollectingSink, Seen};
#[cfg(feature = "suite")]
pub use troubled::{Call, Trouble, Troubled};
