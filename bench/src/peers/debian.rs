//! Installs Debian's packages where that is possible without a question.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail};

use super::step::Steps;

/// How long the lists of packages may take to come.
const UPDATE_WAIT: Duration = Duration::from_secs(120);
/// How long packages may take to come and to be set up.
const INSTALL_WAIT: Duration = Duration::from_secs(300);
/// How long another installation may hold dpkg's lock, in seconds.
const LOCK_WAIT: &str = "DPkg::Lock::Timeout=120";

/// Installs packages.
///
/// # Errors
///
/// If apt is not there, this is neither root nor may become it without a password, or
/// the installation fails: the error says what to install.
pub(super) fn install(steps: &Steps, purpose: &str, packages: &[&str]) -> anyhow::Result<()> {
    let by_hand = || {
        format!(
            "install {} (for {purpose}), on Debian: apt-get install --no-install-recommends {}",
            packages.join(" and "),
            packages.join(" ")
        )
    };
    let Some(privilege) = privilege(steps) else {
        bail!(by_hand())
    };
    let apt = |arguments: &[&str]| {
        let line = [
            privilege,
            &["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-y"],
            &["-o", "Acquire::Retries=3", "-o", LOCK_WAIT],
            arguments,
        ]
        .concat();
        let mut words = line.into_iter();
        let mut command = Command::new(words.next().unwrap_or("apt-get"));
        command.args(words);
        command
    };
    let add = [&["install", "--no-install-recommends"], packages].concat();
    steps
        .run(&mut apt(&["update"]), UPDATE_WAIT)
        .and_then(|()| steps.run(&mut apt(&add), INSTALL_WAIT))
        .with_context(by_hand)
}

/// What to put before a command that needs root, or `None` when nothing can be installed.
fn privilege(steps: &Steps) -> Option<&'static [&'static str]> {
    let answers = |program: &str, arguments: &[&str]| {
        steps.answer(Command::new(program).args(arguments)).is_ok()
    };
    if !answers("apt-get", &["--version"]) {
        return None;
    }
    if rustix::process::geteuid().is_root() {
        return Some(&[]);
    }
    answers("sudo", &["-n", "true"]).then_some(&["sudo", "-n"])
}
