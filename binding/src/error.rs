//! Why bindings cannot be installed or run.

use std::error::Error as StdError;

/// What went wrong between bindings and their database.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindingError {
    /// The database did not do what it was asked to.
    #[error("the database could not {what}")]
    Database {
        /// What it was asked to do.
        what: &'static str,
        /// Whether the same may succeed later.
        transient: bool,
        /// What it said.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// A bound table is not there.
    #[error("table {table:?} of stream {stream:?} is not in the database")]
    NoTable {
        /// The binding's table.
        table: String,
        /// The binding's stream.
        stream: String,
    },
    /// A bound table has no usable primary key.
    #[error("table {table:?} needs a primary key of one column, it has one of {columns}")]
    Key {
        /// The table.
        table: String,
        /// How many columns its primary key has.
        columns: usize,
    },
    /// A binding lists a field that is not there.
    #[error("field {field:?} of stream {stream:?} is not {what}; there are: {known}")]
    UnknownField {
        /// The field.
        field: String,
        /// The binding's stream.
        stream: String,
        /// What it should be.
        what: &'static str,
        /// What there is.
        known: String,
    },
    /// Two bindings have the same stream.
    #[error("two bindings have the stream {stream:?}; a stream belongs to one")]
    StreamTwice {
        /// The stream.
        stream: String,
    },
    /// What records the changes of a table is not installed, or not as the
    /// bindings and the table are now.
    #[error("the triggers of table {table:?} are {state}; run `binding install`")]
    NotInstalled {
        /// The table.
        table: String,
        /// What they are instead.
        state: &'static str,
    },
    /// The name of a feed is not valid.
    #[error("feed {name:?} is not a name of 1 to 20 lower-case letters, digits and '_'")]
    FeedName {
        /// The name.
        name: String,
    },
}

impl BindingError {
    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Database {
                transient: true,
                ..
            }
        )
    }

    pub(crate) fn database(what: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| Self::Database {
            what,
            transient: is_transient(&source),
            source: source.into(),
        }
    }
}

fn is_transient(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::Protocol(_) => true,
        // PostgreSQL: connections, resources, an operator's stop, a conflict.
        // SQLite: busy (5) and locked (6), with whatever stands above the low byte.
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            ["08", "40", "53", "55", "57"].contains(&code.get(..2).unwrap_or("")) && code.len() == 5
                || code
                    .parse()
                    .is_ok_and(|code: u32| matches!(code & 0xff, 5 | 6))
                    && code.len() < 5
        }),
        _ => false,
    }
}
