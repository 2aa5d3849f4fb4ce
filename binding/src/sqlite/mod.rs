//! Changes of a SQLite database.
//!
//! | | how |
//! |---|---|
//! | recorded | by triggers, in the transaction of whoever writes, in any process |
//! | ordered | one writer at a time: the numbers are in the order of commits |
//! | woken | by a commit hook on this process's connections ([`Wake`]), and by a look at `PRAGMA data_version` for the others |
//! | taken by one | a lease in a row, by the database's clock |
//!
//! Not seen: `DROP TABLE`, and writers that switch triggers off.

mod feed;
mod install;
mod schema;
mod value;
mod wake;
mod write;

pub(crate) use feed::SqliteSource;
pub(crate) use install::{check, describe, install, remove, sql};
pub use wake::Wake;
pub(crate) use write::write;
