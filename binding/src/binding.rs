//! What a binding says.

use std::fmt;
use std::future::Future;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use towpath_worker::{FromContext, Result};

use crate::Fields;

/// What happens to a row, or to a client's view of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It is there from now on.
    Create,
    /// It has changed.
    Update,
    /// It is gone.
    Delete,
}

impl Action {
    /// As in frames: `create`, `update`, `delete`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A table whose rows clients see change, and may change.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use serde_json::Value;
/// use towpath_binding::{Action, Binding, Fields};
/// use towpath_worker::{Context, Result};
///
/// #[derive(Serialize, Deserialize)]
/// struct Todo {
///     id: i64,
///     list: String,
///     title: String,
///     done: bool,
/// }
///
/// struct Todos;
///
/// impl Binding for Todos {
///     type Model = Todo;
///     type Identity = Context;
///     const TABLE: &'static str = "todo";
///     const STREAM: &'static str = "todos";
///     const FIELDS: Fields = Fields::All;
///
///     fn group_names(&self, todo: &Todo) -> Vec<String> {
///         vec![format!("list.{}", todo.list)]
///     }
///
///     async fn subscribe(&self, context: &Context) -> Result<Vec<String>> {
///         let list = context.param("list").unwrap_or("inbox");
///         Ok(vec![format!("list.{list}")])
///     }
///
///     async fn has_permission(&self, _: &Context, action: Action, _: Option<&Value>) -> bool {
///         action != Action::Delete
///     }
/// }
/// ```
pub trait Binding: Send + Sync + 'static {
    /// A row. Its fields are named as the columns are (`#[serde(rename)]` for
    /// those that are no Rust names); columns that it does not name are not
    /// recorded. It has to fit every row: a column that may be NULL is an
    /// `Option`.
    type Model: Serialize + DeserializeOwned + Send + Sync + 'static;

    /// Who a client is, in the eyes of this binding: any extractor.
    type Identity: FromContext + Send + Sync;

    /// The table, as the database writes its name; on PostgreSQL with its
    /// schema in front (`shop.todo`) if it is not on the search path.
    const TABLE: &'static str;

    /// The demultiplexer's stream that carries the frames.
    const STREAM: &'static str;

    /// Which fields are sent, and may be set by clients.
    const FIELDS: Fields;

    /// What clients know the model as; the table's name if nothing else is said.
    const MODEL: &'static str = Self::TABLE;

    /// The groups that may see a row. It decides from the row alone: it is
    /// asked about rows that are gone, too. A name that is no group name is
    /// left out, logged and counted.
    fn group_names(&self, instance: &Self::Model) -> Vec<String>;

    /// Values that are computed for sending, beside the fields.
    fn members(&self, instance: &Self::Model) -> Vec<(&'static str, Value)> {
        let _ = instance;
        Vec::new()
    }

    /// What the server itself writes when a client creates or updates a row: its
    /// owner, its room. These need not be among the fields; they replace what
    /// the client sent.
    fn set_by_server(
        &self,
        identity: &Self::Identity,
        action: Action,
    ) -> Vec<(&'static str, Value)> {
        let _ = (identity, action);
        Vec::new()
    }

    /// The groups that a client joins when it connects.
    ///
    /// # Errors
    ///
    /// Whatever refuses the connection.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when the event's deadline passes.
    fn subscribe(
        &self,
        identity: &Self::Identity,
    ) -> impl Future<Output = Result<Vec<String>>> + Send;

    /// Whether a client may do this; `pk` is what it said, and nothing at
    /// create. Asked before the fields are looked at.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when the event's deadline passes.
    fn has_permission(
        &self,
        identity: &Self::Identity,
        action: Action,
        pk: Option<&Value>,
    ) -> impl Future<Output = bool> + Send;
}
