//! What a database has to do for the taker.

use std::future::Future;
use std::time::Duration;

use tokio::time::timeout;

use crate::BindingError;
use crate::change::{Change, Position, Stored};

/// A database whose changes one process takes.
pub(crate) trait Source: Send + Sync {
    type Feed: Feed;

    /// A session that may come to take the changes.
    fn connect(&self) -> impl Future<Output = Result<Self::Feed, BindingError>> + Send;
}

/// Some changes, in their order.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) changes: Vec<Change>,
    /// Changes that were dropped since the installation, if it was looked.
    pub(crate) lost: Option<i64>,
    /// Changes behind these, about.
    pub(crate) waiting: i64,
}

/// What the taker does, and who stands by; every error ends the session.
pub(crate) trait Feed: Send {
    /// Makes this process the one that takes the changes, unless another is.
    ///
    /// Dropping the future leaves no claim that does not end by itself.
    fn claim(&mut self) -> impl Future<Output = Result<Option<Stored>, BindingError>> + Send;

    /// The next changes; none, if there are none.
    fn read(&mut self, after: Position)
    -> impl Future<Output = Result<Batch, BindingError>> + Send;

    /// Notes that all up to a position was published, and removes it.
    fn done(&mut self, position: Position)
    -> impl Future<Output = Result<(), BindingError>> + Send;

    /// Makes sure that this process still is the taker; cheap when it was
    /// made sure lately. Called before each change is published.
    fn hold(&mut self) -> impl Future<Output = Result<(), BindingError>> + Send;

    /// As [`hold`](Self::hold), while nothing can be published: sees to it that
    /// what is kept stays within its bound.
    fn endure(&mut self) -> impl Future<Output = Result<(), BindingError>> + Send {
        self.hold()
    }

    /// Waits until there may be changes.
    ///
    /// Dropping the future loses nothing, if it is followed by a read.
    fn changed(&mut self) -> impl Future<Output = Result<(), BindingError>> + Send;

    /// Lets another process take over at once.
    fn leave(self) -> impl Future<Output = ()> + Send;
}

/// A call to the database, bounded in time.
pub(crate) async fn within<T>(
    time: Duration,
    what: &'static str,
    call: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, BindingError> {
    match timeout(time, call).await {
        Ok(result) => result.map_err(BindingError::database(what)),
        Err(late) => Err(BindingError::Database {
            what,
            transient: true,
            source: late.into(),
        }),
    }
}
