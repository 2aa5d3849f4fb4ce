//! The steps of `cargo xtask test`, in their order, each with a heading and its duration.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result};
use clap::ValueEnum;

use crate::{bench, command, tidy, tools};

/// One step of the test command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Step {
    /// Find or install redis-server, a browser and Node.
    Tools,
    /// Install the packages of the Node clients, and test the JavaScript client.
    Clients,
    /// Check the formatting.
    Fmt,
    /// Lint every target.
    Clippy,
    /// Check what no compiler checks.
    Tidy,
    /// Check which crate uses which.
    Boundaries,
    /// Build everything, then run every test and every example in the documentation.
    Test,
    /// Build the documentation.
    Doc,
    /// Measure in a hurry; fails if a message is lost, repeated or out of order, never on time.
    Bench,
}

// The same RUSTFLAGS for all: a flag set for one step alone would build everything again.
const LINT: &[&str] = &[
    "cargo",
    "clippy",
    "--workspace",
    "--all-targets",
    "--",
    "-D",
    "warnings",
];
// The end-to-end tests start `towpath` as a process, and no test depends on a binary of another
// crate; with all targets it has the same features as the tests, so nothing is built twice.
const BUILD: &[&str] = &["cargo", "build", "--workspace", "--all-targets"];
const TEST: &[&str] = &["cargo", "test", "--workspace"];
const DOC: &[&str] = &["cargo", "doc", "--workspace", "--no-deps"];
const BOUNDARIES: &[&str] = &[
    "cargo",
    "test",
    "--package",
    "xtask",
    "--test",
    "boundaries",
];
const CLIENTS: &[&str] = &["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"];
const CLIENT_FOLDERS: &[&str] = &[
    "clients/js",
    "tests/clients",
    "tests/phoenix",
    "examples/phoenix-js",
];
// It also says whether the built file that is embedded is what the source gives.
const CLIENT_TEST: &[&str] = &["npm", "test", "--silent"];

/// Runs the steps in `only`, or all when it is empty; the first failure is the last step.
pub(crate) fn run(root: &Path, only: &[Step]) -> Result<()> {
    let started = Instant::now();
    for step in Step::value_variants() {
        if only.is_empty() || only.contains(step) {
            step.run(root)?;
        }
    }
    eprintln!("\nall good ({:.1} s)", started.elapsed().as_secs_f64());
    Ok(())
}

impl Step {
    fn run(self, root: &Path) -> Result<()> {
        let name = self
            .to_possible_value()
            .map_or_else(String::new, |it| it.get_name().to_owned());
        eprintln!("\n=== {name}");
        let started = Instant::now();
        let done = self.work(root);
        eprintln!("=== {name}: {:.1} s", started.elapsed().as_secs_f64());
        done.with_context(|| format!("step `{name}` failed"))
    }

    fn work(self, root: &Path) -> Result<()> {
        let run = |line: &[&str]| command::run(root, line, &[]);
        match self {
            Self::Tools => tools::provide(root),
            Self::Clients => clients(root),
            Self::Fmt => run(&["cargo", "fmt", "--all", "--check"]),
            Self::Clippy => run(LINT),
            Self::Tidy => tidy::check(root),
            Self::Boundaries => run(BOUNDARIES),
            Self::Test => run(BUILD).and_then(|()| run(TEST)),
            Self::Doc => command::run(root, DOC, &[("RUSTDOCFLAGS", "-D warnings")]),
            Self::Bench => bench::quick(root),
        }
    }
}

fn clients(root: &Path) -> Result<()> {
    for folder in CLIENT_FOLDERS {
        command::run(&root.join(folder), CLIENTS, &[])?;
    }
    command::run(&root.join("clients/js"), CLIENT_TEST, &[])
}
