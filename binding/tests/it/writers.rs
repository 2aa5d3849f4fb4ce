//! Whoever writes is seen, once and in order; what is rolled back is not.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::database::Database;
use crate::on_both;
use crate::rig::Rig;

on_both!(
    the_database_s_own_shell_is_seen,
    ten_thousand_rows_of_one_statement_arrive_in_order_once,
    what_is_rolled_back_is_not_sent,
    what_was_published_is_removed,
    what_another_trigger_writes_is_the_last_word,
);

const ROWS: i64 = 10_000;

/// Inserts many rows by one statement.
fn many(rows: i64) -> String {
    format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) \
         INSERT INTO todo (id, list, title, \"order\") SELECT i, 'home', 'x', 0 FROM n"
    )
}

async fn the_database_s_own_shell_is_seen(database: Database) {
    let rig = Rig::todos(database).await;
    let client = rig.client("list.home").await;
    rig.database
        .shell("INSERT INTO todo (id, list, title) VALUES (1, 'home', 'by hand')");
    assert_eq!(client.payload().await["data"]["title"], "by hand");
    let written = Instant::now();
    rig.database
        .shell("UPDATE todo SET title = 'again' WHERE id = 1; DELETE FROM todo");
    assert_eq!(client.payload().await["action"], "update");
    assert_eq!(client.payload().await["action"], "delete");
    assert!(
        written.elapsed() < Duration::from_secs(2),
        "{:?}",
        written.elapsed()
    );
}

async fn ten_thousand_rows_of_one_statement_arrive_in_order_once(database: Database) {
    let rig = Rig::todos(database).await;
    rig.database.run(&many(ROWS)).await;
    let client = rig.client("list.home").await;
    rig.database.run("UPDATE todo SET \"order\" = id").await;
    rig.end().await;
    let told = client.until_end().await;
    let updates: Vec<&Value> = told.iter().filter(|it| it["action"] == "update").collect();
    let keys: Vec<i64> = updates
        .iter()
        .map(|it| it["pk"].as_i64().unwrap())
        .collect();
    assert!(keys.iter().copied().eq(1..=ROWS), "{} updates", keys.len());
    assert!(updates.iter().all(|it| it["data"]["order"] == it["pk"]));
}

async fn what_is_rolled_back_is_not_sent(database: Database) {
    let rig = Rig::todos(database).await;
    let client = rig.client("list.home").await;
    let insert = "INSERT INTO todo (id, list, title) VALUES";
    rig.database
        .run(&format!(
            "BEGIN; {insert} (1, 'home', 'a'); ROLLBACK; SELECT 1"
        ))
        .await;
    rig.database
        .run(&format!(
            "BEGIN; SAVEPOINT one; {insert} (2, 'home', 'b'); ROLLBACK TO one; \
             {insert} (3, 'home', 'c'); SAVEPOINT two; {insert} (4, 'home', 'd'); \
             ROLLBACK TO two; {insert} (5, 'home', 'e'); COMMIT"
        ))
        .await;
    rig.database
        .try_run(&format!("{insert} (6, 'home', 'f'), (3, 'home', 'twice')"))
        .await
        .unwrap_err();
    rig.end().await;
    assert_eq!(client.actions().await, ["create:3", "create:5"]);
}

async fn what_was_published_is_removed(database: Database) {
    let mut rig = Rig::todos(database).await;
    let client = rig.client("list.home").await;
    rig.database.run(&many(1000)).await;
    rig.database.run("UPDATE todo SET done = (1 = 1)").await;
    rig.end().await;
    assert_eq!(client.until_end().await.len(), 2000);
    rig.stop().await;
    assert_eq!(rig.database.waiting().await, 0);
}

async fn what_another_trigger_writes_is_the_last_word(database: Database) {
    let rig = Rig::todos(database).await;
    let count = "UPDATE todo SET \"order\" = coalesce(\"order\", 0) + 1 WHERE id = NEW.id;";
    let triggers = match rig.database.is_sqlite() {
        true => format!(
            "CREATE TRIGGER audit AFTER UPDATE OF title ON todo BEGIN {count} END; \
             CREATE TRIGGER audit_new AFTER INSERT ON todo BEGIN {count} END; \
             CREATE TRIGGER audit_end AFTER UPDATE OF done ON todo \
             BEGIN DELETE FROM todo WHERE id = NEW.id; END"
        ),
        false => format!(
            "CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {count} RETURN NULL; END $$; \
             CREATE FUNCTION audit_end() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN DELETE FROM todo WHERE id = NEW.id; RETURN NULL; END $$; \
             CREATE TRIGGER audit AFTER INSERT OR UPDATE OF title ON todo \
             FOR EACH ROW EXECUTE FUNCTION audit(); \
             CREATE TRIGGER audit_end AFTER UPDATE OF done ON todo \
             FOR EACH ROW EXECUTE FUNCTION audit_end()"
        ),
    };
    rig.database.run(&triggers).await;
    let client = rig.client("list.home").await;
    rig.database
        .run("INSERT INTO todo (id, list, title) VALUES (1, 'home', 'a'), (2, 'home', 'b')")
        .await;
    rig.database
        .run("UPDATE todo SET title = 'c' WHERE id = 1")
        .await;
    rig.database
        .run("UPDATE todo SET done = (1 = 1) WHERE id = 2")
        .await;
    rig.end().await;
    let told = client.until_end().await;
    let last = |pk| told.iter().rev().find(|it| it["pk"] == pk).unwrap();
    assert_eq!(
        (&last(1)["data"]["title"], &last(1)["data"]["order"]),
        (&Value::from("c"), &Value::from(2)),
        "{told:?}"
    );
    assert_eq!(last(2)["action"], "delete", "{told:?}");
}
