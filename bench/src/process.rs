//! Server processes, and what the kernel says about them.

use std::fs;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::{Resource, getrlimit, setrlimit};

/// A server must accept connections within this.
const START_WAIT: Duration = Duration::from_secs(20);
const START_RETRY: Duration = Duration::from_millis(10);

/// A server to compare, as `NAME=COMMAND`; `{port}` in the command is replaced.
#[derive(Debug, Clone)]
pub(crate) struct Contender {
    pub(crate) name: String,
    command: String,
}

impl std::str::FromStr for Contender {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((name, command)) if !name.is_empty() && command.contains("{port}") => Ok(Self {
                name: name.into(),
                command: command.into(),
            }),
            _ => Err("expected NAME=COMMAND with {port} in the command".into()),
        }
    }
}

/// A running server; it is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts the command, split at white space and without a shell so that the
    /// process measured is the server, and waits until it accepts.
    pub(crate) fn start(contender: &Contender) -> anyhow::Result<Self> {
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let command = contender
            .command
            .replace("{port}", &address.port().to_string());
        let mut words = command.split_whitespace();
        let program = words.next().context("empty command")?;
        let child = Command::new(program)
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {program}"))?;
        let mut server = Self { child, address };
        server
            .wait_until_it_accepts()
            .with_context(|| command.clone())?;
        Ok(server)
    }

    fn wait_until_it_accepts(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + START_WAIT;
        loop {
            match TcpStream::connect(self.address) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                Err(error) => return Err(error.into()),
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended with {status} before it accepted");
            }
            if Instant::now() > deadline {
                bail!("the server did not accept within {START_WAIT:?}");
            }
            #[expect(
                clippy::disallowed_methods,
                reason = "nothing tells that another has a port"
            )]
            std::thread::sleep(START_RETRY);
        }
    }

    /// Processor time of the server so far.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        process_cpu(&self.child.id().to_string())
    }

    /// Resident memory of the server in KiB, without the kernel's share.
    pub(crate) fn rss_kib(&self) -> anyhow::Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let figure = line.and_then(|line| line.split_whitespace().next());
        Ok(figure.context("no VmRSS: the server has ended")?.parse()?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It fails only if the server has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Processor time of this process so far.
pub(crate) fn own_cpu() -> anyhow::Result<Duration> {
    process_cpu("self")
}

/// Processor time that the whole machine has spent on anything, also on the host's
/// other guests.
pub(crate) fn machine_cpu() -> anyhow::Result<Duration> {
    machine_ticks(&fs::read_to_string("/proc/stat")?)
        .map(ticks)
        .context("/proc/stat")
}

/// Raises the limit on open files as far as it goes; children inherit it.
pub(crate) fn raise_file_limit() -> anyhow::Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).context("cannot raise the limit on open files")
}

/// What a process's time is counted in.
pub(crate) fn tick() -> Duration {
    ticks(1)
}

fn ticks(count: u64) -> Duration {
    Duration::from_secs(count) / u32::try_from(rustix::param::clock_ticks_per_second()).unwrap_or(1)
}

fn process_cpu(process: &str) -> anyhow::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    process_ticks(&stat).map(ticks).context("/proc/PID/stat")
}

// The name, in parentheses, may hold anything; user and system time are the
// 12th and 13th fields after it.
fn process_ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

// user, nice, system, idle, iowait, irq, softirq, steal; all but the two of idling.
fn machine_ticks(stat: &str) -> Option<u64> {
    let fields = stat
        .lines()
        .next()?
        .strip_prefix("cpu ")?
        .split_whitespace()
        .take(8);
    let fields = fields.enumerate().filter(|(at, _)| !matches!(at, 3 | 4));
    fields.map(|(_, field)| field.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_past_a_name_with_parentheses() {
        let stat = "42 (a) b (c)) S 1 1 1 0 -1 4194560 1 0 0 0 700 30 5 5 20 0 2 0 99 1 1";
        assert_eq!(process_ticks(stat), Some(730));
        assert_eq!(process_ticks("42 (short) S 1"), None);
    }

    #[test]
    fn idling_is_no_load() {
        let stat = "cpu  1 2 4 1000 1000 8 16 32 64 64\ncpu0 9 9 9 9 9 9 9 9 9 9\n";
        assert_eq!(machine_ticks(stat), Some(63));
    }

    #[test]
    fn this_process_has_used_some_time_and_no_more_than_the_machine() {
        assert!(own_cpu().unwrap() <= machine_cpu().unwrap());
    }

    #[test]
    fn a_contender_needs_a_name_and_a_port() {
        assert!(
            "axum=peer --listen 127.0.0.1:{port}"
                .parse::<Contender>()
                .is_ok()
        );
        for text in ["=serve {port}", "axum", "axum=serve"] {
            assert!(text.parse::<Contender>().is_err(), "{text}");
        }
    }
}
