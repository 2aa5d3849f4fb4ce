//! Who is told of a change.

use serde_json::json;

use crate::database::Database;
use crate::on_both;
use crate::rig::Rig;

on_both!(
    a_row_that_moves_goes_from_one_audience_and_comes_to_another,
    who_no_longer_sees_a_row_is_not_shown_what_it_became,
    a_client_hears_only_of_its_own_groups,
);

async fn a_row_that_moves_goes_from_one_audience_and_comes_to_another(database: Database) {
    let rig = Rig::todos(database).await;
    rig.database
        .run("INSERT INTO todo (id, list, title) VALUES (1, 'home', 'rest')")
        .await;
    let home = rig.client("list.home").await;
    let work = rig.client("list.work").await;
    let all = rig.client("all").await;
    rig.database
        .run("UPDATE todo SET list = 'work' WHERE id = 1")
        .await;
    rig.end().await;
    let moved = |actions: Vec<String>| actions.last().unwrap().clone();
    assert_eq!(moved(home.actions().await), "delete:1");
    assert_eq!(work.actions().await, ["create:1"]);
    let told = all.actions().await;
    assert_eq!(told.last().unwrap(), "update:1");
}

async fn who_no_longer_sees_a_row_is_not_shown_what_it_became(database: Database) {
    let rig = Rig::todos(database).await;
    let home = rig.client("list.home").await;
    rig.database
        .run("INSERT INTO todo (id, list, title) VALUES (1, 'home', 'ours')")
        .await;
    rig.database
        .run("UPDATE todo SET list = 'work', title = 'theirs' WHERE id = 1")
        .await;
    rig.end().await;
    let told = home.until_end().await;
    assert_eq!(told[1]["action"], "delete");
    assert_eq!(
        told[1]["data"],
        json!({"title": "ours", "done": false, "order": null})
    );
}

async fn a_client_hears_only_of_its_own_groups(database: Database) {
    let rig = Rig::todos(database).await;
    let home = rig.client("list.home").await;
    rig.database
        .run("INSERT INTO todo (id, list, title) VALUES (1, 'work', 'a'), (2, 'home', 'b')")
        .await;
    rig.database.run("DELETE FROM todo WHERE id = 1").await;
    rig.end().await;
    assert_eq!(home.actions().await, ["create:2"]);
}
