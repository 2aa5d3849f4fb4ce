//! The Towpath channel layer inside one process.
//!
//! A [`MemoryLayer`] is a node on a broker that lives in this process. What is
//! sent is in its place when the call returns: on the queue of its channel, or
//! in the inbox of the node that it is for. There is no I/O, and no task unless
//! something is sent with a delay; time and randomness are handed in.
//!
//! ```
//! use std::sync::Arc;
//! use towpath_layer_core::{
//!     ChannelLayer, ChannelName, Content, LayerError, Limits, SystemClock, SystemEntropy,
//! };
//! use towpath_layer_memory::MemoryLayer;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> anyhow::Result<()> {
//! let layer = MemoryLayer::new(
//!     Limits::default(),
//!     Arc::new(SystemClock::new()),
//!     Arc::new(SystemEntropy),
//! );
//! let make = ChannelName::new("thumbnails.make")?;
//! layer.send(&make, Content::encode("cat.jpg")?.into()).await?;
//!
//! let mut taken = Vec::new();
//! let mut receiver = layer.receiver(vec![make])?;
//! receiver.receive_many(&mut taken, 10).await?;
//! assert_eq!(taken.len(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! For between processes there is `towpath-layer-redis`; both pass the suite of
//! `towpath-testkit`.

mod agenda;
mod broker;
mod channel;
mod channels;
mod delay;
mod delayed;
mod driver;
mod groups;
mod history;
mod late_replies;
mod layer;
mod node;
mod queue;
mod receiver;
mod send;
mod sharded;
mod wakes;

pub use layer::MemoryLayer;
