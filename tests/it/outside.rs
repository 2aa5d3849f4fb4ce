//! Programs without Rust use the layer over HTTP, beside real processes and Redis.

use anyhow::{Context, Result, ensure};
use towpath_testkit::redis::RedisServer;

use crate::browser::run_with;
use crate::process::{Process, run_with as command, stdout_of};

const TOKEN: &str = "a-token-of-the-end-to-end-tests";

const INTERFACE: [(&str, &str); 2] = [
    ("TOWPATH__API__LISTEN", "127.0.0.1:0"),
    ("TOWPATH__API__TOKENS", TOKEN),
];

/// Where a process serves the layer.
async fn layer_url(process: &Process) -> Result<String> {
    let fields = process
        .logged("the layer's HTTP interface listening")
        .await?;
    let address = fields["address"].as_str().context("no address")?;
    Ok(format!("http://{address}"))
}

#[tokio::test]
async fn a_program_without_rust_sends_receives_and_tells_groups() -> Result<()> {
    let redis = RedisServer::launch().await?;
    let url = redis.url();
    let interface = Process::start(&["interface", "--layer", &url, "--listen", "127.0.0.1:0"])?;
    let mut worker = Process::start_with(&["worker", "--layer", &url], &INTERFACE)?;
    worker.logged("the worker receives").await?;
    let base = format!("http://{}", interface.address().await?);
    let layer = layer_url(&worker).await?;
    run_with("outside.mjs", &[&base, &layer, TOKEN])
        .await
        .with_context(|| worker.log())?;
    ensure!(!worker.log().contains(TOKEN), "{}", worker.log());
    worker.signal(libc::SIGTERM);
    ensure!(worker.exit_code().await? == Some(0), "{}", worker.log());
    Ok(())
}

#[tokio::test]
async fn a_worker_without_rust_serves_sockets() -> Result<()> {
    let redis = RedisServer::launch().await?;
    let url = redis.url();
    let arguments = ["interface", "--layer", &url, "--listen", "127.0.0.1:0"];
    let interface = Process::start_with(&arguments, &INTERFACE)?;
    let base = format!("http://{}", interface.address().await?);
    let layer = layer_url(&interface).await?;
    run_with("outside-worker.mjs", &[&base, &layer, TOKEN])
        .await
        .with_context(|| interface.log())?;
    let stats = stdout_of(&["layer", "stats", "--json", "--layer", &url]).await?;
    ensure!(stats.contains("\"lost\": 0"), "{stats}");
    Ok(())
}

#[tokio::test]
async fn an_interface_without_a_token_does_not_start() -> Result<()> {
    let listen = [("TOWPATH__API__LISTEN", "127.0.0.1:0")];
    let output = command(&["serve", "--listen", "127.0.0.1:0"], &listen).await?;
    ensure!(output.status.code() == Some(64), "{output:?}");
    let said = String::from_utf8(output.stderr)?;
    ensure!(
        said.contains("api.tokens") && said.contains("openssl"),
        "{said}"
    );
    Ok(())
}
