//! The project's own automation: `cargo xtask test` is the one command that says whether the
//! tree is good.

mod bench;
mod command;
mod steps;
mod tidy;
mod tools;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};

use crate::steps::Step;

/// Towpath's own automation.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Get what the tests need, then run every check and every test.
    Test {
        /// Run this step alone; may be given more than once.
        #[arg(long, value_name = "STEP")]
        only: Vec<Step>,
    },
    /// Measure Towpath beside other servers, and write the results.
    Bench(bench::Options),
    /// Check what no compiler checks: file sizes, module docs, leftovers, machine paths.
    Tidy,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = root().and_then(|root| match arguments.task {
        Task::Test { only } => steps::run(&root, &only),
        Task::Bench(options) => bench::run(&root, &options),
        Task::Tidy => tidy::check(&root),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The workspace's root, wherever in it the command was given.
fn root() -> Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    Ok(root
        .context("xtask stands in a folder of the workspace")?
        .to_owned())
}
