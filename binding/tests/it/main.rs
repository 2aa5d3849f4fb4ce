//! Bindings on real databases: SQLite in a file, a PostgreSQL server.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test says what it expects by unwrapping, and spawns what it awaits"
)]

mod audiences;
mod database;
mod inbound;
mod install;
mod order;
mod outbound;
mod postgres;
mod redis;
mod rig;
mod sqlite;
mod takers;
mod writers;

/// Makes of each case two tests: on SQLite and on PostgreSQL.
macro_rules! on_both {
    ($($case:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                super::$case($crate::database::Database::sqlite().await).await;
            })*
        }
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                super::$case($crate::database::Database::postgres().await).await;
            })*
        }
    };
}
pub(crate) use on_both;
