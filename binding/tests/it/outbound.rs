//! What a change looks like to a client.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use towpath_binding::{Action, Binding, Fields};
use towpath_worker::{Context, Result};

use crate::database::Database;
use crate::on_both;
use crate::rig::Rig;

on_both!(
    a_created_row_is_sent_with_its_key_and_fields,
    an_updated_row_is_sent_with_its_new_fields,
    a_deleted_row_is_sent_with_its_last_fields,
    only_listed_fields_are_sent_and_a_uuid_is_a_string,
    values_reach_the_model_as_they_are,
    names_that_need_quotes_are_bound,
    a_row_that_does_not_fit_the_model_is_passed_over,
);

async fn a_created_row_is_sent_with_its_key_and_fields(database: Database) {
    let rig = Rig::todos(database).await;
    let client = rig.client("list.home").await;
    rig.database
        .run("INSERT INTO todo (id, list, title, secret) VALUES (7, 'home', 'loud', 'x')")
        .await;
    let expected = json!({
        "stream": "todos",
        "payload": {
            "action": "create",
            "pk": 7,
            "data": {"title": "loud", "done": false, "order": null, "shout": "LOUD"},
            "model": "app.todo",
        },
    });
    assert_eq!(client.frame().await, expected);
}

async fn an_updated_row_is_sent_with_its_new_fields(database: Database) {
    let rig = Rig::todos(database).await;
    rig.database
        .run("INSERT INTO todo (id, list, title) VALUES (7, 'home', 'rest')")
        .await;
    rig.client("list.home").await.nothing();
    let client = rig.client("list.home").await;
    rig.database
        .run("UPDATE todo SET done = (1 = 1), \"order\" = 3 WHERE id = 7")
        .await;
    let mut payload = client.payload().await;
    if payload["action"] == "create" {
        payload = client.payload().await;
    }
    assert_eq!(payload["action"], "update");
    assert_eq!(
        payload["data"],
        json!({"title": "rest", "done": true, "order": 3})
    );
}

async fn a_deleted_row_is_sent_with_its_last_fields(database: Database) {
    let rig = Rig::todos(database).await;
    let client = rig.client("list.home").await;
    rig.database
        .run("INSERT INTO todo (id, list, title) VALUES (7, 'home', 'rest')")
        .await;
    assert_eq!(client.payload().await["action"], "create");
    rig.database.run("DELETE FROM todo WHERE id = 7").await;
    let payload = client.payload().await;
    assert_eq!(payload["action"], "delete");
    assert_eq!(payload["pk"], 7);
    assert_eq!(payload["data"]["title"], "rest");
}

#[derive(Serialize, Deserialize)]
struct Note {
    key: String,
    body: Option<Value>,
    data: Option<String>,
    size: Option<f64>,
}

struct Notes<const ALL: bool>;

impl<const ALL: bool> Binding for Notes<ALL> {
    type Model = Note;
    type Identity = Context;
    const TABLE: &'static str = "note";
    const STREAM: &'static str = if ALL { "notes" } else { "sizes" };
    const FIELDS: Fields = if ALL {
        Fields::All
    } else {
        Fields::Only(&["size"])
    };

    fn group_names(&self, _: &Note) -> Vec<String> {
        vec![Self::STREAM.to_owned()]
    }

    async fn subscribe(&self, _: &Context) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    async fn has_permission(&self, _: &Context, _: Action, _: Option<&Value>) -> bool {
        true
    }
}

const KEY: &str = "b4a1c0de-0000-4000-8000-00000000cafe";

async fn notes(database: Database) -> Rig {
    let bindings = database.bindings().add(Notes::<true>).add(Notes::<false>);
    let mut rig = Rig::installed(database, &bindings).await;
    rig.start(&bindings).await;
    rig
}

async fn only_listed_fields_are_sent_and_a_uuid_is_a_string(database: Database) {
    let rig = notes(database).await;
    let client = rig.client("sizes").await;
    rig.database
        .run(&format!(
            "INSERT INTO note (key, size) VALUES ('{KEY}', 1.5)"
        ))
        .await;
    let expected = json!({"action": "create", "pk": KEY, "data": {"size": 1.5}, "model": "note"});
    assert_eq!(client.payload().await, expected);
}

