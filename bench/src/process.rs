//! A running server, with the processes beside it.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use tempfile::TempDir;

use crate::contender::{Contender, Launch};
use crate::groups::Group;
use crate::procfs;

/// A server must accept connections within this.
const START_WAIT: Duration = Duration::from_secs(20);
const START_RETRY: Duration = Duration::from_millis(10);
/// How much of the end of what a server said is shown when it does not start, in bytes.
const SHOWN_BYTES: u64 = 2_048;

/// A running server; all its processes are killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    // In this order: the server ends before what it needs, and its directory last.
    server: Group,
    sides: Vec<Group>,
    _directory: TempDir,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts what a contender needs, then the contender, and waits until it accepts.
    ///
    /// # Errors
    ///
    /// Says what could not be started, or what it said before it ended or for 20 seconds
    /// did not accept.
    pub(crate) fn start(contender: &Contender) -> anyhow::Result<Self> {
        let directory = TempDir::with_prefix("towpath-bench-").context("a directory")?;
        let mut places = vec![("{dir}".to_owned(), directory.path().display().to_string())];
        let mut sides = Vec::new();
        for side in &contender.sides {
            let address = free_address()?;
            let port = address.port().to_string();
            let own = [places.as_slice(), &[("{port}".to_owned(), port.clone())]].concat();
            sides.push(start(&side.launch, &own, address).with_context(|| side.name.clone())?);
            places.push((format!("{{{}}}", side.name), port));
        }
        let address = free_address()?;
        places.push(("{port}".to_owned(), address.port().to_string()));
        let server = start(&contender.launch, &places, address)?;
        Ok(Self {
            server,
            sides,
            _directory: directory,
            address,
        })
    }

    /// Processor time of the server's processes so far.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        procfs::group_cpu(self.server.id)
    }

    /// The same of the processes beside it, if there are any.
    pub(crate) fn side_cpu(&self) -> anyhow::Result<Option<Duration>> {
        let sides = self.sides.iter().map(|side| procfs::group_cpu(side.id));
        let sum = sides.sum::<anyhow::Result<Duration>>()?;
        Ok((!self.sides.is_empty()).then_some(sum))
    }

    /// Resident memory of the server's processes, in bytes.
    pub(crate) fn rss(&self) -> anyhow::Result<u64> {
        procfs::group_rss(self.server.id)
    }
}

/// Nobody else takes it at once: the kernel deals out such ports in turn.
fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

fn start(
    launch: &Launch,
    places: &[(String, String)],
    address: SocketAddr,
) -> anyhow::Result<Group> {
    let fill = |text: &str| {
        places.iter().fold(text.to_owned(), |text, (place, value)| {
            text.replace(place, value)
        })
    };
    let mut said = tempfile::tempfile().context("a file for what it says")?;
    let mut command = Command::new(&launch.program);
    command
        .args(launch.arguments.iter().map(|argument| fill(argument)))
        .stdin(Stdio::null())
        .stdout(said.try_clone()?)
        .stderr(said.try_clone()?);
    for (name, value) in &launch.environment {
        command.env(name, fill(value));
    }
    if let Some(directory) = &launch.directory {
        command.current_dir(directory);
    }
    let mut group = Group::start(&mut command)?;
    match wait_until_it_accepts(&mut group, address) {
        Ok(()) => Ok(group),
        Err(error) => {
            drop(group);
            let said = end_of(&mut said).unwrap_or_default();
            Err(anyhow!("{command:?} said: {said}").context(error))
        }
    }
}

fn wait_until_it_accepts(group: &mut Group, address: SocketAddr) -> anyhow::Result<()> {
    let deadline = Instant::now() + START_WAIT;
    loop {
        match TcpStream::connect(address) {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
            Err(error) => return Err(error.into()),
        }
        if let Some(status) = group.ended()? {
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

fn end_of(said: &mut File) -> std::io::Result<String> {
    let length = said.metadata()?.len();
    said.seek(SeekFrom::Start(length.saturating_sub(SHOWN_BYTES)))?;
    let mut end = Vec::new();
    said.read_to_end(&mut end)?;
    Ok(String::from_utf8_lossy(&end).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_does_not_start_says_why() {
        let launch = Launch::new("sh", ["-c", "echo no such luck on {port} in {dir} >&2"]);
        let error = Server::start(&Contender::new("a", "", launch)).unwrap_err();
        let error = format!("{error:#}");
        assert!(error.contains("before it accepted"), "{error}");
        assert!(error.contains("no such luck on "), "{error}");
        assert!(!error.contains("luck on {port}"), "{error}");
        let nothing = Launch::new("towpath-no-such-program", [""; 0]);
        let error = Server::start(&Contender::new("a", "", nothing)).unwrap_err();
        assert!(format!("{error:#}").contains("cannot start towpath-no-such-program"));
    }
}
