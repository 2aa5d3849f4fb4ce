//! A Redis server of a test's own: started on a free port, without
//! persistence, broken in every way that a test needs, gone with its owner.

use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::server::{PORT_TRIES_MAX, ServerProcess, free_port};

const BINARIES: [&str; 2] = ["redis-server", "valkey-server"];
const READY_MAX: Duration = Duration::from_secs(10);

/// A Redis server; killed when dropped.
#[derive(Debug)]
pub struct RedisServer {
    port: u16,
    directory: TempDir,
    process: ServerProcess,
}

impl RedisServer {
    /// Starts a server on a free port and waits until it answers.
    ///
    /// # Errors
    ///
    /// If there is no server binary (the error says how to get one), or if
    /// none could be started.
    ///
    /// # Cancel safety
    ///
    /// A dropped future leaves no server behind.
    pub async fn launch() -> Result<Self> {
        let mut last = None;
        for _ in 0..PORT_TRIES_MAX {
            let server = Self {
                port: free_port()?,
                directory: tempfile::tempdir().context("making a directory for redis")?,
                process: ServerProcess::new("redis", READY_MAX, Signal::KILL),
            };
            match server.start().await {
                Ok(()) => return Ok(server),
                // Somebody else may have taken the port in between.
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| anyhow::anyhow!("no free port for redis")))
    }

    /// Starts the stopped server again, empty, on the same port.
    ///
    /// # Errors
    ///
    /// If it runs, or does not come up within ten seconds.
    ///
    /// # Cancel safety
    ///
    /// A dropped future leaves the server starting.
    pub async fn start(&self) -> Result<()> {
        let spawn = || self.spawn();
        let answers = || self.answers();
        Box::pin(self.process.start(spawn, answers, || self.log())).await
    }

    /// Asks the server to end, and waits until it has.
    ///
    /// # Errors
    ///
    /// If it does not run, or does not end within ten seconds.
    ///
    /// # Cancel safety
    ///
    /// A dropped future leaves the server ending.
    pub async fn stop(&self) -> Result<()> {
        self.process.end(Signal::TERM).await
    }

    /// Kills the server (`kill -9`), and waits until it is gone.
    ///
    /// # Errors
    ///
    /// If it does not run.
    ///
    /// # Cancel safety
    ///
    /// A dropped future leaves the server killed.
    pub async fn kill(&self) -> Result<()> {
        self.process.kill().await
    }

    /// Stops the server's clock: it keeps its connections and answers nobody.
    ///
    /// # Errors
    ///
    /// If it does not run.
    pub fn pause(&self) -> Result<()> {
        self.process.signal(Signal::STOP)
    }

    /// Lets a paused server go on.
    ///
    /// # Errors
    ///
    /// If it does not run.
    pub fn resume(&self) -> Result<()> {
        self.process.signal(Signal::CONT)
    }

    /// Where the server listens, as `redis://…`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The port on which the server listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    fn spawn(&self) -> Result<Child> {
        for binary in BINARIES {
            let child = Command::new(binary)
                .args(["--port", &self.port.to_string()])
                .args(["--bind", "127.0.0.1", "--daemonize", "no"])
                .args(["--save", "", "--appendonly", "no"])
                .args(["--logfile", "redis.log", "--dir"])
                .arg(self.directory.path())
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn();
            match child {
                Ok(child) => return Ok(child),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(error).context(format!("starting {binary}")),
            }
        }
        bail!(
            "neither redis-server nor valkey-server is in the path: install Redis 7.0 or newer, \
             for example with `apt-get install redis-server` or `brew install redis`"
        )
    }

    async fn answers(&self) -> bool {
        timeout(Duration::from_secs(1), ping(self.port))
            .await
            .is_ok_and(|answer| answer.is_ok())
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("redis.log")).unwrap_or_default()
    }
}

async fn ping(port: u16) -> Result<()> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    stream.write_all(b"PING\r\n").await?;
    let mut answer = [0; 7];
    stream.read_exact(&mut answer).await?;
    if &answer != b"+PONG\r\n" {
        bail!("redis is not ready");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_stops_and_starts_again_and_is_killed() {
        let server = RedisServer::launch().await.unwrap();
        assert!(server.answers().await);
        server.stop().await.unwrap();
        assert!(!server.answers().await);
        server.start().await.unwrap();
        assert!(server.answers().await);
        server.kill().await.unwrap();
        assert!(!server.answers().await);
    }

    #[tokio::test]
    async fn a_paused_server_answers_only_after_it_goes_on() {
        let server = RedisServer::launch().await.unwrap();
        server.pause().unwrap();
        assert!(!server.answers().await);
        server.resume().unwrap();
        assert!(server.answers().await);
    }
}
