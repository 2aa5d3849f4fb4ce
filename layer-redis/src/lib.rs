//! The Towpath channel layer between processes, over Redis.
//!
//! A [`RedisLayer`] is a node. Shared channels are lists that any node takes
//! from; what is sent to a connection of a node, or to a group with members on
//! it, goes through that node's one inbox. Every step that several nodes could
//! take at once is one script inside Redis.
//!
//! ```no_run
//! use std::sync::Arc;
//! use towpath_layer_core::{
//!     ChannelLayer, ChannelName, Content, Limits, SystemClock, SystemEntropy,
//! };
//! use towpath_layer_redis::{RedisLayer, RedisOptions};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let layer = RedisLayer::connect(
//!     RedisOptions::new("redis://127.0.0.1:6379"),
//!     Limits::default(),
//!     Arc::new(SystemClock::new()),
//!     Arc::new(SystemEntropy),
//! )
//! .await?;
//! let make = ChannelName::new("thumbnails.make")?;
//! layer.send(&make, Content::encode("cat.jpg")?.into()).await?;
//!
//! let mut taken = Vec::new();
//! let mut receiver = layer.receiver(vec![make])?;
//! receiver.receive_many(&mut taken, 10).await?;
//! layer.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! Redis keeps nothing in two places, so it can promise no more than this: what
//! it holds when it fails is lost and never doubled. A receiver or node that
//! dies loses what it had in its hands. Within one life of the server all that
//! `towpath-layer-core` says holds, and `towpath-testkit` checks it.

use std::time::Duration;

mod accounts;
mod administration;
mod announce;
mod backoff;
mod channels;
mod core;
mod deaths;
mod delay;
mod failure;
mod group_send;
mod history;
mod intake;
mod keys;
mod known_nodes;
mod layer;
mod lease;
mod letter;
mod link;
mod members;
mod membership;
mod options;
mod outgoing;
mod parcels;
mod pump;
mod receiver;
mod registry;
mod rooms;
mod scripts;
mod server_time;
mod upkeep;
mod value;

pub use layer::RedisLayer;
pub use options::RedisOptions;

/// How long a list outlives the deadline of its last message, so that what has
/// expired on it is counted.
const LIST_GRACE: Duration = Duration::from_mins(1);

/// The longest time that Redis is told: ten years. Longer ones, added to the
/// time of day, no longer fit.
const TIME_MAX_MS: u64 = 10 * 365 * 86_400_000;

/// A duration as Redis wants it.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).map_or(TIME_MAX_MS, |ms| ms.min(TIME_MAX_MS))
}
