//! The examples as one process each.

use anyhow::Result;

use crate::browser;
use crate::process::Process;

#[tokio::test]
async fn people_chat_with_functions() -> Result<()> {
    let (_process, url) = Process::serve("chat-functions", &[]).await?;
    browser::run("chat-functions", &url, &[]).await
}

#[tokio::test]
async fn people_chat_with_a_struct_and_mute_each_other() -> Result<()> {
    let (_process, url) = Process::serve("chat-struct", &[]).await?;
    browser::run("chat-struct", &url, &[]).await
}

#[tokio::test]
async fn people_play_a_quiz() -> Result<()> {
    let (_process, url) = Process::serve("typed-json", &[]).await?;
    browser::run("typed-json", &url, &[]).await
}

#[tokio::test]
async fn people_talk_and_clap_on_two_streams() -> Result<()> {
    let (_process, url) = Process::serve("two-streams", &[]).await?;
    browser::run("two-streams", &url, &[]).await
}

#[tokio::test]
async fn a_job_is_seen_on_every_page_until_it_is_done() -> Result<()> {
    let (_process, url) = Process::serve("jobs", &[]).await?;
    browser::run("jobs", &url, &["1500000"]).await
}
