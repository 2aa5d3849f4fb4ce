//! The bindings of one database, and what is done with them.

use std::fmt;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use towpath_layer_core::ChannelLayer;
use towpath_worker::{Demultiplexer, Websocket, demultiplexer};

use crate::bound::{Bound, Plan, Typed};
use crate::config::FeedConfig;
use crate::sql::FeedName;
use crate::table::Table;
use crate::{Binding, BindingError, taker};

/// A database with bound tables.
#[derive(Clone)]
pub(crate) enum Database {
    #[cfg(feature = "sqlite")]
    Sqlite(sqlx::SqlitePool, crate::Wake),
    #[cfg(feature = "postgres")]
    Postgres(sqlx::PgPool),
}

impl Database {
    pub(crate) async fn describe(&self, table: &str) -> Result<Option<Table>, BindingError> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(pool, _) => crate::sqlite::describe(pool, table).await,
            #[cfg(feature = "postgres")]
            Self::Postgres(pool) => crate::postgres::describe(pool, table).await,
        }
    }
}

/// The bindings of one database: what is installed for them, and who runs them.
///
/// Cloning is cheap.
#[derive(Clone)]
pub struct Bindings {
    pub(crate) database: Database,
    feed: FeedName,
    config: FeedConfig,
    bound: Vec<Arc<dyn Bound>>,
}

impl Bindings {
    /// Bindings of tables in SQLite. The pool's options are used for one
    /// connection more; WAL and a busy timeout are advised.
    #[cfg(feature = "sqlite")]
    #[must_use]
    pub fn sqlite(pool: sqlx::SqlitePool) -> Self {
        Self::of(Database::Sqlite(pool, crate::Wake::new()))
    }

    /// Bindings of tables in PostgreSQL, 13 or newer. The pool's options are
    /// used for one connection more, which must reach the server itself: not
    /// through a pooler that shares sessions.
    #[cfg(feature = "postgres")]
    #[must_use]
    pub fn postgres(pool: sqlx::PgPool) -> Self {
        Self::of(Database::Postgres(pool))
    }

    fn of(database: Database) -> Self {
        Self {
            database,
            feed: FeedName::default(),
            config: FeedConfig::default(),
            bound: Vec::new(),
        }
    }

