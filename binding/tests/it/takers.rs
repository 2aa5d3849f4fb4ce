//! One process takes the changes; when it goes, another does.

use std::time::Duration;

use towpath_binding::FeedConfig;

use crate::database::Database;
use crate::on_both;
use crate::rig::{Client, Rig, Todos};

on_both!(
    of_two_takers_one_publishes,
    who_stops_hands_over_and_nothing_is_missed_or_doubled,
    who_dies_is_followed_and_nothing_is_missed,
    what_was_rolled_back_takes_no_room,
    what_nobody_takes_is_kept_up_to_the_bound,
    a_change_waits_for_its_taker,
);

fn config() -> FeedConfig {
    FeedConfig {
        standby_interval: Duration::from_millis(50),
        lease: Duration::from_secs(1),
        batch_rows_max: 50,
        changes_per_second_max: 2000,
        ..FeedConfig::default()
    }
}

async fn two_takers(database: Database) -> (Rig, Client) {
    let bindings = database.bindings().add(Todos).config(config());
    let mut rig = Rig::installed(database, &bindings).await;
    rig.start(&bindings).await;
    rig.start(&bindings).await;
    let client = rig.client("list.home").await;
    (rig, client)
}

async fn insert(rig: &Rig, from: i64, to: i64) {
    rig.database
        .run(&format!(
            "WITH RECURSIVE n(i) AS (SELECT {from} UNION ALL SELECT i + 1 FROM n WHERE i < {to}) \
             INSERT INTO todo (id, list, title) SELECT i, 'home', 'x' FROM n"
        ))
        .await;
}

fn creates(from: i64, to: i64) -> Vec<String> {
    (from..=to).map(|id| format!("create:{id}")).collect()
}

async fn of_two_takers_one_publishes(database: Database) {
    let (rig, client) = two_takers(database).await;
    insert(&rig, 1, 300).await;
    rig.end().await;
    assert_eq!(client.actions().await, creates(1, 300));
    client.nothing();
}

async fn who_stops_hands_over_and_nothing_is_missed_or_doubled(database: Database) {
    let (mut rig, client) = two_takers(database).await;
    insert(&rig, 1, 600).await;
    // In the middle of a batch.
    for id in 1..=120 {
        assert_eq!(client.payload().await["pk"], id);
    }
    rig.stop().await;
    rig.end().await;
    assert_eq!(client.actions().await, creates(121, 600));
}

async fn who_dies_is_followed_and_nothing_is_missed(database: Database) {
    let (mut rig, client) = two_takers(database).await;
    insert(&rig, 1, 600).await;
    for id in 1..=120 {
        assert_eq!(client.payload().await["pk"], id);
    }
    rig.abort().await;
    rig.end().await;
    let rest = client.actions().await;
    // What was sent and not noted is sent again: less than a batch, in order.
    let mut seen = 120;
    let mut again = 0;
    for action in &rest {
        let id: i64 = action.strip_prefix("create:").unwrap().parse().unwrap();
        assert!(id <= seen + 1, "{action} after {seen}");
        again += i64::from(id <= seen);
        seen = seen.max(id);
    }
    assert_eq!(seen, 600);
    assert!(again <= 50, "{again} were repeated");
}

async fn a_change_waits_for_its_taker(database: Database) {
    let bindings = database.bindings().add(Todos);
    let mut rig = Rig::installed(database, &bindings).await;
    let client = rig.client("list.home").await;
    insert(&rig, 1, 20).await;
    assert_eq!(rig.database.waiting().await, 20);
    rig.start(&bindings).await;
    rig.end().await;
    assert_eq!(client.actions().await, creates(1, 20));
}

async fn what_was_rolled_back_takes_no_room(database: Database) {
    let config = FeedConfig {
        kept_rows_max: 100,
        ..config()
    };
    let bindings = database.bindings().add(Todos).config(config);
    let mut rig = Rig::installed(database, &bindings).await;
    let client = rig.client("list.home").await;
    insert(&rig, 1, 10).await;
    let many = "INSERT INTO todo (id, list, title, done) \
                SELECT n, 'home', 'x', false FROM numbers WHERE n > 10";
    rig.database
        .run(&format!(
            "CREATE TABLE numbers (n integer); \
             INSERT INTO numbers WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r \
             WHERE n < 300) SELECT n FROM r; BEGIN; {many}; ROLLBACK"
        ))
        .await;
    insert(&rig, 11, 12).await;
    insert(&rig, 13, 13).await;
    rig.start(&bindings).await;
    rig.end().await;
    assert_eq!(client.actions().await, creates(1, 13));
}

async fn what_nobody_takes_is_kept_up_to_the_bound(database: Database) {
    let config = FeedConfig {
        kept_rows_max: 100,
        ..config()
    };
    let bindings = database.bindings().add(Todos).config(config);
    let mut rig = Rig::installed(database, &bindings).await;
    let client = rig.client("list.home").await;
    for id in 1..=250 {
        insert(&rig, id, id).await;
    }
    let waiting = rig.database.waiting().await;
    assert!((1..=100).contains(&waiting), "{waiting} wait");
    rig.start(&bindings).await;
    rig.end().await;
    let told = client.actions().await;
    assert_eq!(told.last().unwrap(), "create:250");
    assert!(told.len() <= 100, "{} were told", told.len());
}
