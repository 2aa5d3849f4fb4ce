//! What only PostgreSQL has: restarts, roles, `TRUNCATE`, schemas.

use crate::database::Database;
use crate::rig::{Client, Rig};

const ROWS: i64 = 10_000;

async fn ten_thousand() -> (Rig, Client) {
    let rig = Rig::todos(Database::postgres().await).await;
    let client = rig.client("list.home").await;
    rig.database
        .run("INSERT INTO todo (id, list, title) SELECT i, 'home', 'x' FROM generate_series(1, 10000) i")
        .await;
    for id in 1..=700 {
        assert_eq!(client.payload().await["pk"], id);
    }
    (rig, client)
}

/// The rest comes, each once.
async fn rest(rig: &Rig, client: &Client) {
    rig.end().await;
    let told = client.actions().await;
    let expected: Vec<String> = (701..=ROWS).map(|id| format!("create:{id}")).collect();
    assert!(
        told == expected,
        "{} came instead of {}",
        told.len(),
        expected.len()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_in_the_middle_loses_nothing_and_repeats_nothing() {
    let (rig, client) = Box::pin(ten_thousand()).await;
    rig.database.server().stop().await.unwrap();
    rig.database.server().start().await.unwrap();
    rest(&rig, &client).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_in_the_middle_loses_nothing_and_repeats_nothing() {
    let (rig, client) = Box::pin(ten_thousand()).await;
    rig.database.server().kill().await.unwrap();
    rig.database.server().start().await.unwrap();
    rest(&rig, &client).await;
}

#[tokio::test]
async fn truncate_deletes_every_row() {
    let rig = Rig::todos(Database::postgres().await).await;
    let client = rig.client("list.home").await;
    rig.database
        .run("INSERT INTO todo (id, list, title) VALUES (1, 'home', 'a'), (2, 'home', 'b')")
        .await;
    rig.database
        .run(
            "BEGIN; INSERT INTO todo (id, list, title) VALUES (3, 'home', 'c'); TRUNCATE todo; \
             ALTER TABLE todo ADD COLUMN more text; TRUNCATE todo; \
             INSERT INTO todo (id, list, title) VALUES (4, 'home', 'd'); COMMIT",
        )
        .await;
    rig.end().await;
    let told = client.actions().await;
    let expected = [
        "create:1", "create:2", "create:3", "delete:1", "delete:2", "delete:3", "create:4",
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn a_role_that_may_only_write_the_table_is_seen() {
    let rig = Rig::todos(Database::postgres().await).await;
    let client = rig.client("list.home").await;
    rig.database
        .run("CREATE ROLE clerk; GRANT INSERT ON todo TO clerk")
        .await;
    rig.database.shell(
        "SET ROLE clerk; SET timezone = 'Asia/Tokyo'; \
         INSERT INTO todo (id, list, title) VALUES (1, 'home', 'a')",
    );
    rig.end().await;
    assert_eq!(client.actions().await, ["create:1"]);
}

#[tokio::test]
async fn constraints_made_immediate_keep_the_order() {
    let rig = Rig::todos(Database::postgres().await).await;
    let client = rig.client("list.home").await;
    rig.database
        .run(
            "BEGIN; SET CONSTRAINTS ALL IMMEDIATE; \
             INSERT INTO todo (id, list, title) VALUES (1, 'home', 'a'); \
             INSERT INTO todo (id, list, title) VALUES (2, 'home', 'b'); COMMIT",
        )
        .await;
    rig.end().await;
    assert_eq!(client.actions().await, ["create:1", "create:2"]);
    assert!(
        rig.database
            .number("SELECT count(*) FROM towpath_binding.commits")
            .await
            <= 2
    );
}

#[tokio::test]
async fn what_replication_applies_is_seen() {
    let rig = Rig::todos(Database::postgres().await).await;
    let client = rig.client("list.home").await;
    rig.database.shell(
        "SET session_replication_role = replica; \
         INSERT INTO todo (id, list, title) VALUES (1, 'home', 'a')",
    );
    rig.end().await;
    assert_eq!(client.actions().await, ["create:1"]);
}
