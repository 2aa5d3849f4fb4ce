//! What an operator types at a layer that others use.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use towpath_testkit::redis::RedisServer;

use super::Scene;
use crate::process::{run_with, stdout_of};

/// The command fails and says this.
async fn refused(arguments: &[&str], variables: &[(&str, &str)], said: &str) -> Result<()> {
    let output = run_with(arguments, variables).await?;
    let stderr = String::from_utf8(output.stderr)?;
    let shown: Vec<String> = arguments
        .iter()
        .map(|argument| argument.chars().take(40).collect())
        .collect();
    ensure!(!output.status.success(), "{shown:?}");
    ensure!(output.stdout.is_empty(), "{shown:?}");
    ensure!(
        stderr.contains(said),
        "{shown:?}: no {said:?} in:\n{stderr}"
    );
    Ok(())
}

async fn sent(url: &str, channel: &str) -> Result<u64> {
    let stats = stdout_of(&["layer", "stats", "--json", "--layer", url]).await?;
    let stats: Value = serde_json::from_str(&stats)?;
    let sent = &stats["channels"][channel]["sent"];
    Ok(sent.as_u64().unwrap_or(0))
}

#[tokio::test]
async fn a_malformed_name_is_shown_with_the_rule_and_nothing_is_sent() -> Result<()> {
    let redis = RedisServer::launch().await?;
    let url = redis.url();
    let mut scene = Scene::start_on(&url, &[]).await?;
    let rule = "every part of a name is one or more of ASCII letters, digits, '-', '_' and '.'";
    let long = "x".repeat(100);
    for name in [
        "no spaces",
        "a/b",
        "ü",
        "a\nb",
        "a!",
        "!a",
        "a!b!c",
        "a?b!c",
        "a*",
    ] {
        refused(&["layer", "send", name, "{}", "--layer", &url], &[], rule).await?;
    }
    for command in ["group-send", "members"] {
        for name in ["no spaces", "a/b", "chat.quiet!", "chat?quiet"] {
            let arguments = ["layer", command, name, "{}", "--layer", &url];
            let arguments: Vec<&str> = match command {
                "members" => [&arguments[..3], &arguments[4..]].concat(),
                _ => arguments.to_vec(),
            };
            refused(&arguments, &[], rule).await?;
        }
    }
    let length = "a name has 1 to 99 characters, this has";
    for name in ["", &long] {
        refused(&["layer", "send", name, "{}", "--layer", &url], &[], length).await?;
    }
    scene.untouched().await
}

#[tokio::test]
async fn a_message_too_large_is_refused_with_both_sizes() -> Result<()> {
    let redis = RedisServer::launch().await?;
    let url = redis.url();
    let limits = [
        ("TOWPATH__LAYERS__DEFAULT__MESSAGE_SIZE_MAX", "65536"),
        ("TOWPATH__SERVER__MESSAGE_SIZE_MAX", "65536"),
        ("TOWPATH__SERVER__FRAME_SIZE_MAX", "65536"),
    ];
    let mut scene = Scene::start_on(&url, &limits).await?;
    let large = json!({"type": "message", "name": "op", "text": "x".repeat(70_000)}).to_string();
    let said = format!(
        "the message has {} bytes, at most 65536 are carried",
        large.len()
    );
    let send = ["layer", "group-send", "chat.quiet", &large, "--layer", &url];
    refused(&send, &limits, &said).await?;
    let send = ["layer", "send", "jobs.run", &large, "--layer", &url];
    refused(&send, &limits, "bytes, at most 65536 are carried").await?;
    ensure!(sent(&url, "jobs.run").await? == 0);
    let send = ["layer", "send", "jobs.run", "{}", "--layer", &url];
    stdout_of(&send).await?;
    ensure!(sent(&url, "jobs.run").await? == 1);
    scene.untouched().await
}

#[tokio::test]
async fn content_that_a_consumer_cannot_read_is_logged_and_the_worker_goes_on() -> Result<()> {
    let redis = RedisServer::launch().await?;
    let url = redis.url();
    let mut scene = Scene::start_on(&url, &[]).await?;
    let good = |text: &str| json!({"group": "chat.quiet", "name": "op", "text": text}).to_string();
    for (content, said) in [
        ("{}".to_owned(), "missing field `group`"),
        ("7".to_owned(), "invalid type: integer `7`"),
        (good("x").replace("chat.quiet", "no/group"), "no/group"),
    ] {
        stdout_of(&["layer", "send", "demo.shout", &content, "--layer", &url]).await?;
        scene.process.logged_text(said).await?;
        scene.untouched().await?;
    }
    for channel in [
        "websocket.connect",
        "websocket.receive",
        "websocket.disconnect",
    ] {
        stdout_of(&["layer", "send", channel, "{}", "--layer", &url]).await?;
        let said = format!("no route takes it\",\"channel\":\"{channel}\"");
        scene.process.logged_text(&said).await?;
        scene.untouched().await?;
    }
    let shout = good("still here");
    stdout_of(&["layer", "send", "demo.shout", &shout, "--layer", &url]).await?;
    let heard = scene.ada.next().await.context("no shout")?;
    ensure!(heard["text"] == "STILL HERE", "{heard}");
    Ok(())
}

#[tokio::test]
async fn a_worker_that_would_take_nothing_is_refused() -> Result<()> {
    let redis = RedisServer::launch().await?;
    let url = redis.url();
    for (flag, said) in [
        (
            ["--only", "nothing.*"],
            "the worker has no channel to receive from",
        ),
        (
            ["--only", "a b"],
            r#"holds "a b", but no channel's name has ' '"#,
        ),
        (
            ["--exclude", "*"],
            "the worker has no channel to receive from",
        ),
    ] {
        let worker = [&["worker", "--layer", &url], &flag[..]].concat();
        refused(&worker, &[], said).await?;
    }
    Ok(())
}
