//! Why a call to Redis failed, and what that is called in the contract.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use redis::{RedisError, ServerError, ServerErrorKind};
use towpath_layer_core::{GroupError, LayerError, SendError, Unavailable};

pub(crate) const BACKEND: &str = "redis";

/// A failed call. Many callers share one exchange, so it can be cloned.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    /// Whether the call may have taken effect all the same.
    pub(crate) outcome_unknown: bool,
    cause: Arc<dyn StdError + Send + Sync>,
}

/// A call that failed before or beside Redis.
#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error("there is no connection now")]
    Disconnected(#[source] Option<Failure>),
    #[error("the server is of version {0:?}; 7.0 or newer is needed")]
    TooOld(String),
    #[error("the layer has ended")]
    Ended,
    #[error("no answer in time")]
    TimedOut,
    #[error("the answer is not the one expected")]
    Unexpected,
    #[error("this node has lost its lease")]
    LeaseLost,
    #[error("the node that it is for may be on its way back")]
    OwnerAway,
}

impl Failure {
    /// Not sent at all; `last` is why the last attempt to connect failed.
    pub(crate) fn disconnected(last: Option<&Self>) -> Self {
        Self::known(Cause::Disconnected(last.cloned()))
    }

    /// Not sent at all: there is nobody left who sends.
    pub(crate) fn ended() -> Self {
        Self::known(Cause::Ended)
    }

    /// Sent, perhaps, and not answered.
    pub(crate) fn timed_out() -> Self {
        Self {
            outcome_unknown: true,
            cause: Arc::new(Cause::TimedOut),
        }
    }

    /// Answered with something else than what the command answers.
    pub(crate) fn unexpected() -> Self {
        Self {
            outcome_unknown: true,
            cause: Arc::new(Cause::Unexpected),
        }
    }

    /// Not done: the server lacks what is needed.
    pub(crate) fn too_old(version: &str) -> Self {
        Self::known(Cause::TooOld(version.to_owned()))
    }

    /// Not done: it was for the incarnation of this node that has ended.
    pub(crate) fn lease_lost() -> Self {
        Self::known(Cause::LeaseLost)
    }

    /// Not done: the node that it is for has no lease, for now.
    pub(crate) fn owner_away() -> Self {
        Self::known(Cause::OwnerAway)
    }

    /// Not done, for a reason outside Redis.
    pub(crate) fn known(cause: impl StdError + Send + Sync + 'static) -> Self {
        Self {
            outcome_unknown: false,
            cause: Arc::new(cause),
        }
    }

    /// The connection failed under a call.
    pub(crate) fn lost(error: RedisError) -> Self {
        Self {
            outcome_unknown: true,
            cause: Arc::new(error),
        }
    }

    /// Redis refused the call.
    pub(crate) fn refused(error: ServerError) -> Self {
        Self::known(RedisError::from(error))
    }
}

/// Whether the server does not know a script.
pub(crate) fn is_no_script(error: &ServerError) -> bool {
    error.kind() == Some(ServerErrorKind::NoScript)
}

/// Whether the server cannot serve anybody now, so that another may have to be
/// looked for.
pub(crate) fn is_unfit(error: &ServerError) -> bool {
    matches!(
        error.kind(),
        Some(
            ServerErrorKind::BusyLoading | ServerErrorKind::MasterDown | ServerErrorKind::ReadOnly
        )
    )
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause.fmt(f)
    }
}

impl StdError for Failure {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.cause.source()
    }
}

impl From<Failure> for Unavailable {
    fn from(failure: Failure) -> Self {
        Self {
            backend: BACKEND,
            outcome_unknown: failure.outcome_unknown,
            source: Box::new(failure),
        }
    }
}

impl From<Failure> for SendError {
    fn from(failure: Failure) -> Self {
        Self::Unavailable(failure.into())
    }
}

impl From<Failure> for GroupError {
    fn from(failure: Failure) -> Self {
        Self::Unavailable(failure.into())
    }
}

impl From<Failure> for LayerError {
    fn from(failure: Failure) -> Self {
        Self::Unavailable(failure.into())
    }
}
