//! Reads the changes of a SQLite database.

use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _, SqliteConnection};
use tokio::time::{Instant, sleep, timeout};

use super::schema::NOW_MS;
use super::{Wake, value};
use crate::BindingError;
use crate::bound::Plan;
use crate::change::{Change, Position, Stored};
use crate::config::FeedConfig;
use crate::feed::{Batch, Feed, Source, within};

/// How often it is looked after a commit hook: it is called just before the
/// commit can be seen.
const LOOKS_AFTER_WAKE: [u64; 7] = [0, 1, 2, 4, 8, 16, 32];

/// A SQLite database as a source of changes.
pub(crate) struct SqliteSource {
    pub(crate) pool: SqlitePool,
    pub(crate) prefix: String,
    pub(crate) plan: Arc<Plan>,
    pub(crate) config: FeedConfig,
    pub(crate) wake: Wake,
}

/// The taker's connection.
pub(crate) struct SqliteFeed {
    connection: SqliteConnection,
    prefix: String,
    plan: Arc<Plan>,
    config: FeedConfig,
    wake: Wake,
    holder: String,
    /// When the lease was last renewed.
    renewed: Instant,
    /// What `data_version` was at the last look.
    version: i64,
}

impl Source for SqliteSource {
    type Feed = SqliteFeed;

    async fn connect(&self) -> Result<SqliteFeed, BindingError> {
        let connecting = self.pool.connect_options();
        let connecting = async move { connecting.connect().await };
        Ok(SqliteFeed {
            connection: within(self.config.call_timeout, "open a connection", connecting).await?,
            prefix: self.prefix.clone(),
            plan: Arc::clone(&self.plan),
            config: self.config.clone(),
            wake: self.wake.clone(),
            holder: format!("{:032x}", rand::random::<u128>()),
            renewed: Instant::now(),
            version: 0,
        })
    }
}

impl SqliteFeed {
    fn lease_ms(&self) -> i64 {
        i64::try_from(self.config.lease.as_millis()).unwrap_or(i64::MAX)
    }

    /// Writes to the reader's row, if this is still the taker.
    async fn write(
        &mut self,
        what: &'static str,
        done: Option<Position>,
    ) -> Result<(), BindingError> {
        let p = &self.prefix;
        let update = format!(
            "UPDATE {p}_reader SET until_ms = {NOW_MS} + ?2, \
             position = max(position, coalesce(?3, 0)) WHERE holder = ?1"
        );
        let done = done.map(|position| position.change);
        let trim = format!("DELETE FROM {p}_changes WHERE id <= ?1");
        let lease_ms = self.lease_ms();
        let (connection, holder) = (&mut self.connection, &self.holder);
        let call = async {
            let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
            let update = sqlx::query(AssertSqlSafe(update));
            let update = update.bind(holder).bind(lease_ms).bind(done);
            if update.execute(&mut *transaction).await?.rows_affected() == 0 {
                return Ok(false);
            }
            if done.is_some() {
                let trim = sqlx::query(AssertSqlSafe(trim)).bind(done);
                trim.execute(&mut *transaction).await?;
            }
            transaction.commit().await?;
            Ok(true)
        };
        if within(self.config.call_timeout, what, call).await? {
            self.renewed = Instant::now();
            return Ok(());
        }
        Err(BindingError::Database {
            what,
            transient: true,
            source: "another process has taken over".into(),
        })
    }

    async fn data_version(&mut self) -> Result<i64, BindingError> {
        let connection = &mut self.connection;
        let call = sqlx::query_scalar("PRAGMA data_version").fetch_one(connection);
        within(self.config.call_timeout, "be looked at", call).await
    }

    /// Whether somebody has committed since the last look.
    async fn look(&mut self) -> Result<bool, BindingError> {
        let version = self.data_version().await?;
        Ok(std::mem::replace(&mut self.version, version) != version)
    }

    fn change(&self, row: &SqliteRow) -> Result<Change, sqlx::Error> {
        let table: String = row.try_get(1)?;
        let known = self.plan.table(&table).map(AsRef::as_ref);
        let read = |recorded: Option<Vec<u8>>| recorded.map(|it| value::row(&it, known));
        Ok(Change {
            position: Position {
                commit: 0,
                change: row.try_get(0)?,
            },
            old: read(row.try_get(2)?),
            new: read(row.try_get(3)?),
            table,
        })
    }
}

fn stored(row: &SqliteRow) -> Result<Stored, sqlx::Error> {
    let at = |change| Position { commit: 0, change };
    Ok(Stored {
        epoch: row.try_get(0)?,
        position: at(row.try_get(1)?),
        lost: row.try_get(2)?,
        newest: at(row.try_get(3)?),
    })
}

