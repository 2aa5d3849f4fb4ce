//! A to-do list in PostgreSQL, if there is one.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use towpath::binding::sqlx::PgPool;
use towpath::prelude::*;

/// A row.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Todo {
    id: i64,
    title: String,
    done: bool,
}

struct Todos;

impl Binding for Todos {
    type Model = Todo;
    type Identity = Context;
    const TABLE: &'static str = "todo";
    const STREAM: &'static str = "todos";
    const FIELDS: Fields = Fields::All;

    fn group_names(&self, _: &Todo) -> Vec<String> {
        vec!["todos".to_owned()]
    }

    async fn subscribe(&self, _: &Context) -> Result<Vec<String>> {
        Ok(vec!["todos".to_owned()])
    }

    async fn has_permission(&self, _: &Context, _: Action, _: Option<&Value>) -> bool {
        true
    }
}

/// Binds the list of the database at `TODO_DATABASE`, if that is set.
pub(crate) async fn open(app: App) -> Result<App> {
    let Some(url) =
        std::env::vars().find_map(|(name, url)| (name == "TODO_DATABASE").then_some(url))
    else {
        return Ok(app);
    };
    let bindings = Bindings::postgres(PgPool::connect_lazy(&url)?).add(Todos);
    let streams = bindings.demultiplexer();
    Ok(app.bind(bindings).route("/todos", streams))
}
