//! Finds the programs that the end-to-end tests start, and installs what is missing where that
//! is possible without a question.

use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};

use crate::command;

/// The Node clients' packages ask for this version.
const NODE_MAJOR_MIN: u32 = 20;

struct Tool {
    /// The Debian package that brings it.
    package: &'static str,
    /// What it is for, in the message when it is missing.
    purpose: &'static str,
    /// It is there when one of these answers `--version`.
    programs: &'static [&'static str],
}

const INSTALLABLE: &[Tool] = &[
    Tool {
        package: "redis-server",
        purpose: "the tests of the Redis layer",
        programs: &["redis-server"],
    },
    // The same place as in testkit/src/postgres.rs.
    Tool {
        package: "postgresql",
        purpose: "the tests of data binding",
        programs: &[
            "/usr/lib/postgresql/18/bin/postgres",
            "/usr/lib/postgresql/17/bin/postgres",
            "/usr/lib/postgresql/16/bin/postgres",
            "/usr/lib/postgresql/15/bin/postgres",
            "/usr/lib/postgresql/14/bin/postgres",
            "postgres",
        ],
    },
    Tool {
        package: "sqlite3",
        purpose: "the tests of data binding and of the to-do list",
        programs: &["sqlite3"],
    },
    // The same paths as in tests/clients/lib/browser.mjs.
    Tool {
        package: "chromium",
        purpose: "the tests in a browser",
        programs: &[
            "/usr/bin/chromium",
            "/usr/bin/chromium-browser",
            "/usr/bin/google-chrome",
        ],
    },
];

impl Tool {
    fn is_there(&self) -> bool {
        self.programs
            .iter()
            .any(|program| command::answer(&[program, "--version"]).is_some())
    }
}

/// Makes sure that everything is there, or says what to install.
pub(crate) fn provide(root: &Path) -> Result<()> {
    node()?;
    let missing: Vec<&Tool> = INSTALLABLE.iter().filter(|tool| !tool.is_there()).collect();
    if !missing.is_empty() {
        install(root, &missing)?;
    }
    for tool in INSTALLABLE {
        ensure!(
            tool.is_there(),
            "{} is missing, for {}: tried {}",
            tool.package,
            tool.purpose,
            tool.programs.join(", ")
        );
        eprintln!("{}: there", tool.package);
    }
    Ok(())
}

fn node() -> Result<()> {
    let version = command::answer(&["node", "--version"]).unwrap_or_default();
    let major = version
        .trim()
        .strip_prefix('v')
        .and_then(|it| it.split('.').next());
    let good = major
        .and_then(|it| it.parse().ok())
        .is_some_and(|it: u32| it >= NODE_MAJOR_MIN);
    ensure!(
        good && command::answer(&["npm", "--version"]).is_some(),
        "Node {NODE_MAJOR_MIN} or later with npm is missing, for the tests with other clients: \
         install it from https://nodejs.org or your system's packages"
    );
    eprintln!("node: {}", version.trim());
    Ok(())
}

fn install(root: &Path, missing: &[&Tool]) -> Result<()> {
    let packages: Vec<&str> = missing.iter().map(|tool| tool.package).collect();
    let by_hand = || {
        let purposes: Vec<&str> = missing.iter().map(|tool| tool.purpose).collect();
        format!(
            "install {} (for {}), on Debian: apt-get install {}",
            packages.join(" and "),
            purposes.join(" and "),
            packages.join(" ")
        )
    };
    let Some(privilege) = privilege() else {
        bail!(by_hand())
    };
    let apt = [
        privilege,
        &["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"],
    ]
    .concat();
    let careful = [
        "-y",
        "-o",
        "Acquire::Retries=3",
        "-o",
        "DPkg::Lock::Timeout=120",
    ];
    let update = [apt.as_slice(), &["update"], &careful].concat();
    let add = [
        apt.as_slice(),
        &["install", "--no-install-recommends"],
        &careful,
        &packages,
    ];
    command::run(root, &update, &[])
        .and_then(|()| command::run(root, &add.concat(), &[]))
        .with_context(by_hand)
}

/// What to put before a command that needs root, or `None` when nothing can be installed.
fn privilege() -> Option<&'static [&'static str]> {
    command::answer(&["apt-get", "--version"])?;
    if command::answer(&["id", "-u"])?.trim() == "0" {
        return Some(&[]);
    }
    command::answer(&["sudo", "-n", "true"])?;
    Some(&["sudo", "-n"])
}
