//! A to-do list in PostgreSQL, an interface server and two workers over Redis.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use towpath_testkit::postgres::PostgresServer;
use towpath_testkit::redis::RedisServer;

use crate::chat::Socket;
use crate::machine;
use crate::process::{CONSUMERS, Process};

const ROWS: u64 = 10_000;

/// The processes of a to-do list.
struct List {
    postgres: PostgresServer,
    address: String,
    workers: Vec<Process>,
    _interface: Process,
    redis: RedisServer,
}

impl List {
    async fn open() -> Result<Self> {
        let redis = RedisServer::launch().await?;
        let postgres = PostgresServer::launch().await?;
        postgres.psql(
            "CREATE TABLE todo (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
             title text NOT NULL CHECK (title <> ''), done boolean NOT NULL DEFAULT false)",
        )?;
        let (layer, database) = (redis.url(), postgres.url("postgres"));
        let variables = [("TODO_DATABASE", database.as_str())];
        let start = |arguments: &[&str]| Process::start_program(CONSUMERS, arguments, &variables);
        let mut install = start(&["binding", "install"])?;
        ensure!(install.exit_code().await? == Some(0), "{}", install.log());
        let interface = start(&["interface", "--layer", &layer, "--listen", "127.0.0.1:0"])?;
        let address = interface.address().await?;
        let mut list = Self {
            address,
            postgres,
            workers: Vec::new(),
            _interface: interface,
            redis,
        };
        // The first takes the changes before the second is there.
        list.add_worker().await?;
        list.workers[0]
            .logged("this process takes the changes of the database")
            .await?;
        list.add_worker().await?;
        Ok(list)
    }

    async fn add_worker(&mut self) -> Result<()> {
        let (layer, database) = (self.redis.url(), self.postgres.url("postgres"));
        let variables = [("TODO_DATABASE", database.as_str())];
        let arguments = ["worker", "--layer", &layer];
        let worker = Process::start_program(CONSUMERS, &arguments, &variables)?;
        worker.logged("the worker receives").await?;
        self.workers.push(worker);
        Ok(())
    }

    async fn client(&self) -> Result<Socket> {
        Socket::connect(&self.address, "/todos").await
    }
}

impl Socket {
    /// The next change: what happened to which row.
    async fn change(&mut self) -> Result<(String, u64, Value)> {
        let message = self.next().await?;
        let mut frame: Value = serde_json::from_str(message.to_text()?)?;
        let payload = frame["payload"].take();
        let action = payload["action"].as_str().context("no action")?.to_owned();
        let pk = payload["pk"].as_u64().context("no pk")?;
        Ok((action, pk, payload["data"].clone()))
    }

    async fn expect_all(
        &mut self,
        action: &str,
        rows: std::ops::RangeInclusive<u64>,
    ) -> Result<()> {
        for row in rows {
            let (done, pk, data) = self.change().await?;
            ensure!(
                done == action && pk == row,
                "{done} {pk} {data}, not {action} {row}"
            );
        }
        Ok(())
    }
}

#[tokio::test]
async fn two_clients_and_the_shell_edit_one_list() -> Result<()> {
    let list = List::open().await?;
    let (mut ada, mut bob) = (list.client().await?, list.client().await?);
    let create = json!({"stream": "todos", "payload":
        {"action": "create", "data": {"title": "row", "done": false}}});
    ada.send(Message::text(create.to_string())).await?;
    for client in [&mut ada, &mut bob] {
        let created = (
            "create".to_owned(),
            1,
            json!({"title": "row", "done": false}),
        );
        ensure!(client.change().await? == created);
    }
    list.postgres.psql("UPDATE todo SET done = true")?;
    list.postgres.psql("DELETE FROM todo")?;
    for client in [&mut ada, &mut bob] {
        let done = json!({"title": "row", "done": true});
        ensure!(client.change().await? == ("update".to_owned(), 1, done.clone()));
        ensure!(client.change().await? == ("delete".to_owned(), 1, done));
    }
    let nameless = json!({"stream": "todos", "payload":
        {"action": "create", "data": {"title": "", "done": false}}});
    ada.send(Message::text(nameless.to_string())).await?;
    let refused = ada.next().await?;
    let refused: Value = serde_json::from_str(refused.to_text()?)?;
    ensure!(
        refused["stream"] == "todos" && refused["error"]["code"] == "rejected",
        "{refused}"
    );
    bob.quiet().await
}

#[tokio::test]
async fn ten_thousand_rows_arrive_in_order_once_while_the_database_restarts() -> Result<()> {
    let _machine = machine::alone().await;
    let list = List::open().await?;
    let (mut ada, mut bob) = (list.client().await?, list.client().await?);
    list.postgres.psql(&format!(
        "INSERT INTO todo (title) SELECT 'row ' || n FROM generate_series(1, {ROWS}) AS n"
    ))?;
    let (first, second) = (
        ada.expect_all("create", 1..=ROWS),
        bob.expect_all("create", 1..=ROWS),
    );
    tokio::try_join!(first, second)?;
    // The update visits the rows in the order of the table, which is that of
    // their keys, for no row has changed yet.
    list.postgres.psql("UPDATE todo SET done = true")?;
    let restarting = async {
        ada.expect_all("update", 1..=100).await?;
        list.postgres.stop().await?;
        list.postgres.start().await?;
        ada.expect_all("update", 101..=ROWS).await
    };
    tokio::try_join!(restarting, bob.expect_all("update", 1..=ROWS))?;
    // Nothing comes twice: the next is what is done next.
    list.postgres.psql("DELETE FROM todo WHERE id = 1")?;
    for client in [&mut ada, &mut bob] {
        client.expect_all("delete", 1..=1).await?;
    }
    Ok(())
}

#[tokio::test]
async fn another_process_takes_over_from_one_that_is_killed() -> Result<()> {
    let mut list = List::open().await?;
    let mut ada = list.client().await?;
    list.postgres
        .psql("INSERT INTO todo (title) VALUES ('before')")?;
    ada.expect_all("create", 1..=1).await?;
    for round in 2..=3 {
        // The workers take over in the order in which they came.
        let taker = list.workers.remove(0);
        taker
            .logged("this process takes the changes of the database")
            .await?;
        taker.kill().await?;
        list.postgres
            .psql("INSERT INTO todo (title) VALUES ('after')")?;
        // What the killed one had published and not noted comes once more.
        while ada.change().await?.1 != round {}
        list.add_worker().await?;
    }
    Ok(())
}
