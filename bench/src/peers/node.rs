//! ws and Socket.IO, from npm, on the machine's Node.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::cache::Cache;
use crate::contender::{Contender, Dialect, Launch};

const PACKAGE: &str = include_str!("../../peers/node/package.json");
const LOCK: &str = include_str!("../../peers/node/package-lock.json");
const WS: &str = include_str!("../../peers/node/ws.mjs");
const SOCKET_IO: &str = include_str!("../../peers/node/socketio.mjs");

const MAJOR_MIN: u32 = 20;
/// How long npm may take to fetch and lay out two dozen small packages.
const INSTALL_WAIT: Duration = Duration::from_secs(180);

/// ws: echo and rooms over sets of sockets.
pub(super) fn ws(cache: &Cache) -> anyhow::Result<Contender> {
    let (folder, node) = installed(cache)?;
    let about = format!("ws {} on Node {node}, one process", version("ws")?);
    Ok(Contender::new(
        "node-ws",
        &about,
        launch(folder, "ws.mjs", WS)?,
    ))
}

/// Socket.IO over WebSocket alone.
pub(super) fn socket_io(cache: &Cache) -> anyhow::Result<Contender> {
    let (folder, node) = installed(cache)?;
    let version = version("socket.io")?;
    let about = format!("Socket.IO {version} on Node {node}, one process, WebSocket only");
    let launch = launch(folder, "socketio.mjs", SOCKET_IO)?;
    Ok(Contender {
        dialect: Dialect::SocketIo,
        ..Contender::new("socket-io", &about, launch)
    })
}

fn launch(folder: PathBuf, name: &str, text: &str) -> anyhow::Result<Launch> {
    let program = Cache::program(&folder, name, text)?;
    let arguments = [program.display().to_string(), "{port}".to_owned()];
    Ok(Launch::new("node", arguments)
        .in_directory(folder)
        .with("NODE_ENV", "production"))
}

/// The folder that has the packages, and Node's version.
fn installed(cache: &Cache) -> anyhow::Result<(PathBuf, String)> {
    let missing = || {
        format!(
            "Node {MAJOR_MIN} or later with npm is missing: install it from https://nodejs.org \
             or your system's packages"
        )
    };
    let steps = &cache.steps;
    let node = steps.answer(Command::new("node").arg("--version"));
    let node = node
        .with_context(missing)?
        .trim_start_matches('v')
        .to_owned();
    ensure!(
        major(&node) >= Some(MAJOR_MIN),
        "{}: found {node}",
        missing()
    );
    steps
        .answer(Command::new("npm").arg("--version"))
        .with_context(missing)?;
    let stamp = format!("{node}\n{PACKAGE}{LOCK}");
    let folder = cache.entry("node", &stamp, |folder| {
        fs::write(folder.join("package.json"), PACKAGE)?;
        fs::write(folder.join("package-lock.json"), LOCK)?;
        let mut npm = Command::new("npm");
        npm.args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]);
        steps.run(npm.current_dir(folder), INSTALL_WAIT)
    })?;
    Ok((folder, node))
}

fn major(version: &str) -> Option<u32> {
    version.split('.').next()?.parse().ok()
}

/// The version of a package that is asked for.
fn version(package: &str) -> anyhow::Result<String> {
    let manifest: serde_json::Value = serde_json::from_str(PACKAGE)?;
    let version = manifest.pointer(&format!("/dependencies/{package}"));
    let version = version.and_then(|version| version.as_str());
    Ok(version.context("package.json names no version")?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_exact_and_the_lock_agrees_and_names_no_host() {
        let lock: serde_json::Value = serde_json::from_str(LOCK).unwrap();
        for package in ["ws", "socket.io"] {
            let asked = version(package).unwrap();
            assert!(major(&asked).is_some(), "{package} {asked}");
            let locked = &lock["packages"][format!("node_modules/{package}")]["version"];
            assert_eq!(locked.as_str(), Some(asked.as_str()));
        }
        for (name, package) in lock["packages"].as_object().unwrap() {
            assert!(package.get("resolved").is_none(), "{name}");
        }
    }

    #[test]
    fn the_major_version_is_the_first_number() {
        assert_eq!(major("20.20.2"), Some(20));
        assert_eq!(major("none"), None);
    }
}
