//! Who may use whom: the crates of the workspace depend on each other as ARCHITECTURE.md says.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

const BACKENDS: &[&str] = &["layer-memory", "layer-redis"];

/// What a folder's crate may use: in what it ships, and besides that in its own tests.
struct Room {
    folder: &'static str,
    uses: &'static [&'static str],
    tests_use: &'static [&'static str],
}

const CONTRACT: &[&str] = &["layer-core"];
const FACE: &[&str] = &["towpath"];
/// A crate's own tests may run it on every backend.
const SUITE: &[&str] = &["testkit", "layer-memory", "layer-redis"];
const TESTKIT: &[&str] = &["testkit"];

const ROOMS: &[Room] = &[
    Room {
        folder: "layer-core",
        uses: &[],
        tests_use: SUITE,
    },
    Room {
        folder: "layer-memory",
        uses: CONTRACT,
        tests_use: SUITE,
    },
    Room {
        folder: "layer-redis",
        uses: CONTRACT,
        tests_use: SUITE,
    },
    Room {
        folder: "interface-server",
        uses: CONTRACT,
        tests_use: SUITE,
    },
    Room {
        folder: "worker",
        uses: CONTRACT,
        tests_use: SUITE,
    },
    Room {
        folder: "binding",
        uses: &["layer-core", "worker"],
        tests_use: SUITE,
    },
    Room {
        folder: "load",
        uses: &[],
        tests_use: &[],
    },
    Room {
        folder: "towpath",
        uses: &[
            "load",
            "layer-core",
            "layer-memory",
            "layer-redis",
            "interface-server",
            "worker",
            "binding",
        ],
        tests_use: TESTKIT,
    },
    Room {
        folder: "testkit",
        uses: CONTRACT,
        tests_use: &[],
    },
    Room {
        folder: "tests",
        uses: FACE,
        tests_use: TESTKIT,
    },
    Room {
        folder: "bench",
        uses: &["towpath", "load"],
        tests_use: TESTKIT,
    },
    Room {
        folder: "examples",
        uses: FACE,
        tests_use: TESTKIT,
    },
    Room {
        folder: "docs",
        uses: FACE,
        tests_use: TESTKIT,
    },
    Room {
        folder: "xtask",
        uses: FACE,
        tests_use: &[],
    },
];

/// What a crate may ship only behind a feature: who tests an application
/// needs a Redis server.
const OPTIONAL: &[(&str, &str)] = &[("towpath", "testkit")];

const UNPUBLISHED: &[&str] = &["tests", "bench", "examples", "xtask"];

/// Why `user` may not depend on `used` in this way, if it may not.
fn objection(user: &str, used: &str, kind: DependencyKind) -> Option<String> {
    let Some(room) = ROOMS.iter().find(|room| room.folder == user) else {
        return Some(format!(
            "`{user}` has no row in the table of who may use whom"
        ));
    };
    let in_tests = kind == DependencyKind::Development;
    if room.uses.contains(&used) || (in_tests && room.tests_use.contains(&used)) {
        return None;
    }
    let way = if in_tests {
        "in its tests"
    } else {
        "in what it ships"
    };
    Some(format!("`{user}` may not use `{used}` {way}"))
}

fn metadata() -> Result<Metadata> {
    MetadataCommand::new()
        .no_deps()
        .exec()
        .context("cargo describes the workspace")
}

fn folder(package: &Package) -> Result<&str> {
    let folder = package
        .manifest_path
        .parent()
        .and_then(|folder| folder.file_name());
    folder.context("a package stands in a folder")
}

#[test]
fn crates_use_each_other_as_the_table_says() -> Result<()> {
    let metadata = metadata()?;
    let packages = metadata.workspace_packages();
    let mut folders = BTreeMap::new();
    for package in &packages {
        folders.insert(package.name.as_str(), folder(package)?);
    }
    let mut objections = Vec::new();
    for package in &packages {
        for dependency in &package.dependencies {
            let (user, used) = (folder(package)?, folders.get(dependency.name.as_str()));
            let Some(used) = used.filter(|used| **used != user) else {
                continue;
            };
            if !(dependency.optional && OPTIONAL.contains(&(user, used))) {
                objections.extend(objection(user, used, dependency.kind));
            }
        }
    }
    assert!(objections.is_empty(), "{}", objections.join("\n"));
    Ok(())
}

#[test]
fn every_member_has_a_row() -> Result<()> {
    for package in metadata()?.workspace_packages() {
        let folder = folder(package)?;
        assert!(
            ROOMS.iter().any(|room| room.folder == folder),
            "`{folder}` has no row"
        );
    }
    Ok(())
}

#[test]
fn what_is_only_for_us_is_not_published() -> Result<()> {
    for package in metadata()?.workspace_packages() {
        let folder = folder(package)?;
        if UNPUBLISHED.contains(&folder) {
            let refused = package.publish.as_ref().is_some_and(Vec::is_empty);
            assert!(
                refused,
                "`{folder}` needs `publish = false` in its manifest"
            );
        }
    }
    Ok(())
}

#[test]
fn the_table_keeps_its_promises() {
    use DependencyKind::{Build, Development, Normal};

    for room in ROOMS {
        let user = room.folder;
        assert!(
            !room.uses.contains(&"testkit"),
            "`{user}` ships the testkit"
        );
        if user != "towpath" {
            for backend in BACKENDS {
                assert!(
                    !room.uses.contains(backend),
                    "`{user}` ships the backend `{backend}`"
                );
            }
        }
    }
    for kind in [Normal, Build, Development] {
        assert!(objection("interface-server", "worker", kind).is_some());
        assert!(objection("worker", "interface-server", kind).is_some());
        assert!(objection("stranger", "towpath", kind).is_some());
    }
    assert!(objection("layer-redis", "layer-memory", Normal).is_some());
    assert!(objection("layer-redis", "layer-memory", Development).is_none());
    assert!(objection("worker", "testkit", Build).is_some());
    assert!(objection("worker", "testkit", Development).is_none());
}
