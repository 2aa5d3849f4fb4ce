//! Runs other programs, and shows what it runs.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

/// Runs a command line in `folder`, its output shown, and fails unless it succeeds.
pub(crate) fn run(folder: &Path, line: &[&str], environment: &[(&str, &str)]) -> Result<()> {
    let mut shown = String::from("$");
    for (name, value) in environment {
        shown.push_str(&format!(" {name}={value:?}"));
    }
    let line_shown = line.join(" ");
    eprintln!("{shown} {line_shown}");
    let status = command(line)?
        .current_dir(folder)
        .envs(environment.iter().copied())
        .status()
        .with_context(|| format!("`{line_shown}` could not be started"))?;
    ensure!(status.success(), "`{line_shown}` failed with {status}");
    Ok(())
}

/// What a command line prints on stdout, or `None` when it is absent or fails.
pub(crate) fn answer(line: &[&str]) -> Option<String> {
    let output = command(line).ok()?.stderr(Stdio::null()).output().ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn command(line: &[&str]) -> Result<Command> {
    let [program, arguments @ ..] = line else {
        bail!("an empty command line")
    };
    let mut command = Command::new(OsStr::new(program));
    command.args(arguments).stdin(Stdio::null());
    Ok(command)
}
