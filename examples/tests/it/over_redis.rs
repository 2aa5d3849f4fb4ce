//! Examples as processes of their own for sockets and consumers, over a real Redis.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use towpath_testkit::redis::RedisServer;

use crate::browser::{self, Script};
use crate::process::{Process, program, stdout_of};

async fn interface(example: &str, redis: &str) -> Result<(Process, String)> {
    let arguments = ["interface", "--layer", redis, "--listen", "127.0.0.1:0"];
    let mut process = Process::start(example, &arguments, Path::new("."))?;
    let url = process.url().await?;
    Ok((process, url))
}

async fn worker(example: &str, redis: &str) -> Result<Process> {
    let mut process = Process::start(example, &["worker", "--layer", redis], Path::new("."))?;
    process.logged("the worker receives").await?;
    Ok(process)
}

#[tokio::test]
async fn what_a_struct_remembers_is_the_same_in_every_worker() -> Result<()> {
    let redis = RedisServer::launch().await?;
    let (_interface, url) = interface("chat-struct", &redis.url()).await?;
    let _one = worker("chat-struct", &redis.url()).await?;
    let _other = worker("chat-struct", &redis.url()).await?;
    browser::run("chat-struct", &url, &[]).await
}

#[tokio::test]
async fn a_job_goes_on_where_its_worker_was_stopped() -> Result<()> {
    let redis = RedisServer::launch().await?;
    let (_interface, url) = interface("jobs", &redis.url()).await?;
    let mut first = worker("jobs", &redis.url()).await?;
    let mut script = Script::start("jobs", &url, &["2000000"]).await?;
    script.done("a job begins").await?;
    first.signal(libc::SIGTERM);
    first.ended().await?;
    let _second = worker("jobs", &redis.url()).await?;
    script.done("ok").await
}

#[tokio::test]
async fn a_job_goes_on_where_its_worker_was_killed() -> Result<()> {
    let redis = RedisServer::launch().await?;
    let (_interface, url) = interface("jobs", &redis.url()).await?;
    let mut first = worker("jobs", &redis.url()).await?;
    let mut script = Script::start("jobs", &url, &["2000000"]).await?;
    script.done("a job begins").await?;
    freeze_within_a_step(&first, &redis.url()).await?;
    first.signal(libc::SIGKILL);
    first.ended().await?;
    let _second = worker("jobs", &redis.url()).await?;
    script.done("ok").await
}

/// Stops the worker where it stands, at a moment when the step it is in waits to be sent again.
async fn freeze_within_a_step(worker: &Process, redis: &str) -> Result<()> {
    for _ in 0..100 {
        worker.signal(libc::SIGSTOP);
        let arguments = ["layer", "stats", "--json", "--layer", redis];
        let stats: Value = serde_json::from_str(&stdout_of(program("jobs"), &arguments).await?)?;
        let delayed = stats.get("delayed").and_then(Value::as_u64);
        if delayed.context("the statistics count what is delayed")? > 0 {
            return Ok(());
        }
        worker.signal(libc::SIGCONT);
    }
    bail!("the worker is never within a step")
}
