//! Clients that were not written here: the npm `ws` package, and Chromium.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::process::Command;
use tokio::time::timeout;

use crate::machine;
use crate::process::Process;

const DEADLINE: Duration = Duration::from_secs(180);

async fn run(script: &str, base: &str) -> Result<()> {
    run_with(script, &[base]).await
}

/// Runs a script of `tests/clients` to its end.
pub async fn run_with(script: &str, arguments: &[&str]) -> Result<()> {
    let clients = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("clients");
    let packages = clients.join("node_modules");
    ensure!(
        packages.exists(),
        "run `npm ci` in tests/clients first (`cargo xtask test` does)"
    );
    let _machine = machine::alone().await;
    let output = Command::new("node")
        .arg(clients.join(script))
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(DEADLINE, output)
        .await
        .context("the client does not end")??;
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    ensure!(
        output.status.success(),
        "{script}: {}\n{out}\n{err}",
        output.status
    );
    ensure!(
        out.trim_end().ends_with("ok"),
        "{script} said no ok:\n{out}\n{err}"
    );
    Ok(())
}

#[tokio::test]
async fn the_ws_package_is_satisfied_with_echo() -> Result<()> {
    let process = Process::start(&["--listen", "127.0.0.1:0"])?;
    let address = process.address().await?;
    run("echo.mjs", &format!("http://{address}"))
        .await
        .with_context(|| process.log())
}

#[tokio::test]
async fn two_pages_talk_in_chromium() -> Result<()> {
    let process = Process::start(&["--listen", "127.0.0.1:0"])?;
    let address = process.address().await?;
    run("chat.mjs", &format!("http://{address}"))
        .await
        .with_context(|| process.log())
}

#[tokio::test]
async fn pages_talk_in_topics_in_chromium() -> Result<()> {
    let process = Process::start(&["--listen", "127.0.0.1:0"])?;
    let address = process.address().await?;
    run("topics.mjs", &format!("http://{address}"))
        .await
        .with_context(|| process.log())
}

#[tokio::test]
async fn the_page_with_the_npm_package_of_phoenix_works_in_chromium() -> Result<()> {
    let example = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples/phoenix-js");
    ensure!(
        example.join("node_modules").exists(),
        "run `npm ci` in examples/phoenix-js first (`cargo xtask test` does)"
    );
    let origins = [("TOWPATH__SERVER__ORIGINS", "//localhost")];
    let process = Process::start_with(&["--listen", "127.0.0.1:0"], &origins)?;
    let address = process.address().await?;
    run("phoenix-example.mjs", &format!("http://{address}"))
        .await
        .with_context(|| process.log())
}
