//! A layer that is out of reach for a while.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use towpath_layer_core::{Limits, SystemClock, SystemEntropy};
use towpath_layer_redis::{RedisLayer, RedisOptions};
use towpath_testkit::redis::RedisServer;

use crate::database::Database;
use crate::rig::{Rig, Todos};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_wait_for_a_layer_that_is_out_of_reach() {
    let server = RedisServer::launch().await.unwrap();
    let limits = Limits {
        lease: Duration::from_secs(2),
        ..Limits::default()
    };
    let layer = RedisLayer::connect(
        RedisOptions::new(server.url()),
        limits.clone(),
        Arc::new(SystemClock::new()),
        Arc::new(SystemEntropy),
    );
    let layer = layer.await.unwrap();
    let database = Database::sqlite().await;
    let bindings = database.bindings().add(Todos);
    bindings.install().await.unwrap();
    let mut rig = Rig::on(database, layer, &limits).await;
    rig.start(&bindings).await;
    let client = rig.client("list.home").await;
    rig.database
        .run("INSERT INTO todo (id, list, title) VALUES (0, 'home', 'x')")
        .await;
    assert_eq!(client.payload().await["pk"], 0);
    // Whether it was told is known once it waits no more: else it is told again.
    let told = async {
        while rig.database.waiting().await > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(20), told).await.unwrap();
    server.kill().await.unwrap();
    for id in 1..=500 {
        let row = format!("INSERT INTO todo (id, list, title) VALUES ({id}, 'home', 'x')");
        rig.database.run(&row).await;
    }
    server.start().await.unwrap();
    rig.end().await;
    let told = client.actions().await;
    let expected: Vec<String> = (1..=500).map(|id| format!("create:{id}")).collect();
    assert_eq!(told, expected);
}