impl Feed for SqliteFeed {
    async fn claim(&mut self) -> Result<Option<Stored>, BindingError> {
        const WHAT: &str = "take the changes";
        let p = &self.prefix;
        let free = format!("(holder IS NULL OR holder = ?1 OR until_ms < {NOW_MS})");
        let look = format!("SELECT 1 FROM {p}_reader WHERE {free}");
        let claim = format!(
            "UPDATE {p}_reader SET holder = ?1, until_ms = {NOW_MS} + ?2 WHERE {free} \
             RETURNING epoch, position, lost, \
             coalesce((SELECT seq FROM sqlite_sequence WHERE name = '{p}_changes'), 0)"
        );
        let lease_ms = self.lease_ms();
        let (connection, holder) = (&mut self.connection, &self.holder);
        let call = async {
            // Looked at first: the claim itself takes the lock for writing.
            let look = sqlx::query(AssertSqlSafe(look)).bind(holder);
            if look.fetch_optional(&mut *connection).await?.is_none() {
                return Ok(None);
            }
            let claim = sqlx::query(AssertSqlSafe(claim))
                .bind(holder)
                .bind(lease_ms);
            let row = claim.fetch_optional(&mut *connection).await?;
            row.map(|row| stored(&row)).transpose()
        };
        let stored = within(self.config.call_timeout, WHAT, call).await?;
        self.renewed = Instant::now();
        Ok(stored)
    }

    async fn read(&mut self, after: Position) -> Result<Batch, BindingError> {
        // The version first: what is committed in between is looked for again.
        self.version = self.data_version().await?;
        let p = &self.prefix;
        let query = format!(
            "WITH head AS (SELECT id, coalesce(length(old), 0) + coalesce(length(new), 0) AS size \
               FROM {p}_changes WHERE id > ?1 ORDER BY id LIMIT ?2), \
             cut AS (SELECT id, sum(size) OVER (ORDER BY id) - size AS before FROM head) \
             SELECT c.id, c.bound, CAST(c.old AS BLOB), CAST(c.new AS BLOB), r.lost, \
               (SELECT seq FROM sqlite_sequence WHERE name = '{p}_changes') \
             FROM cut JOIN {p}_changes AS c ON c.id = cut.id, {p}_reader AS r \
             WHERE cut.before < ?3 ORDER BY c.id"
        );
        let query = sqlx::query(AssertSqlSafe(query))
            .bind(after.change)
            .bind(self.config.batch_rows_max)
            .bind(self.config.batch_bytes_max);
        let call = query.fetch_all(&mut self.connection);
        let rows = within(self.config.call_timeout, "read the changes", call).await?;
        let changes: Result<Vec<Change>, _> = rows.iter().map(|row| self.change(row)).collect();
        let counts = rows
            .last()
            .map(|row| Ok((row.try_get(4)?, row.try_get(5)?)));
        let counts: Result<Option<(i64, i64)>, sqlx::Error> = counts.transpose();
        let failed = BindingError::database("read the changes");
        let (changes, counts) = match (changes, counts) {
            (Ok(changes), Ok(counts)) => (changes, counts),
            (Err(error), _) | (_, Err(error)) => return Err(failed(error)),
        };
        let last = changes.last().map_or(0, |change| change.position.change);
        Ok(Batch {
            lost: counts.map(|(lost, _)| lost),
            waiting: counts.map_or(0, |(_, newest)| newest - last),
            changes,
        })
    }

    async fn done(&mut self, position: Position) -> Result<(), BindingError> {
        self.write("note what was published", Some(position)).await
    }

    async fn hold(&mut self) -> Result<(), BindingError> {
        if self.renewed.elapsed() < self.config.lease / 3 {
            return Ok(());
        }
        self.write("renew the lease", None).await
    }

    async fn changed(&mut self) -> Result<(), BindingError> {
        loop {
            self.hold().await?;
            let wake = Arc::clone(&self.wake.notify);
            let woken = timeout(self.config.look_interval, wake.notified())
                .await
                .is_ok();
            if !woken {
                if self.look().await? {
                    return Ok(());
                }
                continue;
            }
            for wait_ms in LOOKS_AFTER_WAKE {
                sleep(Duration::from_millis(wait_ms)).await;
                if self.look().await? {
                    return Ok(());
                }
            }
        }
    }

    async fn leave(mut self) {
        let release = format!(
            "UPDATE {}_reader SET holder = NULL, until_ms = 0 WHERE holder = ?1",
            self.prefix
        );
        let release = sqlx::query(AssertSqlSafe(release)).bind(&self.holder);
        let call = release.execute(&mut self.connection);
        if let Err(error) = within(self.config.call_timeout, "give the changes up", call).await {
            tracing::debug!(%error, "the lease ends by itself");
            return;
        }
        if let Err(error) = self.connection.close().await {
            tracing::debug!(%error, "the connection was not closed in good order");
        }
    }
}
