//! Reads the changes of a PostgreSQL database.

use std::time::Duration;

use sqlx::postgres::{PgListener, PgPool, PgPoolOptions, PgRow};
use sqlx::{AssertSqlSafe, Row as _};
use tokio::time::{Instant, timeout};

use super::schema::{taker_lock, too_much};
use crate::BindingError;
use crate::change::{Change, Position, Row, Stored};
use crate::config::FeedConfig;
use crate::feed::{Batch, Feed, Source, within};

/// How long a session counts as the taker's without a word from the server.
const HOLD: Duration = Duration::from_secs(1);

/// Looks at numbers that were not notified of, in look intervals.
const LOOK_EVERY: u32 = 50;

/// A taker whose machine is gone loses its session after about ten seconds.
const KEEPALIVE: &str = "SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; \
     SET tcp_keepalives_count = 3; SET tcp_user_timeout = 10000";

/// A PostgreSQL database as a source of changes.
pub(crate) struct PostgresSource {
    pub(crate) pool: PgPool,
    pub(crate) prefix: String,
    pub(crate) config: FeedConfig,
}

/// The taker's session: one connection listens, holds the lock, reads, notes.
pub(crate) struct PostgresFeed {
    /// A pool of this one connection, which the listener asks for.
    pool: PgPool,
    listener: PgListener,
    s: String,
    config: FeedConfig,
    kept_rows_max: u32,
    heard: Instant,
}

impl Source for PostgresSource {
    type Feed = PostgresFeed;

    async fn connect(&self) -> Result<PostgresFeed, BindingError> {
        // The session is the claim: no pool may end it or lend it out.
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .max_lifetime(None)
            .idle_timeout(None)
            .acquire_timeout(self.config.call_timeout)
            .connect_lazy_with((*self.pool.connect_options()).clone());
        let call = async {
            let mut listener = PgListener::connect_with(&pool).await?;
            // A connection made anew would be without the lock.
            listener.eager_reconnect(false);
            listener.listen(&self.prefix).await?;
            sqlx::raw_sql(KEEPALIVE).execute(&mut listener).await?;
            Ok(listener)
        };
        let call = Box::pin(call);
        let listener = within(self.config.call_timeout, "open a session", call).await?;
        Ok(PostgresFeed {
            pool,
            listener,
            s: self.prefix.clone(),
            config: self.config.clone(),
            kept_rows_max: self.config.kept_rows_max,
            heard: Instant::now(),
        })
    }
}

impl PostgresFeed {
    /// Runs a statement as a sign of life, unless there was one lately.
    async fn ask(&mut self, sql: impl FnOnce(&Self) -> String) -> Result<(), BindingError> {
        if self.heard.elapsed() < HOLD {
            return Ok(());
        }
        let query = sqlx::query(AssertSqlSafe(sql(self)));
        let call = query.execute(&mut self.listener);
        within(self.config.call_timeout, "be asked", call).await?;
        self.heard = Instant::now();
        Ok(())
    }
}

fn stored(row: &PgRow) -> Result<Stored, sqlx::Error> {
    let at = |commit, change| -> Result<Position, sqlx::Error> {
        Ok(Position {
            commit: row.try_get(commit)?,
            change: row.try_get(change)?,
        })
    };
    Ok(Stored {
        epoch: row.try_get(0)?,
        position: at(1, 2)?,
        lost: row.try_get(3)?,
        newest: at(4, 5)?,
    })
}

fn change(row: &PgRow) -> Result<Change, sqlx::Error> {
    let read = |recorded: Option<&str>| -> Option<Row> {
        // Unreadable is empty, which fits no model and is told as such.
        recorded.map(|it| serde_json::from_str(it).unwrap_or_default())
    };
    Ok(Change {
        position: Position {
            commit: row.try_get(0)?,
            change: row.try_get(1)?,
        },
        table: row.try_get(2)?,
        old: read(row.try_get(3)?),
        new: read(row.try_get(4)?),
    })
}

impl Feed for PostgresFeed {
    async fn claim(&mut self) -> Result<Option<Stored>, BindingError> {
        let s = &self.s;
        // The lock in a step of its own: what is read after it is what the
        // last taker left.
        let lock = format!("SELECT pg_try_advisory_lock({})", taker_lock(s));
        let read = format!(
            "SELECT epoch, seq, id, lost, (SELECT last_value FROM {s}.commit_order), \
               (SELECT last_value FROM {s}.changes_id_seq) FROM {s}.reader"
        );
        let listener = &mut self.listener;
        let call = async {
            let lock = sqlx::query_scalar(AssertSqlSafe(lock));
            if !lock.fetch_one(&mut *listener).await? {
                return Ok(None);
            }
            let row = sqlx::query(AssertSqlSafe(read))
                .fetch_one(&mut *listener)
                .await?;
            stored(&row).map(Some)
        };
        let stored = within(self.config.call_timeout, "take the changes", call).await?;
        self.heard = Instant::now();
        Ok(stored)
    }

