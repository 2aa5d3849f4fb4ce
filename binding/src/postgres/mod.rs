//! Changes of a PostgreSQL database.
//!
//! | | how |
//! |---|---|
//! | recorded | by row triggers and a `TRUNCATE` trigger, in the transaction of whoever writes |
//! | ordered | each transaction draws a number as the last thing it does, under a lock that it holds until its commit is visible |
//! | woken | by `NOTIFY`, as a hint only: what is read is read by number, so a lost one costs time and nothing else |
//! | taken by one | a session's advisory lock on the very connection that reads and notes; it ends with the session |
//!
//! # Why a lock
//!
//! What is wanted is the order of commits, without gaps that fill later. A
//! number drawn when a row is written is neither: the transaction that drew the
//! lower number may commit later, after a reader has passed it. The ways out,
//! and why not:
//!
//! - *Read by transaction id, up to the oldest that still runs
//!   (`pg_snapshot_xmin`).* No gaps, but ids are in the order of beginnings: of
//!   two transactions that wrote the same row the later writer may have the
//!   lower id, and clients would end with the earlier value. Any long
//!   transaction anywhere in the database would hold everything up.
//! - *Commit timestamps.* They need a setting that is off by default and a
//!   restart, and two commits may have the same.
//! - *Logical decoding.* Exact, but it needs `wal_level = logical`, a role that
//!   may replicate, and a slot that keeps WAL until the disk is full while
//!   nobody reads.
//! - *A deferred constraint trigger on the bound table itself.* While its
//!   events wait, `TRUNCATE` and `ALTER TABLE` of that table fail in the same
//!   transaction, which would break migrations.
//!
//! So the changes are written at once, with the number of their transaction's
//! row in `commits`; that row alone has a deferred constraint trigger, which
//! takes an advisory lock and draws the number of the commit. PostgreSQL
//! releases the lock after the commit has become visible, so who sees a number
//! sees all lower ones.
//!
//! The price: transactions that write to bound tables of one feed commit one
//! after the other, each with its own flush of the log. `NOTIFY` in the same
//! transaction has that price anyway: PostgreSQL holds a lock of its own from
//! the notification to the end of the commit. Transactions that do not write to
//! bound tables pay nothing. `PREPARE TRANSACTION` is refused by PostgreSQL for
//! a transaction that notifies.
//!
//! The triggers are `ENABLE ALWAYS`: they also fire for what logical
//! replication applies. Not seen: `DROP TABLE`, and writers that switch
//! triggers off (`ALTER TABLE … DISABLE TRIGGER`, `pg_restore
//! --disable-triggers`).

mod feed;
mod install;
mod schema;
mod write;

pub(crate) use feed::PostgresSource;
pub(crate) use install::{check, describe, install, remove, sql};
pub(crate) use write::write;
