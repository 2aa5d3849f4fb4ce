//! What an operator tells those who joined a topic.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use towpath_testkit::redis::RedisServer;

use crate::chat::Socket;
use crate::process::{Process, run, stdout_of};

const TOPICS: &str = env!("CARGO_BIN_EXE_towpath-test-topics");

/// A client in a topic of the demonstration.
async fn join(address: &str, topic: &str) -> Result<Socket> {
    let mut socket = Socket::connect(address, "/socket/websocket?vsn=2.0.0").await?;
    let join = json!(["1", "1", topic, "phx_join", {}]);
    socket.say(&join.to_string()).await?;
    let joined = format!(r#"["1","1","{topic}","phx_reply",{{"status":"ok","response":{{}}}}]"#);
    socket.hears(&joined).await?;
    Ok(socket)
}

#[tokio::test]
async fn a_broadcast_from_the_command_line_reaches_those_who_joined() -> Result<()> {
    let redis = RedisServer::launch().await?;
    let url = redis.url();
    let process = Process::start(&["serve", "--listen", "127.0.0.1:0", "--layer", &url])?;
    let address = process.address().await?;
    let mut ada = join(&address, "bench:é 1").await?;
    let mut bob = join(&address, "bench:2").await?;
    let broadcast = |topic, payload| {
        [
            "topic",
            "broadcast",
            topic,
            "news",
            payload,
            "--layer",
            &url,
        ]
    };

    let told = stdout_of(&broadcast("bench:é 1", r#"{"b": 1, "a": [2]}"#)).await?;
    // A Redis that has just started is not certain of its members.
    ensure!(
        told.starts_with("delivered to 1 of 1 nodes with members"),
        "{told}"
    );
    ada.hears(r#"[null,null,"bench:é 1","news",{"b": 1, "a": [2]}]"#)
        .await?;
    let told = stdout_of(&[&broadcast("bench:2", "{}")[..], &["--json"]].concat()).await?;
    let told: Value = serde_json::from_str(&told)?;
    ensure!(
        told["nodes"] == 1 && told["delivered"] == 1 && told["dropped"] == 0,
        "{told}"
    );
    ensure!(told["certain"].is_boolean(), "{told}");
    bob.hears(r#"[null,null,"bench:2","news",{}]"#).await?;
    Ok(())
}

#[tokio::test]
async fn sockets_of_an_id_are_ended_from_the_command_line() -> Result<()> {
    let redis = RedisServer::launch().await?;
    let url = redis.url();
    let process =
        Process::start_program(TOPICS, &["--listen", "127.0.0.1:0", "--layer", &url], &[])?;
    let address = process.address().await?;
    let path = |user| format!("/socket/websocket?vsn=2.0.0&user={user}");
    let mut ada = Socket::connect(&address, &path("ada")).await?;
    let mut bob = Socket::connect(&address, &path("bob")).await?;
    let disconnect = |id| ["topic", "disconnect", id, "--layer", &url];
    for (id, expected) in [
        ("users:eve", "delivered to 0 of 0"),
        ("users:ada", "delivered to 1 of 1"),
    ] {
        let told = stdout_of(&disconnect(id)).await?;
        ensure!(told.starts_with(expected), "{told}");
    }
    let (code, _) = ada.close_frame().await?;
    ensure!(code == 1001, "closed with {code}");
    bob.say(r#"[null,"1","phoenix","heartbeat",{}]"#).await?;
    bob.hears(r#"[null,"1","phoenix","phx_reply",{"status":"ok","response":{}}]"#)
        .await
}

#[tokio::test]
async fn what_is_broadcast_is_printed_until_a_signal_comes() -> Result<()> {
    let redis = RedisServer::launch().await?;
    let url = redis.url();
    let process = Process::start(&["serve", "--listen", "127.0.0.1:0", "--layer", &url])?;
    let address = process.address().await?;
    let topics = ["bench:1", "bench:é 2"];
    let subscribe = ["topic", "subscribe", topics[0], topics[1], "--layer", &url];
    let mut people = Process::start(&subscribe)?;
    let programs = Process::start(&[&subscribe[..], &["--json"]].concat())?;
    for listener in [&people, &programs] {
        listener
            .logged_text("subscribed to bench:1, bench:é 2")
            .await?;
    }
    let mut ada = join(&address, "bench:1").await?;
    ada.say(r#"["1","2","bench:1","shout",{"a":"x\ny"}]"#)
        .await?;
    people.logged_text(r#"bench:1 shout {"a":"x\ny"}"#).await?;
    programs
        .logged_text(r#"{"event":"shout","payload":{"a":"x\ny"},"topic":"bench:1"}"#)
        .await?;
    let broadcast = ["topic", "broadcast", topics[1], "news", "{}"];
    stdout_of(&[&broadcast[..], &["--layer", &url]].concat()).await?;
    people.logged_text("bench:é 2 news {}").await?;
    people.signal(libc::SIGINT);
    ensure!(people.exit_code().await? == Some(0));
    Ok(())
}

#[tokio::test]
async fn names_of_the_protocol_and_what_is_no_object_are_refused_with_the_reason() -> Result<()> {
    let redis = RedisServer::launch().await?;
    let url = redis.url();
    for (arguments, reason) in [
        (
            &["broadcast", "phoenix", "news", "{}"][..],
            "\"phoenix\" is the protocol's own",
        ),
        (
            &["broadcast", "room:1", "phx_join", "{}"],
            "\"phx_join\" is the protocol's own",
        ),
        (&["broadcast", "room:1", "news", "[1]"], "not [1]"),
        (&["broadcast", "room:1", "news", "{"], "\"{\" is not JSON"),
        (
            &["disconnect", "phoenix"],
            "\"phoenix\" is the protocol's own",
        ),
    ] {
        let output = run(&[&["topic"], arguments, &["--layer", &url]].concat()).await?;
        ensure!(output.status.code() == Some(1), "{output:?}");
        let said = String::from_utf8(output.stderr)?;
        ensure!(said.contains(reason) && output.stdout.is_empty(), "{said}");
    }
    Ok(())
}
