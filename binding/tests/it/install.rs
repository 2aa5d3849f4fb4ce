//! What is installed, noticed when it no longer fits, and removed.

use serde_json::Value;
use towpath_binding::{Action, Binding, BindingError, Fields};
use towpath_worker::{Context, Result};

use crate::database::Database;
use crate::on_both;
use crate::rig::{Rig, Todos};

on_both!(
    installing_twice_changes_nothing,
    what_is_removed_leaves_nothing_and_no_trigger,
    bindings_that_are_not_installed_do_not_start,
    a_new_column_is_noticed_and_installed,
    the_sql_is_what_is_installed,
    a_field_that_is_no_column_is_refused,
    a_table_that_is_not_there_is_refused,
    two_bindings_do_not_share_a_stream,
    a_table_that_is_no_longer_bound_is_left_alone,
);

pub(crate) struct Loose<const CASE: u8>;

impl<const CASE: u8> Binding for Loose<CASE> {
    type Model = Value;
    type Identity = Context;
    const TABLE: &'static str = match CASE {
        1 => "nowhere",
        3 => "note",
        _ => "todo",
    };
    const STREAM: &'static str = if CASE == 2 { "todos" } else { "loose" };
    const FIELDS: Fields = match CASE {
        0 => Fields::AllBut(&["secert"]),
        _ => Fields::All,
    };

    fn group_names(&self, row: &Value) -> Vec<String> {
        vec![format!("list.{}", row["list"].as_str().unwrap_or("none"))]
    }

    async fn subscribe(&self, _: &Context) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    async fn has_permission(&self, _: &Context, _: Action, _: Option<&Value>) -> bool {
        true
    }
}

async fn objects(database: &Database) -> i64 {
    database
        .number(if database.is_sqlite() {
            "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'towpath%'"
        } else {
            "SELECT (SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'towpath%') \
             + (SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'towpath%')"
        })
        .await
}

async fn installing_twice_changes_nothing(database: Database) {
    let bindings = database.bindings().add(Todos);
    bindings.install().await.unwrap();
    let before = objects(&database).await;
    assert!(before > 0);
    database
        .run("INSERT INTO todo (id, list, title) VALUES (1, 'home', 'a')")
        .await;
    bindings.install().await.unwrap();
    assert_eq!(objects(&database).await, before);
    assert_eq!(database.waiting().await, 1);
    bindings.check().await.unwrap();
}

async fn what_is_removed_leaves_nothing_and_no_trigger(database: Database) {
    let bindings = database.bindings().add(Todos);
    bindings.install().await.unwrap();
    bindings.remove().await.unwrap();
    bindings.remove().await.unwrap();
    assert_eq!(objects(&database).await, 0);
    database
        .run("INSERT INTO todo (list, title) VALUES ('home', 'a')")
        .await;
    bindings.install().await.unwrap();
    bindings.check().await.unwrap();
}

async fn bindings_that_are_not_installed_do_not_start(database: Database) {
    let bindings = database.bindings().add(Todos);
    let error = bindings.check().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the triggers of table \"todo\" are not installed; run `binding install`"
    );
}

async fn a_new_column_is_noticed_and_installed(database: Database) {
    let bindings = database.bindings().add(Loose::<9>);
    let mut rig = Rig::installed(database, &bindings).await;
    rig.database
        .run("ALTER TABLE todo ADD COLUMN colour TEXT")
        .await;
    if rig.database.is_sqlite() {
        let error = bindings.check().await.unwrap_err();
        assert!(error.to_string().contains("for other columns"), "{error}");
    }
    bindings.install().await.unwrap();
    rig.start(&bindings).await;
    let client = rig.client("list.home").await;
    rig.database
        .run("INSERT INTO todo (list, title, colour) VALUES ('home', 'a', 'red')")
        .await;
    assert_eq!(client.payload().await["data"]["colour"], "red");
}

async fn the_sql_is_what_is_installed(database: Database) {
    let bindings = database.bindings().add(Todos);
    for statement in bindings.sql().await.unwrap() {
        database.run(&statement).await;
    }
    bindings.check().await.unwrap();
}

async fn a_field_that_is_no_column_is_refused(database: Database) {
    let error = database
        .bindings()
        .add(Loose::<0>)
        .install()
        .await
        .unwrap_err();
    assert!(
        matches!(error, BindingError::UnknownField { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("\"secert\""), "{error}");
    assert!(
        error
            .to_string()
            .contains("id, list, title, done, order, secret"),
        "{error}"
    );
}

async fn a_table_that_is_not_there_is_refused(database: Database) {
    let error = database
        .bindings()
        .add(Loose::<1>)
        .install()
        .await
        .unwrap_err();
    assert!(matches!(error, BindingError::NoTable { .. }), "{error}");
}

async fn two_bindings_do_not_share_a_stream(database: Database) {
    let bindings = database.bindings().add(Todos).add(Loose::<2>);
    let error = bindings.install().await.unwrap_err();
    assert!(matches!(error, BindingError::StreamTwice { .. }), "{error}");
}

async fn a_table_that_is_no_longer_bound_is_left_alone(database: Database) {
    database
        .bindings()
        .add(Todos)
        .add(Loose::<3>)
        .install()
        .await
        .unwrap();
    database.bindings().add(Todos).install().await.unwrap();
    let key = "b4a1c0de-0000-4000-8000-00000000cafe";
    database
        .run(&format!("INSERT INTO note (key) VALUES ('{key}')"))
        .await;
    assert_eq!(database.waiting().await, 0);
}
