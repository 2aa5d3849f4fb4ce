//! What only SQLite has: rows put out by other rows, hooks, and a shell.

use std::time::{Duration, Instant};

use serde_json::json;
use towpath_binding::FeedConfig;

use crate::database::Database;
use crate::rig::{Rig, Todos};

#[tokio::test]
async fn a_row_that_another_puts_out_is_told_as_what_it_is() {
    let database = Database::sqlite().await;
    database
        .run("CREATE UNIQUE INDEX place ON todo (list, \"order\")")
        .await;
    let rig = Rig::todos(database).await;
    let client = rig.client("list.home").await;
    let work = rig.client("list.work").await;
    let insert = "INSERT OR REPLACE INTO todo (id, list, title, \"order\") VALUES";
    rig.database
        .run(&format!(
            "{insert} (1, 'home', 'a', 1), (2, 'home', 'b', 2)"
        ))
        .await;
    // By its key: the same row, in another list.
    rig.database
        .run(&format!("{insert} (1, 'work', 'a', 1)"))
        .await;
    // By another unique index: row 2 is gone.
    rig.database
        .run(&format!("{insert} (3, 'home', 'c', 2)"))
        .await;
    // By both.
    rig.database
        .run(&format!("{insert} (1, 'home', 'd', 2)"))
        .await;
    // By an update.
    rig.database
        .run(&format!("{insert} (4, 'home', 'e', 4)"))
        .await;
    rig.database
        .run("UPDATE OR REPLACE todo SET \"order\" = 4 WHERE id = 1")
        .await;
    rig.end().await;
    assert_eq!(
        client.actions().await,
        [
            "create:1", "create:2", "delete:1", "delete:2", "create:3", "delete:3", "create:1",
            "create:4", "delete:4", "update:1",
        ]
    );
    assert_eq!(work.actions().await, ["create:1", "delete:1"]);
    assert_eq!(rig.database.number("SELECT count(*) FROM todo").await, 2);
}

#[tokio::test]
async fn an_upsert_is_an_update_and_what_is_ignored_is_nothing() {
    let rig = Rig::todos(Database::sqlite().await).await;
    let client = rig.client("list.home").await;
    let insert = "INTO todo (id, list, title) VALUES (1, 'home', 'x')";
    rig.database.run(&format!("INSERT {insert}")).await;
    rig.database
        .run(&format!("INSERT OR IGNORE {insert}"))
        .await;
    rig.database
        .run(&format!(
            "INSERT {insert} ON CONFLICT (id) DO UPDATE SET title = 'y'"
        ))
        .await;
    rig.database.run("PRAGMA recursive_triggers = ON; REPLACE INTO todo (id, list, title) VALUES (1, 'home', 'z'); PRAGMA recursive_triggers = OFF").await;
    rig.end().await;
    assert_eq!(
        client.actions().await,
        ["create:1", "update:1", "delete:1", "create:1"]
    );
}

#[tokio::test]
async fn what_does_not_fit_its_column_breaks_no_statement() {
    let rig = Rig::todos(Database::sqlite().await).await;
    let client = rig.client("list.home").await;
    rig.database
        .run(
            "INSERT INTO todo (id, list, title, \"order\") VALUES (1, 'home', X'00FF', 9e999), \
             (2, 'home', 'b', 9223372036854775807)",
        )
        .await;
    rig.end().await;
    let told = client.until_end().await;
    assert_eq!(
        told[0]["data"],
        json!({"title": "\\x00ff", "done": false, "order": null})
    );
    assert_eq!(told[1]["data"]["order"], i64::MAX);
}

#[tokio::test]
async fn a_commit_of_this_process_is_seen_without_a_look() {
    let database = Database::sqlite().await;
    let config = FeedConfig {
        look_interval: Duration::from_secs(5),
        lease: Duration::from_secs(60),
        ..FeedConfig::default()
    };
    let bindings = database.bindings().add(Todos).config(config);
    let mut rig = Rig::installed(database, &bindings).await;
    rig.start(&bindings).await;
    let client = rig.client("list.home").await;
    rig.database
        .run("INSERT INTO todo (id, list, title) VALUES (1, 'home', 'a')")
        .await;
    assert_eq!(client.payload().await["pk"], 1);
    let mut worst = Duration::ZERO;
    for _ in 0..20 {
        let written = Instant::now();
        rig.database.run("UPDATE todo SET done = NOT done").await;
        assert_eq!(client.payload().await["action"], "update");
        worst = worst.max(written.elapsed());
    }
    assert!(worst < Duration::from_secs(2), "{worst:?}");
}

#[tokio::test]
async fn a_table_with_many_columns_is_recorded_whole() {
    let database = Database::sqlite().await;
    let more: Vec<String> = (0..130)
        .map(|n| format!("ALTER TABLE todo ADD COLUMN c{n} INTEGER DEFAULT {n}"))
        .collect();
    database.run(&more.join(";")).await;
    let bindings = database.bindings().add(crate::install::Loose::<9>);
    let mut rig = Rig::installed(database, &bindings).await;
    rig.start(&bindings).await;
    let client = rig.client("list.home").await;
    rig.database
        .shell("INSERT INTO todo (list, title) VALUES ('home', 'a')");
    let data = client.payload().await["data"].take();
    assert_eq!((&data["c0"], &data["c129"]), (&json!(0), &json!(129)));
}
