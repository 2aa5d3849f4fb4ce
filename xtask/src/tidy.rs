//! Checks what no compiler checks, over every file that is or would be committed.

mod rules;

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use cargo_metadata::MetadataCommand;

use crate::command;
use crate::tidy::rules::{Fault, Rules};

const MAP: &str = "ARCHITECTURE.md";

/// Reports every fault with its file and line, and fails if there is one.
pub(crate) fn check(root: &Path) -> Result<()> {
    let rules = Rules::new();
    let mut faults = Vec::new();
    let files = files(root)?;
    for file in &files {
        let bytes = std::fs::read(root.join(file)).with_context(|| format!("reading {file}"))?;
        if let Ok(text) = std::str::from_utf8(&bytes) {
            faults.extend(rules.faults(file, text));
        }
    }
    faults.extend(unmapped(root)?);
    for fault in &faults {
        eprintln!("{fault}");
    }
    ensure!(
        faults.is_empty(),
        "the tree is not tidy: {} faults",
        faults.len()
    );
    eprintln!("{} files are tidy", files.len());
    Ok(())
}

/// Tracked files and new ones that are not ignored, so that a fault shows before its commit.
fn files(root: &Path) -> Result<Vec<String>> {
    let root = root.to_str().context("the workspace's path is not UTF-8")?;
    let list = [
        "git",
        "-C",
        root,
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ];
    let names = command::answer(&list).context("`git ls-files` failed: is this a git clone?")?;
    let is_there = |name: &&str| Path::new(root).join(name).is_file();
    Ok(names
        .split_terminator('\0')
        .filter(is_there)
        .map(str::to_owned)
        .collect())
}

/// The members of the workspace that the map of the code does not name.
fn unmapped(root: &Path) -> Result<Vec<Fault>> {
    let map = std::fs::read_to_string(root.join(MAP)).with_context(|| format!("reading {MAP}"))?;
    let metadata = MetadataCommand::new().current_dir(root).no_deps().exec()?;
    let mut faults = Vec::new();
    for package in metadata.workspace_packages() {
        let folder = package.manifest_path.parent().and_then(|it| it.file_name());
        let folder = folder.context("a package stands in a folder")?;
        if !rules::names(&map, folder) {
            let message = format!("does not name the workspace member `{folder}`");
            faults.push(Fault {
                file: MAP.to_owned(),
                line: 1,
                message,
            });
        }
    }
    Ok(faults)
}
