//! Being told at once of what this process writes.

use std::sync::Arc;

use sqlx::SqliteConnection;
use sqlx::sqlite::SqlitePoolOptions;
use tokio::sync::Notify;

/// Tells the feed of commits in this process, so that it need not wait until
/// it looks by itself.
///
/// A commit hook belongs to one connection: it is installed on each that a
/// pool makes. Without it, all is seen at the next look, as what other
/// processes write.
///
/// ```
/// # async fn open() -> Result<(), Box<dyn std::error::Error>> {
/// use sqlx::sqlite::SqlitePoolOptions;
/// use towpath_binding::{Bindings, Wake};
///
/// let wake = Wake::new();
/// let pool = wake.watch_pool(SqlitePoolOptions::new()).connect("sqlite:todo.db").await?;
/// let bindings = Bindings::sqlite(pool).wake(wake);
/// # drop(bindings);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Wake {
    pub(super) notify: Arc<Notify>,
}

impl Wake {
    /// One that watches nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Watches every connection that a pool makes. It takes the place of the
    /// pool's `after_connect`; if you have your own, call
    /// [`watch`](Self::watch) in it.
    #[must_use]
    pub fn watch_pool(&self, options: SqlitePoolOptions) -> SqlitePoolOptions {
        let wake = self.clone();
        options.after_connect(move |connection, _| {
            let wake = wake.clone();
            Box::pin(async move { wake.watch(connection).await })
        })
    }

    /// Watches a connection, in place of its commit hook if it has one.
    ///
    /// # Errors
    ///
    /// If the connection is broken.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the connection watched or not.
    pub async fn watch(&self, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        let notify = Arc::clone(&self.notify);
        connection.lock_handle().await?.set_commit_hook(move || {
            notify.notify_one();
            true
        });
        Ok(())
    }
}