    async fn read(&mut self, after: Position) -> Result<Batch, BindingError> {
        while self.listener.next_buffered().is_some() {}
        let s = &self.s;
        // Transaction by transaction, so that the planner stops early; by a bound
        // that the index takes, so that what was published is not passed again.
        let query = format!(
            "WITH head AS (SELECT t.seq, c.tx, c.id, c.size FROM \
                 (SELECT seq, tx FROM {s}.commits WHERE seq >= $1 ORDER BY seq LIMIT $3) AS t \
               CROSS JOIN LATERAL (SELECT id, tx, size FROM {s}.changes WHERE tx = t.tx \
                 AND id > CASE WHEN t.seq > $1 THEN 0 ELSE $2 END ORDER BY id LIMIT $3) AS c \
               ORDER BY t.seq, c.id LIMIT $3), \
             cut AS (SELECT *, sum(size) OVER (ORDER BY seq, id) - size AS before FROM head) \
             SELECT cut.seq, cut.id, c.bound, c.old, c.new, r.lost, \
               (SELECT last_value FROM {s}.changes_id_seq) - cut.id \
             FROM cut JOIN {s}.changes AS c ON c.tx = cut.tx AND c.id = cut.id \
             CROSS JOIN {s}.reader AS r WHERE cut.before < $4 ORDER BY cut.seq, cut.id"
        );
        let query = sqlx::query(AssertSqlSafe(query))
            .bind(after.commit)
            .bind(after.change)
            .bind(i64::from(self.config.batch_rows_max))
            .bind(i64::from(self.config.batch_bytes_max));
        let call = async {
            let rows = query.fetch_all(&mut self.listener).await?;
            let changes: Result<Vec<Change>, _> = rows.iter().map(change).collect();
            let last = rows.last();
            Ok(Batch {
                changes: changes?,
                lost: last.map(|row| row.try_get(5)).transpose()?,
                waiting: last.map_or(Ok(0), |row| row.try_get(6))?,
            })
        };
        let batch = within(self.config.call_timeout, "read the changes", call).await?;
        self.heard = Instant::now();
        Ok(batch)
    }

    async fn done(&mut self, position: Position) -> Result<(), BindingError> {
        let s = &self.s;
        let query = format!(
            "WITH done AS (SELECT seq, tx FROM {s}.commits WHERE seq <= $1), \
             trimmed AS (DELETE FROM {s}.changes AS c USING done \
               WHERE c.tx = done.tx AND (done.seq < $1 OR c.id <= $2)), \
             closed AS (DELETE FROM {s}.commits WHERE seq < $1) \
             UPDATE {s}.reader SET seq = $1, id = $2, slack = 0 WHERE (seq, id) < ($1, $2)"
        );
        let query = sqlx::query(AssertSqlSafe(query))
            .bind(position.commit)
            .bind(position.change);
        let call = query.execute(&mut self.listener);
        within(self.config.call_timeout, "note what was published", call).await?;
        self.heard = Instant::now();
        Ok(())
    }

    async fn hold(&mut self) -> Result<(), BindingError> {
        self.ask(|_| "SELECT 1".to_owned()).await
    }

    async fn endure(&mut self) -> Result<(), BindingError> {
        let bound = |feed: &Self| {
            let s = &feed.s;
            let kept = feed.kept_rows_max;
            let too_much = too_much(s, kept);
            format!("SELECT CASE WHEN {too_much} THEN {s}.keep_bound({kept}) END")
        };
        self.ask(bound).await
    }

    async fn changed(&mut self) -> Result<(), BindingError> {
        let look = self.config.look_interval * LOOK_EVERY;
        match timeout(look, self.listener.try_recv()).await {
            // It is read by number in any case.
            Err(_) | Ok(Ok(Some(_))) => Ok(()),
            Ok(Ok(None)) => Err(BindingError::Database {
                what: "keep the session",
                transient: true,
                source: "the connection was lost".into(),
            }),
            Ok(Err(error)) => Err(BindingError::database("keep the session")(error)),
        }
    }

    async fn leave(mut self) {
        let unlock = sqlx::raw_sql("SELECT pg_advisory_unlock_all()");
        if let Err(error) = unlock.execute(&mut self.listener).await {
            tracing::debug!(%error, "the claim ends with the session");
        }
        drop(self.listener);
        self.pool.close().await;
    }
}
