//! What an operator types, and what wrong input gets.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::Value;
use towpath_testkit::redis::RedisServer;

use crate::chat::{Person, Socket};
use crate::process::{Process, run, stdout_of};

#[tokio::test]
async fn a_wrong_key_is_refused_with_file_line_and_code_64() -> Result<()> {
    let file = tempfile::NamedTempFile::with_suffix(".toml")?;
    std::fs::write(
        file.path(),
        "[server]\nlisten = \"127.0.0.1:0\"\nping_intervall = \"5s\"\n",
    )?;
    let path = file.path().display().to_string();
    let output = run(&["serve", "--config", &path]).await?;
    ensure!(output.status.code() == Some(64), "{output:?}");
    let said = String::from_utf8(output.stderr)?;
    ensure!(
        said.contains(&format!("{path}:3")) && said.contains("ping_intervall"),
        "{said}"
    );
    Ok(())
}

#[tokio::test]
async fn half_a_deployment_on_memory_is_refused() -> Result<()> {
    for command in ["interface", "worker"] {
        let output = run(&[command, "--layer", "memory"]).await?;
        ensure!(output.status.code() == Some(64), "{output:?}");
        let said = String::from_utf8(output.stderr)?;
        ensure!(said.contains("memory"), "{said}");
    }
    Ok(())
}

#[tokio::test]
async fn the_layer_is_seen_and_used_from_the_command_line() -> Result<()> {
    let redis = RedisServer::launch().await?;
    let url = redis.url();
    let layer = ["--layer", url.as_str()];
    let process = Process::start(&[&["serve", "--listen", "127.0.0.1:0"], &layer[..]].concat())?;
    let address = process.address().await?;
    let mut ada = Person::enter(&address, "cli", "Ada").await?;
    ada.say("hello").await?;
    ada.hear("message").await?;

    let groups: Value = serde_json::from_str(
        &stdout_of(&[&["layer", "groups", "--json"], &layer[..]].concat()).await?,
    )?;
    let group = groups[0].as_str().unwrap_or_default().to_owned();
    ensure!(
        groups.as_array().is_some_and(|all| all.len() == 1),
        "{groups}"
    );
    let members =
        stdout_of(&[&["layer", "members", &group, "--json"], &layer[..]].concat()).await?;
    let members: Value = serde_json::from_str(&members)?;
    ensure!(
        members.as_array().is_some_and(|all| all.len() == 1),
        "{members}"
    );

    let mut room = Socket::connect(&address, "/room/cli").await?;
    stdout_of(
        &[
            &[
                "layer",
                "group-send",
                &group,
                r#"{"type":"message","name":"op","text":"hi"}"#,
            ],
            &layer[..],
        ]
        .concat(),
    )
    .await?;
    let heard = ada.hear("message").await?;
    ensure!(heard["name"] == "op" && heard["text"] == "hi", "{heard}");
    room.quiet().await?;

    // Receivers count off what they took twice a second.
    let counted = async {
        loop {
            let stats = stdout_of(&[&["layer", "stats", "--json"], &layer[..]].concat()).await?;
            let stats: Value = serde_json::from_str(&stats)?;
            if stats["total"]["sent"].as_u64() >= Some(3) {
                return Ok::<_, anyhow::Error>(stats);
            }
        }
    };
    let stats = tokio::time::timeout(Duration::from_secs(30), counted).await??;
    ensure!(stats["lost"] == 0, "{stats}");

    stdout_of(&[&["layer", "flush"], &layer[..]].concat()).await?;
    let groups = stdout_of(&[&["layer", "groups", "--json"], &layer[..]].concat()).await?;
    ensure!(groups.trim() == "[]", "{groups}");
    Ok(())
}

#[tokio::test]
async fn a_wrong_name_or_wrong_json_is_refused_with_the_reason() -> Result<()> {
    let redis = RedisServer::launch().await?;
    let url = redis.url();
    for (arguments, reason) in [
        (["layer", "send", "no spaces", "{}"], "\"no spaces\""),
        (["layer", "send", "jobs.run", "{"], "JSON"),
        (["layer", "group-send", "a/b", "{}"], "\"a/b\""),
    ] {
        let output = run(&[&arguments[..], &["--layer", &url]].concat()).await?;
        ensure!(!output.status.success(), "{output:?}");
        let said = String::from_utf8(output.stderr)?;
        ensure!(said.contains(reason), "{said}");
    }
    Ok(())
}
