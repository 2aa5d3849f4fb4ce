//! Process groups that are to end with this process, however it ends.

use std::process::{Child, Command};
use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::signal::unix::{SignalKind, signal};

static RUNNING: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// How a process ends that was interrupted: 128 and SIGINT, as a shell would say.
const EXIT_INTERRUPTED: i32 = 130;

/// A process that leads a group of its own; the whole group is killed when this is
/// dropped, and when [`watch`] hears a signal.
#[derive(Debug)]
pub(crate) struct Group {
    child: Child,
    pub(crate) id: Pid,
}

impl Group {
    pub(crate) fn start(command: &mut Command) -> anyhow::Result<Self> {
        use std::os::unix::process::CommandExt as _;
        let program = command.get_program().to_string_lossy().into_owned();
        // Held while it starts, so that a signal finds it or stops it from starting.
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        let child = command.process_group(0).spawn();
        let child = child.with_context(|| format!("cannot start {program}"))?;
        let id = Pid::from_child(&child);
        running.push(id);
        Ok(Self { child, id })
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> anyhow::Result<Option<String>> {
        Ok(self.child.try_wait()?.map(|status| status.to_string()))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _or_nothing_is_left = kill_process_group(self.id, Signal::KILL);
        drop(self.child.wait());
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|id| *id != self.id);
    }
}

/// Kills all groups and ends the process when it is interrupted or told to end.
///
/// # Errors
///
/// If signals cannot be heard.
pub(crate) fn watch() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (mut interrupt, mut terminate, mut hang_up) = {
        let _entered = runtime.enter();
        (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
        )
    };
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                    _ = hang_up.recv() => {}
                }
            });
            let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
            for id in running.iter() {
                let _or_nothing_is_left = kill_process_group(*id, Signal::KILL);
            }
            #[expect(clippy::exit, reason = "interrupted: nothing else is to happen")]
            std::process::exit(EXIT_INTERRUPTED);
        })?;
    Ok(())
}
