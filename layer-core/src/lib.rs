//! The contract of a Towpath channel layer.
//!
//! A channel layer carries [`Message`]s between the processes that hold sockets
//! and the processes that run consumers. This crate says what a layer promises
//! ([`ChannelLayer`]), in which words ([`ChannelName`], [`GroupName`],
//! [`NodeId`]), within which bounds ([`Limits`]) and with which errors. The
//! backends `towpath-layer-memory` and `towpath-layer-redis` keep the promise;
//! `towpath-testkit` proves it.
//!
//! Nothing here does I/O, reads a configuration or knows a backend. Time and
//! randomness are handed in ([`Clock`], [`Entropy`]), so that a test can move
//! the one and seed the other.
//!
//! ```
//! use towpath_layer_core::{ChannelName, GroupName};
//!
//! let channel = ChannelName::new("thumbnails.make")?;
//! assert_eq!(channel.as_str(), "thumbnails.make");
//! let wrong = GroupName::new("chat room").unwrap_err();
//! assert!(wrong.to_string().contains("\"chat room\""));
//! # Ok::<(), towpath_layer_core::NameError>(())
//! ```

mod clock;
mod codec;
mod delay;
mod entropy;
mod error;
mod glob;
mod group_table;
mod history;
mod inbox;
mod layer;
mod limits;
mod mailbox;
mod message;
pub mod metrics;
mod name;
pub mod presence;
mod statistics;
mod switchboard;
mod topic_feed;

pub use clock::{Clock, ManualClock, SystemClock};
pub use codec::{CodecError, MessageId, MessageIds, VERSION, decode, encode};
pub use delay::{DelayKey, DelayKeyError};
pub use entropy::{Entropy, SeededEntropy, SystemEntropy};
pub use error::{GroupError, LayerError, SendError, Unavailable};
pub use glob::{Glob, GlobTable};
pub use group_table::GroupTable;
pub use history::{History, Position, PositionError, Recalled};
pub use inbox::{InboxEntry, InboxQueue, InboxSink, Membership, Refused};
pub use layer::{ChannelLayer, Delivery, Member, MemberStream, Received, Receiver};
pub use limits::Limits;
pub use mailbox::{Mail, Mailbox};
pub use message::{
    Accept, Application, Broadcast, Close, Completion, Content, ContentError, Deny, Event,
    EventKind, Frame, GroupChange, Handshake, Headers, Join, Message, Outcome, PlainMember, Poll,
    PollAnswer, PollFrom, Push, Reference, Reply, Resume, Taken, Tick, TopicReply, Tracking,
    channels,
};
pub use name::{ChannelKind, ChannelName, GroupName, LocalId, NAME_LEN_MAX, NameError, NodeId};
pub use statistics::{ChannelStatistics, Counter, Statistics};
pub use switchboard::Switchboard;
pub use topic_feed::{Fed, TopicFeed};