    /// Adds a binding. Several may have the same table, none the same stream.
    #[must_use]
    #[expect(
        clippy::should_implement_trait,
        reason = "it adds to a collection, as the word says"
    )]
    pub fn add<B: Binding>(mut self, binding: B) -> Self {
        self.bound.push(Arc::new(Typed(Arc::new(binding))));
        self
    }

    /// Names the feed, so that several applications can bind tables of one
    /// database: each has its own feed. 1 to 20 lower-case letters, digits and
    /// `_`; without a call it is `binding`.
    ///
    /// # Errors
    ///
    /// [`BindingError::FeedName`].
    pub fn named(mut self, feed: &str) -> Result<Self, BindingError> {
        self.feed = FeedName::new(feed)?;
        Ok(self)
    }

    /// Sets the feed's bounds.
    #[must_use]
    pub fn config(mut self, config: FeedConfig) -> Self {
        self.config = config;
        self
    }

    /// Is told of this process's commits; see [`Wake`](crate::Wake). Without
    /// effect on PostgreSQL, which tells of all commits.
    #[cfg(feature = "sqlite")]
    #[must_use]
    pub fn wake(mut self, wake: crate::Wake) -> Self {
        match &mut self.database {
            Database::Sqlite(_, slot) => *slot = wake,
            #[cfg(feature = "postgres")]
            Database::Postgres(_) => {}
        }
        self
    }

    /// The streams of all bindings, for a route: a client joins the groups that
    /// [`Binding::subscribe`] says, and changes rows by
    /// `{"stream": …, "payload": {"action": "create", "data": {…}}}`,
    /// `{"action": "update", "pk": …, "data": {…}}` and
    /// `{"action": "delete", "pk": …}`. A change shows as what the groups are
    /// told; one that is denied or fails is answered with an error frame.
    #[must_use]
    pub fn demultiplexer(&self) -> Demultiplexer {
        let streams = self.bound.iter();
        streams.fold(demultiplexer(), |all, bound| {
            all.stream(bound.stream(), bound.consumers(self.database.clone()))
        })
    }

    /// The consumers of one stream, for a demultiplexer of your own, which has
    /// to name the stream as the binding does; `None` if no binding has it.
    #[must_use]
    pub fn consumers(&self, stream: &str) -> Option<Websocket> {
        let bound = self.bound.iter().find(|bound| bound.stream() == stream)?;
        Some(bound.consumers(self.database.clone()))
    }

    async fn plan(&self) -> Result<Plan, BindingError> {
        let mut plan = Plan::new(self.config.kept_rows_max);
        for bound in &self.bound {
            let table = self.database.describe(bound.table()).await?;
            let table = table.ok_or_else(|| BindingError::NoTable {
                table: bound.table().to_owned(),
                stream: bound.stream().to_owned(),
            })?;
            plan.add(table, Arc::clone(bound))?;
        }
        Ok(plan)
    }

    /// What [`install`](Self::install) does in a database where nothing is
    /// installed, as SQL statements.
    ///
    /// # Errors
    ///
    /// [`BindingError`] if a binding does not fit its table.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn sql(&self) -> Result<Vec<String>, BindingError> {
        let plan = self.plan().await?;
        match &self.database {
            #[cfg(feature = "sqlite")]
            Database::Sqlite(pool, _) => crate::sqlite::sql(pool, self.feed.prefix(), &plan).await,
            #[cfg(feature = "postgres")]
            Database::Postgres(_) => Ok(crate::postgres::sql(self.feed.prefix(), &plan)),
        }
    }

    /// Installs what records the changes, in one transaction: what is there
    /// and as it should be is left alone, what has changed (columns, bounds) is
    /// replaced, triggers on tables that are no longer bound go.
    ///
    /// # Errors
    ///
    /// [`BindingError`]; then nothing was changed.
    ///
    /// # Cancel safety
    ///
    /// A dropped future has installed all or nothing.
    pub async fn install(&self) -> Result<(), BindingError> {
        let plan = self.plan().await?;
        match &self.database {
            #[cfg(feature = "sqlite")]
            Database::Sqlite(pool, _) => {
                crate::sqlite::install(pool, self.feed.prefix(), &plan).await
            }
            #[cfg(feature = "postgres")]
            Database::Postgres(pool) => {
                crate::postgres::install(pool, self.feed.prefix(), &plan).await
            }
        }
    }

    /// Removes everything that was installed, and the changes that wait; fine
    /// if there is nothing.
    ///
    /// # Errors
    ///
    /// [`BindingError`]; then nothing was removed.
    ///
    /// # Cancel safety
    ///
    /// A dropped future has removed all or nothing.
    pub async fn remove(&self) -> Result<(), BindingError> {
        match &self.database {
            #[cfg(feature = "sqlite")]
            Database::Sqlite(pool, _) => crate::sqlite::remove(pool, self.feed.prefix()).await,
            #[cfg(feature = "postgres")]
            Database::Postgres(pool) => crate::postgres::remove(pool, self.feed.prefix()).await,
        }
    }

    /// Whether the bindings fit their tables and are installed as they are now.
    ///
    /// # Errors
    ///
    /// [`BindingError`] says what does not fit, or what to do.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn check(&self) -> Result<(), BindingError> {
        self.check_plan(&self.plan().await?).await
    }

    async fn check_plan(&self, plan: &Plan) -> Result<(), BindingError> {
        match &self.database {
            #[cfg(feature = "sqlite")]
            Database::Sqlite(pool, _) => crate::sqlite::check(pool, self.feed.prefix(), plan).await,
            #[cfg(feature = "postgres")]
            Database::Postgres(pool) => {
                crate::postgres::check(pool, self.feed.prefix(), plan).await
            }
        }
    }

    /// Checks the bindings and gets them ready to run.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn start(&self, layer: Arc<dyn ChannelLayer>) -> Result<Taker, BindingError> {
        let plan = self.plan().await?;
        self.check_plan(&plan).await?;
        Ok(Taker {
            bindings: self.clone(),
            plan: Arc::new(plan),
            layer,
        })
    }
}

/// Checked bindings, ready to take changes and publish them.
pub struct Taker {
    bindings: Bindings,
    plan: Arc<Plan>,
    layer: Arc<dyn ChannelLayer>,
}

impl Taker {
    /// Publishes what changes, as long as this process is the one that takes
    /// the changes, and stands by while it is another. It ends when `stop` is
    /// cancelled or the layer is closed; a database or layer that is out of
    /// reach is waited out.
    ///
    /// # Cancel safety
    ///
    /// After a dropped future the last changes, one batch at most, are
    /// published again by who takes over. Cancel `stop` to avoid it.
    pub async fn run(self, stop: CancellationToken) {
        let Self {
            bindings,
            plan,
            layer,
        } = self;
        let config = bindings.config;
        let prefix = bindings.feed.prefix().to_owned();
        match bindings.database {
            #[cfg(feature = "sqlite")]
            Database::Sqlite(pool, wake) => {
                let source = crate::sqlite::SqliteSource {
                    pool,
                    prefix,
                    plan: Arc::clone(&plan),
                    config: config.clone(),
                    wake,
                };
                Box::pin(taker::run(source, plan, layer, &config, &stop)).await;
            }
            #[cfg(feature = "postgres")]
            Database::Postgres(pool) => {
                let source = crate::postgres::PostgresSource {
                    pool,
                    prefix,
                    config: config.clone(),
                };
                Box::pin(taker::run(source, plan, layer, &config, &stop)).await;
            }
        }
    }
}

impl fmt::Debug for Bindings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let streams: Vec<&str> = self.bound.iter().map(|bound| bound.stream()).collect();
        f.debug_struct("Bindings")
            .field("feed", &self.feed.prefix())
            .field("streams", &streams)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Taker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Taker").field(&self.bindings).finish()
    }
}
