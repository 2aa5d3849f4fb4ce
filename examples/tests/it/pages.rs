//! The examples as one process each.

use std::path::Path;

use anyhow::{Context as _, Result};

use crate::browser;
use crate::process::Process;

#[tokio::test]
async fn people_chat_with_functions() -> Result<()> {
    let (_process, url) = Process::serve("chat-functions", Path::new(".")).await?;
    browser::run("chat-functions", &url, &[]).await
}

#[tokio::test]
async fn people_chat_with_a_struct_and_mute_each_other() -> Result<()> {
    let (_process, url) = Process::serve("chat-struct", Path::new(".")).await?;
    browser::run("chat-struct", &url, &[]).await
}

#[tokio::test]
async fn people_play_a_quiz() -> Result<()> {
    let (_process, url) = Process::serve("typed-json", Path::new(".")).await?;
    browser::run("typed-json", &url, &[]).await
}

#[tokio::test]
async fn people_talk_and_clap_on_two_streams() -> Result<()> {
    let (_process, url) = Process::serve("two-streams", Path::new(".")).await?;
    browser::run("two-streams", &url, &[]).await
}

#[tokio::test]
async fn a_job_is_seen_on_every_page_until_it_is_done() -> Result<()> {
    let (_process, url) = Process::serve("jobs", Path::new(".")).await?;
    browser::run("jobs", &url, &["1500000"]).await
}

#[tokio::test]
async fn a_list_is_edited_in_two_pages_and_in_the_shell_of_its_database() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let (_process, url) = Process::serve("todo", directory.path()).await?;
    let database = directory.path().join("todo.db");
    browser::run("todo", &url, &[database.to_str().context("a path in UTF-8")?]).await
}
