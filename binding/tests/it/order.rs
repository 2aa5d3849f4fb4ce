//! PostgreSQL: the order of commits, whatever the order of writes.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Executor as _};
use tokio::task::JoinSet;

use crate::database::Database;
use crate::rig::Rig;

#[tokio::test]
async fn who_commits_first_comes_first_whoever_wrote_first() {
    let rig = Rig::todos(Database::postgres().await).await;
    let client = rig.client("list.home").await;
    let pool = rig.database.postgres_pool();
    let mut early = pool.begin().await.unwrap();
    early
        .execute("INSERT INTO todo (id, list, title) VALUES (1, 'home', 'a')")
        .await
        .unwrap();
    let mut late = pool.begin().await.unwrap();
    late.execute("INSERT INTO todo (id, list, title) VALUES (2, 'home', 'b')")
        .await
        .unwrap();
    late.commit().await.unwrap();
    assert_eq!(client.payload().await["pk"], 2);
    early
        .execute("INSERT INTO todo (id, list, title) VALUES (3, 'home', 'c')")
        .await
        .unwrap();
    early.commit().await.unwrap();
    rig.end().await;
    assert_eq!(client.actions().await, ["create:1", "create:3"]);
}

/// Each of many transactions counts one row up and writes others; the values of
/// that row say in which order they committed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_transactions_are_published_in_the_order_of_their_commits() {
    const TASKS: i64 = 6;
    const EACH: i64 = 60;
    let rig = Rig::todos(Database::postgres().await).await;
    rig.database
        .run("INSERT INTO todo (id, list, title, \"order\") VALUES (0, 'home', 'count', 0)")
        .await;
    let client = rig.client("list.home").await;
    let mut tasks = JoinSet::new();
    for task in 1..=TASKS {
        let pool = rig.database.postgres_pool().clone();
        tasks.spawn(async move {
            for turn in 0..EACH {
                let id = task * 1000 + turn;
                let mut transaction = pool.begin().await.unwrap();
                let write = format!(
                    "INSERT INTO todo (id, list, title) VALUES ({id}, 'other', 'x'); \
                     SELECT pg_sleep(random() * 0.004); \
                     UPDATE todo SET \"order\" = \"order\" + 1 WHERE id = 0"
                );
                sqlx::raw_sql(AssertSqlSafe(write))
                    .execute(&mut *transaction)
                    .await
                    .unwrap();
                transaction.commit().await.unwrap();
            }
        });
    }
    tokio::time::timeout(Duration::from_secs(60), tasks.join_all())
        .await
        .unwrap();
    rig.end().await;
    let told = client.until_end().await;
    let updates = told.iter().filter(|it| it["action"] == "update");
    let counts: Vec<i64> = updates
        .map(|it| it["data"]["order"].as_i64().unwrap())
        .collect();
    assert!(counts.iter().copied().eq(1..=TASKS * EACH), "{counts:?}");
}
