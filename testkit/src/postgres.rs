//! A PostgreSQL server of a test's own: started on a free port in a directory
//! of its own, stopped, killed and started again, gone with its owner.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Signal, getuid};
use tempfile::TempDir;

use crate::server::{PORT_TRIES_MAX, ServerProcess, free_port};

const READY_MAX: Duration = Duration::from_secs(30);

/// Where Debian puts the programs, by version.
const INSTALLATIONS: &str = "/usr/lib/postgresql";

/// A PostgreSQL server; killed when dropped.
#[derive(Debug)]
pub struct PostgresServer {
    port: u16,
    programs: Programs,
    directory: TempDir,
    process: ServerProcess,
}

/// Where the programs are, and as whom they run.
#[derive(Debug)]
struct Programs {
    folder: PathBuf,
    /// The server refuses to run as root.
    user: Option<(u32, u32)>,
}

impl Programs {
    fn find() -> Result<Self> {
        let versions = fs::read_dir(INSTALLATIONS).into_iter().flatten().flatten();
        let mut folders: Vec<PathBuf> = versions.map(|it| it.path().join("bin")).collect();
        folders.sort();
        folders.push(PathBuf::new());
        let works = |folder: &&PathBuf| {
            let mut command = Command::new(folder.join("postgres"));
            command.arg("--version").stdout(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        let folder = folders.iter().rev().find(works).context(
            "postgres is not in the path: install PostgreSQL 13 or newer, for example with \
             `apt-get install postgresql` or `brew install postgresql`",
        )?;
        let user = if getuid().is_root() {
            Some(other_user()?)
        } else {
            None
        };
        Ok(Self {
            folder: folder.clone(),
            user,
        })
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.folder.join(program));
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command
            .env("LC_ALL", "C.UTF-8")
            .current_dir("/")
            .stdin(Stdio::null());
        command
    }
}

/// A user that is not root: `postgres`, or `nobody`.
fn other_user() -> Result<(u32, u32)> {
    let id = |which: &str, user: &str| -> Option<u32> {
        let output = Command::new("id").args([which, user]).output().ok()?;
        String::from_utf8(output.stdout).ok()?.trim().parse().ok()
    };
    let found = ["postgres", "nobody"]
        .into_iter()
        .find_map(|user| Some((id("-u", user)?, id("-g", user)?)));
    found.context("postgres refuses to run as root, and there is no other user to run it as")
}

fn checked(what: &str, output: &Output) -> Result<String> {
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{what} failed: {error}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

impl PostgresServer {
    /// Makes a database cluster, starts a server on a free port and waits
    /// until it answers.
    ///
    /// # Errors
    ///
    /// If there are no server binaries (the error says how to get them), or if
    /// none could be started.
    ///
    /// # Cancel safety
    ///
    /// A dropped future leaves no server behind.
    pub async fn launch() -> Result<Self> {
        let programs = Programs::find()?;
        let directory = tempfile::tempdir().context("making a directory for postgres")?;
        if let Some((user, group)) = programs.user {
            chown(directory.path(), Some(user), Some(group))?;
        }
        let made = programs
            .command("initdb")
            .args([
                "--no-sync",
                "--auth=trust",
                "--username=postgres",
                "--encoding=UTF8",
            ])
            .arg("--pgdata")
            .arg(directory.path().join("data"))
            .output()
            .context("starting initdb")?;
        checked("initdb", &made)?;
        let mut server = Self {
            port: 0,
            programs,
            directory,
            process: ServerProcess::new("postgres", READY_MAX, Signal::QUIT),
        };
        let mut last = None;
        for _ in 0..PORT_TRIES_MAX {
            server.port = free_port()?;
            match server.start().await {
                Ok(()) => return Ok(server),
                // Somebody else may have taken the port in between.
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| anyhow::anyhow!("no free port for postgres")))
    }

    /// Starts the stopped server again, with what it had, on the same port.
    ///
    /// # Errors
    ///
    /// If it runs, or does not come up within thirty seconds.
    ///
    /// # Cancel safety
    ///
    /// A dropped future leaves the server starting.
    pub async fn start(&self) -> Result<()> {
        let spawn = || self.spawn();
        let answers = || std::future::ready(self.answers());
        Box::pin(self.process.start(spawn, answers, || self.log())).await
    }

    /// Asks the server to end its sessions and itself, and waits until it has.
    ///
    /// # Errors
    ///
    /// If it does not run, or does not end within thirty seconds.
    ///
    /// # Cancel safety
    ///
    /// A dropped future leaves the server ending.
    pub async fn stop(&self) -> Result<()> {
        self.process.end(Signal::INT).await
    }

    /// Ends the server at once, without a word to its sessions and without
    /// writing anything: it recovers when it is started.
    ///
    /// # Errors
    ///
    /// If it does not run.
    ///
    /// # Cancel safety
    ///
    /// A dropped future leaves the server ending.
    pub async fn kill(&self) -> Result<()> {
        self.process.kill().await
    }

    /// Where a database of this server is, as `postgres://…`.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Runs SQL in the database `postgres` by `psql`, a process of its own;
    /// gives what it prints.
    ///
    /// # Errors
    ///
    /// If a statement fails.
    pub fn psql(&self, sql: &str) -> Result<String> {
        let output = self
            .programs
            .command("psql")
            .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
            .args(["-v", "ON_ERROR_STOP=1", "--dbname", &self.url("postgres")])
            .args(["--command", sql])
            .output()
            .context("starting psql")?;
        checked("psql", &output)
    }

    fn spawn(&self) -> Result<Child> {
        let directory = self.directory.path();
        let log = fs::File::create(self.log_path())?;
        self.programs
            .command("postgres")
            .arg("-D")
            .arg(directory.join("data"))
            .args(["-p", &self.port.to_string(), "-h", "127.0.0.1", "-k"])
            .arg(directory)
            .args(["-c", "fsync=off", "-c", "max_connections=40"])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("starting postgres")
    }

    fn answers(&self) -> bool {
        let mut asking = self.programs.command("pg_isready");
        asking.args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()]);
        asking.status().is_ok_and(|status| status.success())
    }

    fn log_path(&self) -> PathBuf {
        Path::new(self.directory.path()).join("postgres.log")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_keeps_what_it_has_over_a_stop_and_a_kill() {
        let server = PostgresServer::launch().await.unwrap();
        server
            .psql("CREATE TABLE t (n int); INSERT INTO t VALUES (1)")
            .unwrap();
        server.stop().await.unwrap();
        server.psql("SELECT 1").unwrap_err();
        server.start().await.unwrap();
        server.psql("INSERT INTO t VALUES (2)").unwrap();
        server.kill().await.unwrap();
        server.start().await.unwrap();
        assert_eq!(server.psql("SELECT sum(n) FROM t").unwrap().trim(), "3");
    }
}
