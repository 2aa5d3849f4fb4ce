//! Drives an example's page in Chromium, by the scripts in `tests/clients/examples`.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::timeout;

/// Each script has a shorter deadline of its own.
const DEADLINE: Duration = Duration::from_secs(180);

/// A browser takes a machine for itself: one at a time.
static BROWSER: Mutex<()> = Mutex::const_new(());

/// A running script; killed when dropped.
pub struct Script {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    said: String,
    _browser: MutexGuard<'static, ()>,
}

impl Script {
    /// Starts the script of an example with the URL of its page.
    pub async fn start(example: &str, url: &str, arguments: &[&str]) -> Result<Self> {
        let browser = BROWSER.lock().await;
        let clients = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/clients");
        ensure!(
            clients.join("node_modules").exists(),
            "run `npm ci` in tests/clients first (`cargo xtask test` does)"
        );
        let mut child = Command::new("node")
            .arg(clients.join(format!("examples/{example}.mjs")))
            .arg(url)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = child.stdout.take().context("no standard output")?;
        Ok(Self {
            child,
            lines: BufReader::new(stdout).lines(),
            said: String::new(),
            _browser: browser,
        })
    }

    /// Waits until the script has done the case of that name.
    pub async fn done(&mut self, case: &str) -> Result<()> {
        let wait = async {
            while let Some(line) = self.lines.next_line().await? {
                self.said.push_str(&line);
                self.said.push('\n');
                if line.starts_with(case) {
                    return Ok(());
                }
            }
            let mut reason = String::new();
            if let Some(stderr) = &mut self.child.stderr {
                stderr.read_to_string(&mut reason).await?;
            }
            anyhow::bail!("the script did not say {case:?}:\n{}{reason}", self.said)
        };
        timeout(DEADLINE, wait).await.context("the script does not end")?
    }
}

/// Runs the script of an example to its good end.
pub async fn run(example: &str, url: &str, arguments: &[&str]) -> Result<()> {
    let mut script = Script::start(example, url, arguments).await?;
    script.done("ok").await
}
