//! What the servers of tests have in common: a free port, and a process that
//! is started, asked to end, and gone with its owner.

use std::net::{Ipv4Addr, TcpListener};
use std::process::Child;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep};

/// Below the ports that the kernel gives to outgoing connections, so that no
/// client takes the port while the server is down, or connects to itself.
const PORTS: std::ops::Range<u16> = 17_000..32_000;

/// Ports that are tried at most.
pub(crate) const PORT_TRIES_MAX: u32 = 64;

const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// A port that nobody listens on; the next call gives another.
pub(crate) fn free_port() -> Result<u16> {
    for _ in 0..PORT_TRIES_MAX {
        let port = rand::random_range(PORTS);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port in {PORT_TRIES_MAX} tries")
}

/// The process of a server; ended when dropped.
#[derive(Debug)]
pub(crate) struct ServerProcess {
    name: &'static str,
    /// How long it may take to answer, and to end.
    patience: Duration,
    /// What ends it at once.
    end_at_once: Signal,
    child: Mutex<Option<Child>>,
}

impl ServerProcess {
    pub(crate) fn new(name: &'static str, patience: Duration, end_at_once: Signal) -> Self {
        Self {
            name,
            patience,
            end_at_once,
            child: Mutex::new(None),
        }
    }

    /// Starts the process and waits until it answers.
    pub(crate) async fn start<A: Future<Output = bool>>(
        &self,
        spawn: impl FnOnce() -> Result<Child>,
        // An `AsyncFn` would make the future of its callers not `Send`.
        answers: impl Fn() -> A,
        log: impl Fn() -> String,
    ) -> Result<()> {
        let Self { name, patience, .. } = self;
        {
            let mut child = self.child.lock();
            ensure!(child.is_none(), "{name} runs already");
            *child = Some(spawn()?);
        }
        let deadline = Instant::now() + *patience;
        while !answers().await {
            if self.exited() {
                bail!("{name} ended at once; see its log: {}", log());
            }
            if Instant::now() > deadline {
                bail!("{name} did not answer within {patience:?}: {}", log());
            }
            sleep(LOOK_INTERVAL).await;
        }
        Ok(())
    }

    /// Sends a signal that ends the process, and waits until it is gone.
    pub(crate) async fn end(&self, signal: Signal) -> Result<()> {
        self.signal(signal)?;
        let deadline = Instant::now() + self.patience;
        while !self.exited() {
            if Instant::now() > deadline {
                bail!("{} did not end within {:?}", self.name, self.patience);
            }
            sleep(LOOK_INTERVAL).await;
        }
        Ok(())
    }

    /// Ends the process as it can be ended at once, and waits until it is gone.
    pub(crate) async fn kill(&self) -> Result<()> {
        self.end(self.end_at_once).await
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        let name = self.name;
        let slot = self.child.lock();
        let child = slot
            .as_ref()
            .with_context(|| format!("{name} does not run"))?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.with_context(|| format!("{name} has no process id"))?;
        kill_process(pid, signal).with_context(|| format!("signalling {name}"))
    }

    fn exited(&self) -> bool {
        let mut slot = self.child.lock();
        let exited = slot
            .as_mut()
            .is_none_or(|child| !matches!(child.try_wait(), Ok(None)));
        if exited {
            *slot = None;
        }
        exited
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // It fails only if the server does not run.
        if self.signal(self.end_at_once).is_ok()
            && let Some(mut child) = self.child.get_mut().take()
        {
            // It fails only if somebody else has waited.
            let _status = child.wait();
        }
    }
}
