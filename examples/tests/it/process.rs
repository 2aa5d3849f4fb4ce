//! Starts examples as processes and reads their logs.

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long a process may take for anything that is asked of it.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Lines that wait until they are looked at; what is beyond that is let go.
const LINES_MAX: usize = 10_000;

/// The program of an example.
pub fn program(example: &str) -> &'static str {
    match example {
        "chat-functions" => env!("CARGO_BIN_EXE_chat-functions"),
        "chat-struct" => env!("CARGO_BIN_EXE_chat-struct"),
        "typed-json" => env!("CARGO_BIN_EXE_typed-json"),
        "two-streams" => env!("CARGO_BIN_EXE_two-streams"),
        "jobs" => env!("CARGO_BIN_EXE_jobs"),
        "todo" => env!("CARGO_BIN_EXE_todo"),
        other => panic!("there is no example {other:?}"),
    }
}

/// A running example; killed when dropped.
pub struct Process {
    child: Child,
    lines: mpsc::Receiver<String>,
    _reader: JoinSet<()>,
}

impl Process {
    /// Starts an example as one process, on a free port and in a directory; returns its URL, too.
    pub async fn serve(example: &str, directory: &Path) -> Result<(Self, String)> {
        let mut process = Self::start(example, &["--listen", "127.0.0.1:0"], directory)?;
        let url = process.url().await?;
        Ok((process, url))
    }

    /// Starts an example with arguments, in a directory.
    pub fn start(example: &str, arguments: &[&str], directory: &Path) -> Result<Self> {
        let mut child = Command::new(program(example))
            .args(arguments)
            .env("TOWPATH__OPERATOR__LISTEN", "127.0.0.1:0")
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stderr = child.stderr.take().context("no standard error")?;
        let (log, lines) = mpsc::channel(LINES_MAX);
        let mut reader = JoinSet::new();
        reader.spawn(async move {
            let mut reader = BufReader::new(stderr).lines();
            while let Ok(Some(line)) = reader.next_line().await {
                let _beyond = log.try_send(line);
            }
        });
        Ok(Self { child, lines, _reader: reader })
    }

    /// Waits until the process serves sockets; returns the URL of its page.
    pub async fn url(&mut self) -> Result<String> {
        let fields = self.logged("listening").await?;
        let address = fields.get("address").and_then(Value::as_str);
        Ok(format!("http://{}", address.context("no address")?))
    }

    /// Waits for a log line with `message` and returns its fields.
    pub async fn logged(&mut self, message: &str) -> Result<Value> {
        let mut seen = String::new();
        let wait = async {
            while let Some(line) = self.lines.recv().await {
                let mut entry: Value = serde_json::from_str(&line).unwrap_or_default();
                seen.push_str(&line);
                seen.push('\n');
                let fields = entry.get_mut("fields").map(Value::take).unwrap_or_default();
                if fields.get("message").is_some_and(|it| it == message) {
                    return Some(fields);
                }
            }
            None
        };
        let found = timeout(PATIENCE, wait).await.ok().flatten();
        found.with_context(|| format!("no {message:?} in:\n{seen}"))
    }

    /// Sends a signal.
    pub fn signal(&self, signal: i32) {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok());
        #[expect(unsafe_code, reason = "the standard library sends no signal but KILL")]
        // SAFETY: `kill` takes two numbers and touches no memory of ours.
        let result = unsafe { libc::kill(id.unwrap(), signal) };
        assert_eq!(result, 0, "cannot signal {id:?}");
    }

    /// Waits for the end of the process.
    pub async fn ended(&mut self) -> Result<()> {
        let ended = timeout(PATIENCE, self.child.wait()).await;
        ended.context("the process does not end")??;
        Ok(())
    }
}

/// Runs a command to its end; returns what it printed.
pub async fn stdout_of(program: &str, arguments: &[&str]) -> Result<String> {
    let command =
        Command::new(program).args(arguments).stdin(Stdio::null()).kill_on_drop(true).output();
    let Output { status, stdout, stderr } = timeout(PATIENCE, command)
        .await
        .context("the command does not end")?
        .with_context(|| format!("{program} does not start"))?;
    let stderr = String::from_utf8_lossy(&stderr);
    ensure!(status.success(), "{program} {arguments:?}: {status}: {stderr}");
    Ok(String::from_utf8(stdout)?)
}
