//! A to-do list in SQLite: whoever changes it, every page sees it.

use std::process::ExitCode;

use axum::{response::Html, routing::get};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::sqlite::{SqlitePool, SqlitePoolOptions};
use towpath::binding::Wake;
use towpath::prelude::*;

const PAGE: &str = concat!(include_str!("../head.html"), include_str!("page.html"));

#[derive(Serialize, Deserialize, sqlx::FromRow)]
struct Todo {
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

async fn list(pool: State<SqlitePool>, socket: Socket) -> Result {
    let todos: Vec<Todo> =
        sqlx::query_as("SELECT * FROM todo ORDER BY id").fetch_all(&*pool).await?;
    socket.json(&todos).await
}

async fn open(app: App) -> Result<App> {
    let wake = Wake::new();
    let pool = wake.watch_pool(SqlitePoolOptions::new()).connect("sqlite:todo.db?mode=rwc").await?;
    sqlx::raw_sql(include_str!("schema.sql")).execute(&pool).await?;
    let bindings = Bindings::sqlite(pool.clone()).wake(wake).add(Todos);
    bindings.install().await?;
    let streams = bindings.demultiplexer().stream("list", websocket().connect(list));
    Ok(app.state(pool).bind(bindings).route("/todos", streams))
}

fn main() -> ExitCode {
    App::new().setup(open).http(axum::Router::new().route("/", get(async || Html(PAGE)))).run()
}
