//! What can go wrong in a layer, one type an operation family.

use std::error::Error as StdError;
use std::time::Duration;

use crate::{ChannelName, NameError};

/// The backend is out of reach for the moment.
#[derive(Debug, thiserror::Error)]
#[error("the {backend} backend is unavailable{}", outcome(*.outcome_unknown))]
pub struct Unavailable {
    /// Which backend.
    pub backend: &'static str,
    /// Whether the call may have taken effect all the same: the answer was
    /// lost, not the question. Such a call is not repeated blindly.
    pub outcome_unknown: bool,
    /// What happened, for the log.
    #[source]
    pub source: Box<dyn StdError + Send + Sync>,
}

fn outcome(unknown: bool) -> &'static str {
    if unknown {
        "; whether the call took effect is not known"
    } else {
        ""
    }
}

/// Why a message was not sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The channel, or the inbox of the node behind it, holds as much as it
    /// may; or as many messages wait for their time. Nothing was enqueued; it
    /// may have room later.
    #[error("channel {channel} is full")]
    ChannelFull {
        /// The channel that is full.
        channel: ChannelName,
    },
    /// The message is larger than the layer carries.
    #[error("the message has {size} bytes, at most {size_max} are carried")]
    MessageTooLarge {
        /// Size of the message, in bytes.
        size: usize,
        /// The bound that it passes, in bytes.
        size_max: usize,
    },
    /// The message was to be sent later than the layer keeps one for.
    #[error("the delay is {delay:?}, at most {delay_max:?} is waited; send it later")]
    DelayTooLong {
        /// How long it was to wait.
        delay: Duration,
        /// The bound that it passes.
        delay_max: Duration,
    },
    /// The backend is out of reach.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The layer was closed.
    #[error("the layer is closed")]
    Closed,
}

impl SendError {
    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::ChannelFull { .. } | Self::Unavailable(_) => true,
            Self::MessageTooLarge { .. } | Self::DelayTooLong { .. } | Self::Closed => false,
        }
    }
}

/// Why a membership was not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GroupError {
    /// Only reply channels can be members.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The metadata is larger than a membership carries.
    #[error("the metadata has {size} bytes, at most {size_max} are kept")]
    MetaTooLarge {
        /// Size of the metadata, in bytes.
        size: usize,
        /// The bound that it passes, in bytes.
        size_max: usize,
    },
    /// The backend is out of reach.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The layer was closed.
    #[error("the layer is closed")]
    Closed,
}

impl GroupError {
    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

/// Why a layer did not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayerError {
    /// A channel of the wrong kind was named.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The backend is out of reach.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The layer was closed.
    #[error("the layer is closed")]
    Closed,
    /// The backend cannot do this; found at start-up, not at first use.
    #[error("the {backend} layer does not support {capability}")]
    Unsupported {
        /// Which backend.
        backend: &'static str,
        /// What it cannot do.
        capability: &'static str,
    },
}

impl LayerError {
    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}