async fn values_reach_the_model_as_they_are(database: Database) {
    let bytes = if database.is_sqlite() {
        "X'00FF'"
    } else {
        "'\\x00ff'"
    };
    let rig = notes(database).await;
    let client = rig.client("notes").await;
    rig.database
        .run(&format!(
            "INSERT INTO note VALUES ('{KEY}', '{{\"a\": [1, null, \"it''s é\"]}}', {bytes}, \
             0.30000000000000004)"
        ))
        .await;
    let data = client.payload().await["data"].take();
    let expected =
        json!({"body": {"a": [1, null, "it's é"]}, "data": "\\x00ff", "size": 0.1 + 0.2});
    assert_eq!(data, expected);
}

#[derive(Serialize, Deserialize)]
struct Odd {
    #[serde(rename = "select é")]
    text: String,
}

struct Odds;

impl Binding for Odds {
    type Model = Odd;
    type Identity = Context;
    const TABLE: &'static str = "odd \"table\" é";
    const STREAM: &'static str = "odd \"stream\"";
    const FIELDS: Fields = Fields::Only(&["select é", "the \"key\""]);

    fn group_names(&self, _: &Odd) -> Vec<String> {
        vec!["odd".to_owned()]
    }

    async fn subscribe(&self, _: &Context) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    async fn has_permission(&self, _: &Context, _: Action, _: Option<&Value>) -> bool {
        true
    }
}

async fn names_that_need_quotes_are_bound(database: Database) {
    let bindings = database.bindings().add(Odds);
    let mut rig = Rig::installed(database, &bindings).await;
    rig.start(&bindings).await;
    let client = rig.client("odd").await;
    rig.database
        .run(r#"INSERT INTO "odd ""table"" é" VALUES (1, 'x')"#)
        .await;
    rig.database
        .run(r#"UPDATE "odd ""table"" é" SET "the ""key""" = 2, "select é" = 'y'"#)
        .await;
    let frame = client.frame().await;
    assert_eq!(frame["stream"], "odd \"stream\"");
    assert_eq!(frame["payload"]["data"], json!({"select é": "x"}));
    // Another key is another row.
    for (action, pk, text) in [("delete", 1, "x"), ("create", 2, "y")] {
        let payload = client.payload().await;
        assert_eq!(
            (&payload["action"], &payload["pk"]),
            (&json!(action), &json!(pk))
        );
        assert_eq!(payload["data"]["select é"], text);
    }
}

struct Strict;

#[derive(Serialize, Deserialize)]
struct Scheduled {
    list: String,
    title: String,
    order: i64,
}

impl Binding for Strict {
    type Model = Scheduled;
    type Identity = Context;
    const TABLE: &'static str = "todo";
    const STREAM: &'static str = "scheduled";
    const FIELDS: Fields = Fields::All;

    fn group_names(&self, row: &Scheduled) -> Vec<String> {
        vec![format!("list.{}", row.list), "no group name".to_owned()]
    }

    async fn subscribe(&self, _: &Context) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    async fn has_permission(&self, _: &Context, _: Action, _: Option<&Value>) -> bool {
        true
    }
}

async fn a_row_that_does_not_fit_the_model_is_passed_over(database: Database) {
    let bindings = database.bindings().add(Strict);
    let mut rig = Rig::installed(database, &bindings).await;
    rig.start(&bindings).await;
    let client = rig.client("list.home").await;
    let insert = "INSERT INTO todo (id, list, title, \"order\") VALUES";
    rig.database
        .run(&format!(
            "{insert} (1, 'home', 'a', NULL), (2, 'home', 'b', 5)"
        ))
        .await;
    let payload = client.payload().await;
    assert_eq!(
        (&payload["pk"], &payload["data"]["order"]),
        (&json!(2), &json!(5))
    );
}
