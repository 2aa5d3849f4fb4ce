//! Starts `towpath` processes as an operator does, and watches their logs.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long a process may take for anything that is asked of it.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The application with every kind of consumer.
pub const CONSUMERS: &str = env!("CARGO_BIN_EXE_towpath-test-consumers");

/// The binary under test, built beside this test.
pub fn binary() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let target = test.parent().and_then(|deps| deps.parent()).unwrap();
    let binary = target.join("towpath");
    assert!(
        binary.exists(),
        "no {}: run `cargo build -p towpath` first",
        binary.display()
    );
    binary
}

/// Runs a command of the binary to its end.
pub async fn run(arguments: &[&str]) -> Result<Output> {
    run_with(arguments, &[]).await
}

/// The same with variables in its environment.
pub async fn run_with(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Output> {
    let command = Command::new(binary())
        .args(arguments)
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output();
    timeout(PATIENCE, command)
        .await
        .context("the command does not end")?
        .context("cannot start")
}

/// Runs a command that must succeed; returns what it printed.
pub async fn stdout_of(arguments: &[&str]) -> Result<String> {
    let output = run(arguments).await?;
    if !output.status.success() {
        bail!(
            "{arguments:?}: {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// A running process; killed when dropped.
pub struct Process {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    lines: watch::Receiver<usize>,
    _readers: JoinSet<()>,
}

impl Process {
    /// Starts the binary with `arguments`.
    pub fn start(arguments: &[&str]) -> Result<Self> {
        Self::start_with(arguments, &[])
    }

    /// The same with variables in its environment.
    pub fn start_with(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Self> {
        Self::start_program(binary(), arguments, variables)
    }

    /// Starts another program with the same command line.
    pub fn start_program(
        program: impl AsRef<OsStr>,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Result<Self> {
        let mut child = Command::new(program)
            .args(arguments)
            .env("TOWPATH__OPERATOR__LISTEN", "127.0.0.1:0")
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = child.stdout.take().context("no standard output")?;
        let stderr = child.stderr.take().context("no standard error")?;
        let log = Arc::new(Mutex::new(Vec::new()));
        let (count, lines) = watch::channel(0);
        let mut readers = JoinSet::new();
        readers.spawn(read(stdout, Arc::clone(&log), count.clone()));
        readers.spawn(read(stderr, Arc::clone(&log), count));
        Ok(Self {
            child,
            log,
            lines,
            _readers: readers,
        })
    }

    /// Waits for a log line with `message` and returns its fields.
    pub async fn logged(&self, message: &str) -> Result<Value> {
        self.line(|line| fields(line, message))
            .await
            .with_context(|| format!("waiting for {message:?} in:\n{}", self.log()))
    }

    /// Waits for a log line that holds this text.
    pub async fn logged_text(&self, text: &str) -> Result<()> {
        self.line(|line| line.contains(text).then_some(()))
            .await
            .with_context(|| format!("waiting for {text:?} in:\n{}", self.log()))
    }

    /// Waits for a log line in which something is found.
    async fn line<T>(&self, find: impl Fn(&str) -> Option<T>) -> Result<T> {
        let mut lines = self.lines.clone();
        let wait = async {
            loop {
                let found = self.log.lock().unwrap().iter().find_map(|line| find(line));
                if let Some(found) = found {
                    return Ok(found);
                }
                lines.changed().await.context("the process ended")?;
            }
        };
        timeout(PATIENCE, wait)
            .await
            .context("not logged in time")
            .flatten()
    }

    /// Waits until the process serves sockets; returns its address.
    pub async fn address(&self) -> Result<String> {
        let fields = self.logged("listening").await?;
        fields["address"]
            .as_str()
            .map(str::to_owned)
            .context("no address")
    }

    /// Waits until the process serves the operator; returns that address.
    pub async fn operator(&self) -> Result<String> {
        let fields = self.logged("operator listening").await?;
        fields["address"]
            .as_str()
            .map(str::to_owned)
            .context("no address")
    }

    /// Everything logged so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }

    /// Sends a signal.
    pub fn signal(&self, signal: i32) {
        let id = self
            .child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .unwrap();
        #[expect(unsafe_code, reason = "the standard library sends no signal but KILL")]
        // SAFETY: `kill` takes two numbers and touches no memory of ours.
        let result = unsafe { libc::kill(id, signal) };
        assert_eq!(result, 0, "cannot signal {id}");
    }

    /// Kills the process as a crash would.
    pub async fn kill(mut self) -> Result<()> {
        self.child.kill().await.context("cannot kill")
    }

    /// Waits for the end of the process; returns its exit code.
    pub async fn exit_code(&mut self) -> Result<Option<i32>> {
        self.exit_code_within(PATIENCE).await
    }

    /// The same for one that may have much to end.
    pub async fn exit_code_within(&mut self, limit: Duration) -> Result<Option<i32>> {
        let status = timeout(limit, self.child.wait()).await;
        Ok(status
            .with_context(|| format!("does not end:\n{}", self.log()))??
            .code())
    }
}

/// Notes what a process says, line by line.
async fn read(
    said: impl AsyncRead + Unpin,
    log: Arc<Mutex<Vec<String>>>,
    count: watch::Sender<usize>,
) {
    let mut lines = BufReader::new(said).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        log.lock().unwrap().push(line);
        count.send_modify(|count| *count += 1);
    }
}

fn fields(line: &str, message: &str) -> Option<Value> {
    let line: Value = serde_json::from_str(line).ok()?;
    (line["fields"]["message"] == message).then(|| line["fields"].clone())
}
