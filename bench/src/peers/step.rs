//! Runs the commands that prepare a peer, each for a limited time.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};

/// A question about a version is answered within this.
const ANSWER_WAIT: Duration = Duration::from_secs(20);
/// A command that was told to end at its limit is killed after this.
const END_WAIT: Duration = Duration::from_secs(5);
/// How much of the end of a failed command's output is shown, in bytes.
const SHOWN_BYTES: u64 = 2_048;

/// Runs commands one after the other; what the last one said is in a file.
#[derive(Debug)]
pub(super) struct Steps {
    log: PathBuf,
}

impl Steps {
    pub(super) fn new(log: PathBuf) -> Self {
        Self { log }
    }

    /// Runs a command, which is shown, to its end.
    ///
    /// # Errors
    ///
    /// If it is not there, fails, or has not ended at `limit`, when it is told to end.
    /// The error has the end of what it said.
    pub(super) fn run(&self, command: &mut Command, limit: Duration) -> anyhow::Result<()> {
        eprintln!("$ {}", shown(command));
        self.finish(command, limit).map(drop)
    }

    /// What a command says, without white space around it; the last 2 KiB of it.
    ///
    /// # Errors
    ///
    /// Those of [`Steps::run`]; the limit is 20 seconds.
    pub(super) fn answer(&self, command: &mut Command) -> anyhow::Result<String> {
        self.finish(command, ANSWER_WAIT)
    }

    /// The same for a command that takes longer.
    pub(super) fn answer_within(
        &self,
        command: &mut Command,
        limit: Duration,
    ) -> anyhow::Result<String> {
        self.finish(command, limit)
    }

    fn finish(&self, command: &mut Command, limit: Duration) -> anyhow::Result<String> {
        let line = shown(command);
        let log = File::create(&self.log)
            .with_context(|| format!("cannot write {}", self.log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("`{line}` could not be started"))?;
        let ended = wait(child, limit).with_context(|| format!("waiting for `{line}`"))?;
        let said = self.end_of_log().unwrap_or_default();
        match ended {
            None => bail!("`{line}` has not ended after {limit:?} and was stopped: {said}"),
            Some(status) if !status.success() => bail!("`{line}` failed with {status}: {said}"),
            Some(_) => Ok(said),
        }
    }

    fn end_of_log(&self) -> anyhow::Result<String> {
        let mut log = File::open(&self.log)?;
        let length = fs::metadata(&self.log)?.len();
        log.seek(SeekFrom::Start(length.saturating_sub(SHOWN_BYTES)))?;
        let mut end = Vec::new();
        log.read_to_end(&mut end)?;
        Ok(String::from_utf8_lossy(&end).trim().to_owned())
    }
}

/// The command as it would be typed, near enough.
fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}

/// How a child ended, or `None` if it was stopped at the limit.
fn wait(mut child: Child, limit: Duration) -> anyhow::Result<Option<ExitStatus>> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let pid = pid.context("a process without a number")?;
    let (sender, ended) = mpsc::sync_channel(1);
    // Nobody listens any more when even the kill has not helped.
    let waiting = std::thread::spawn(move || drop(sender.send(child.wait())));
    let first = ended.recv_timeout(limit);
    let in_time = first.is_ok();
    let status = first.or_else(|_late: RecvTimeoutError| {
        // It may have ended just now, and then there is nobody to tell.
        let _gone = kill_process(pid, Signal::TERM);
        ended.recv_timeout(END_WAIT).or_else(|_stubborn| {
            let _gone = kill_process(pid, Signal::KILL);
            ended.recv_timeout(END_WAIT)
        })
    });
    let status = status.map_err(|_| anyhow!("it does not end, not even when it is killed"))?;
    drop(waiting.join());
    Ok(in_time.then_some(status?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps() -> (tempfile::TempDir, Steps) {
        let folder = tempfile::tempdir().unwrap();
        let steps = Steps::new(folder.path().join("step.log"));
        (folder, steps)
    }

    #[test]
    fn an_answer_is_what_was_said_on_either_output() {
        let (_folder, steps) = steps();
        let mut command = Command::new("sh");
        command.args(["-c", "echo one; echo two >&2"]);
        assert_eq!(steps.answer(&mut command).unwrap(), "one\ntwo");
    }

    #[test]
    fn a_failure_names_the_command_and_what_it_said() {
        let (_folder, steps) = steps();
        let mut command = Command::new("sh");
        command.args(["-c", "echo no such package >&2; exit 3"]);
        let error = steps.run(&mut command, ANSWER_WAIT).unwrap_err();
        let text = format!("{error:#}");
        assert!(
            text.contains("exit 3") && text.contains("no such package"),
            "{text}"
        );
        let error = steps.answer(&mut Command::new("there-is-no-such-program"));
        assert!(format!("{:#}", error.unwrap_err()).contains("could not be started"));
    }

    #[test]
    fn a_command_that_takes_too_long_is_stopped() {
        let (_folder, steps) = steps();
        let mut command = Command::new("sleep");
        let error = steps.run(command.arg("600"), Duration::from_millis(50));
        let text = format!("{:#}", error.unwrap_err());
        assert!(
            text.contains("sleep 600") && text.contains("50ms"),
            "{text}"
        );
    }
}
