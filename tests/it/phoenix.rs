//! The unmodified npm client of Phoenix, raw clients, and the project's own
//! client, as the suites in `tests/phoenix` have them.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::process::Command;
use tokio::time::timeout;
use towpath_testkit::redis::RedisServer;

use crate::machine;
use crate::process::Process;

const TOPICS: &str = env!("CARGO_BIN_EXE_towpath-test-topics");
const DEADLINE: Duration = Duration::from_secs(300);

/// The suites for which one node is enough.
const ONE_NODE: &[&str] = &[
    "binary",
    "disconnect",
    "errors",
    "fallback",
    "handshake",
    "idle",
    "joins",
    "limits",
    "longpoll",
    "messages",
    "one-type",
    "origin-patterns",
    "origins",
    "presence",
    "reconnect",
    "resume",
    "subprotocols",
    "tokens",
    "towpath-client",
    "towpath-plain",
    "towpath-presence",
    "towpath-resume",
    "two-nodes",
];
/// Those that say more when there are two.
const TWO_NODES: &[&str] = &[
    "binary",
    "disconnect",
    "fallback",
    "handshake",
    "joins",
    "limits",
    "longpoll",
    "messages",
    "one-type",
    "presence",
    "reconnect",
    "resume",
    "towpath-client",
    "towpath-plain",
    "towpath-presence",
    "towpath-resume",
    "two-nodes",
];
/// Pages come from another origin.
const PAGES: &[&str] = &["browser", "browser-presence"];

/// Runs suites to their end.
async fn run(suites: &[&str], variables: &[(&str, &str)]) -> Result<()> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("phoenix");
    ensure!(
        folder.join("node_modules").exists(),
        "run `npm ci` in tests/phoenix first (`cargo xtask test` does)"
    );
    let _machine = machine::alone().await;
    let files = suites
        .iter()
        .map(|suite| format!("suites/{suite}.test.mjs"));
    let output = Command::new("node")
        .args(["--test", "--test-force-exit", "--test-concurrency=2"])
        .args(["--test-reporter=tap", "--test-timeout=120000"])
        .args(files)
        .current_dir(folder)
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(DEADLINE, output)
        .await
        .context("the suites do not end")??;
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    ensure!(output.status.success(), "{}{err}", failures(&out));
    Ok(())
}

/// What went wrong, out of everything that was reported.
fn failures(report: &str) -> String {
    let mut failed = false;
    let mut lines = String::new();
    for line in report.lines() {
        let text = line.trim_start();
        failed = (failed || text.starts_with("not ok")) && !text.starts_with("ok ");
        if failed && !text.starts_with("# Subtest") {
            lines.push_str(line);
            lines.push('\n');
        }
    }
    if lines.is_empty() {
        return report.to_owned();
    }
    lines
}

async fn node(arguments: &[&str]) -> Result<(Process, String)> {
    let listen = ["--listen", "127.0.0.1:0"];
    let process = Process::start_program(TOPICS, &[&listen, arguments].concat(), &[])?;
    let address = process.address().await?;
    Ok((process, format!("http://{address}")))
}

#[tokio::test]
async fn the_suites_are_content_with_one_node() -> Result<()> {
    let (process, url) = node(&[]).await?;
    run(ONE_NODE, &[("TOWPATH_URL", &url)])
        .await
        .with_context(|| process.log())
}

#[tokio::test]
async fn the_suites_are_content_with_two_nodes_on_redis() -> Result<()> {
    let redis = RedisServer::launch().await?;
    let layer = ["--layer", &redis.url()];
    let (first, first_url) = node(&layer).await?;
    let (_second, second_url) = node(&layer).await?;
    let variables = [("TOWPATH_URL", &*first_url), ("TOWPATH_URL_2", &second_url)];
    run(TWO_NODES, &variables)
        .await
        .with_context(|| first.log())
}

#[tokio::test]
async fn both_clients_work_in_chromium_on_a_page_of_another_origin() -> Result<()> {
    let (process, url) = node(&[]).await?;
    run(PAGES, &[("TOWPATH_URL", &url)])
        .await
        .with_context(|| process.log())
}

#[tokio::test]
async fn clients_of_a_server_that_stops_are_closed_with_1012() -> Result<()> {
    let (mut process, url) = node(&[]).await?;
    let variables = [("TOWPATH_URL", &*url), ("TOWPATH_DRAIN_URL", &url)];
    run(&["drain"], &variables)
        .await
        .with_context(|| process.log())?;
    ensure!(process.exit_code().await? == Some(0), "{}", process.log());
    Ok(())
}
