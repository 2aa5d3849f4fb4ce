//! What clients send becomes changes in the database.

mod request;

use std::fmt;
use std::sync::Arc;

use tokio::sync::OnceCell;
use towpath_worker::{Error, Groups, Json, Result, Websocket, websocket};

use crate::bindings::Database;
use crate::bound::instance;
use crate::change::Row;
use crate::table::Table;
use crate::{Action, Binding, BindingError};
use request::{Incoming, Request};

/// What is written at one time: one row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Write {
    Create(Row),
    Update(serde_json::Value, Row),
    Delete(serde_json::Value),
}

/// Whether a row may stay as it was written; the reason is for the client.
pub(crate) type Check<'a> = &'a (dyn Fn(&Row) -> Result<(), String> + Sync);

/// Why nothing was written.
#[derive(Debug)]
pub(crate) enum WriteError {
    /// No row has that key.
    NoRow,
    /// A value does not fit: the reason is for the client.
    BadValue(String),
    /// A constraint of the table forbids it.
    Constraint,
    /// Anything else.
    Failed(sqlx::Error),
}

impl From<sqlx::Error> for WriteError {
    fn from(error: sqlx::Error) -> Self {
        if let sqlx::Error::Database(database) = &error {
            let code = database.code().unwrap_or_default();
            if database.kind() != sqlx::error::ErrorKind::Other {
                return Self::Constraint;
            }
            // PostgreSQL: data exceptions. SQLite: SQLITE_MISMATCH.
            if (code.len() == 5 && code.starts_with("22")) || code == "20" {
                return Self::BadValue("a value does not fit its column".to_owned());
            }
        }
        Self::Failed(error)
    }
}

impl From<WriteError> for Error {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::NoRow => Self::rejected("there is no row with that pk"),
            WriteError::BadValue(reason) => Self::bad_payload(reason),
            WriteError::Constraint => Self::rejected("a constraint of the table forbids it"),
            WriteError::Failed(error) => Self::from(error),
        }
    }
}

/// The inbound half of one binding.
struct Inbound<B> {
    binding: Arc<B>,
    database: Database,
    /// Looked up at the first frame.
    table: OnceCell<Table>,
}

impl<B> fmt::Debug for Inbound<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbound").finish_non_exhaustive()
    }
}

/// The consumers of a binding's stream.
pub(crate) fn consumers<B: Binding>(binding: Arc<B>, database: Database) -> Websocket {
    let inbound = Arc::new(Inbound {
        binding,
        database,
        table: OnceCell::new(),
    });
    let receiving = Arc::clone(&inbound);
    websocket()
        .connect(move |identity: B::Identity, groups: Groups| {
            let inbound = Arc::clone(&inbound);
            async move { inbound.connect(&identity, &groups).await }
        })
        .receive(
            move |identity: B::Identity, Json(incoming): Json<Incoming>| {
                let inbound = Arc::clone(&receiving);
                async move { inbound.receive(&identity, incoming).await }
            },
        )
}

impl<B: Binding> Inbound<B> {
    async fn connect(&self, identity: &B::Identity, groups: &Groups) -> Result {
        for group in self.binding.subscribe(identity).await? {
            groups.add(group).await?;
        }
        Ok(())
    }

    async fn receive(&self, identity: &B::Identity, incoming: Incoming) -> Result {
        let request = Request::new(incoming).map_err(Error::bad_payload)?;
        let table = self.table().await?;
        request.check_key::<B>(table).map_err(Error::bad_payload)?;
        let (action, pk) = (request.action, request.pk.as_ref());
        if !self.binding.has_permission(identity, action, pk).await {
            return Err(Error::rejected(format!("you may not {action} this")));
        }
        let set = self.binding.set_by_server(identity, action);
        let write = request.write::<B>(table, set).map_err(Error::bad_payload)?;
        let check = |row: &Row| match action {
            Action::Delete => Ok(()),
            Action::Create | Action::Update => instance::<B>(row)
                .map(drop)
                .map_err(|misfit| misfit.to_string()),
        };
        self.database.write(table, &write, &check).await?;
        Ok(())
    }

    async fn table(&self) -> Result<&Table> {
        let table = self.table.get_or_try_init(|| async {
            let table = self.database.describe(B::TABLE).await?;
            table.ok_or_else(|| BindingError::NoTable {
                table: B::TABLE.to_owned(),
                stream: B::STREAM.to_owned(),
            })
        });
        Ok(table.await?)
    }
}

impl Database {
    async fn write(
        &self,
        table: &Table,
        write: &Write,
        check: Check<'_>,
    ) -> Result<(), WriteError> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(pool, _) => {
                Box::pin(crate::sqlite::write(pool, table, write, check)).await
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(pool) => {
                Box::pin(crate::postgres::write(pool, table, write, check)).await
            }
        }
    }
}
