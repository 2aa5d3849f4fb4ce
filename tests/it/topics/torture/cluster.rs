//! Three nodes with workers on one Redis, and what happens to them.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::sync::watch;
use towpath_testkit::redis::RedisServer;

use super::form::{Blow, Form};
use crate::process::Process;
use crate::topics::CROWD;

const NODES: usize = 3;

/// Threads with sockets of each node: changes are told at once to a few, and
/// together to the many on the only thread of the first.
const SHARDS: [&str; NODES] = ["1", "2", "2"];

/// How long a node that stops may take: sockets have 30 s, and then workers 30 s.
const DRAIN_MAX: Duration = Duration::from_secs(65);

/// The processes.
pub struct Cluster {
    redis: RedisServer,
    lease: String,
    nodes: Vec<Process>,
    /// Those that were killed or stopped.
    past: Vec<String>,
    next: usize,
    addresses: watch::Sender<Vec<String>>,
}

impl Cluster {
    pub async fn start(form: &Form) -> Result<Self> {
        let mut cluster = Self {
            redis: RedisServer::launch().await?,
            lease: format!("{}ms", form.lease.as_millis()),
            nodes: Vec::new(),
            past: Vec::new(),
            next: 0,
            addresses: watch::Sender::new(Vec::new()),
        };
        for number in 0..NODES {
            let (node, address) = cluster.node(number).await?;
            cluster.nodes.push(node);
            cluster.addresses.send_modify(|all| all.push(address));
        }
        Ok(cluster)
    }

    /// Where the nodes are, now and later.
    pub fn addresses(&self) -> watch::Receiver<Vec<String>> {
        self.addresses.subscribe()
    }

    pub async fn strike(&mut self, blow: &Blow) -> Result<()> {
        match blow {
            Blow::Kill(_) | Blow::Stop(_) => self.replace(matches!(blow, Blow::Kill(_))).await,
            Blow::LoseRedis(_) => {
                self.redis.kill().await?;
                self.redis.start().await
            }
        }
    }

    async fn replace(&mut self, kill: bool) -> Result<()> {
        let number = self.next;
        self.next = (number + 1) % NODES;
        let mut old = self.nodes.remove(number);
        self.past.push(old.log());
        if kill {
            old.kill().await?;
        } else {
            old.signal(libc::SIGTERM);
            let code = old.exit_code_within(DRAIN_MAX).await?;
            ensure!(code == Some(0), "{}", old.log());
        }
        let (node, address) = self.node(number).await?;
        self.nodes.insert(number, node);
        self.addresses.send_modify(|all| all[number] = address);
        Ok(())
    }

    async fn node(&self, number: usize) -> Result<(Process, String)> {
        let url = self.redis.url();
        let arguments = ["serve", "--layer", &url, "--listen", "127.0.0.1:0"];
        let variables = [
            ("TOWPATH__LAYERS__DEFAULT__LEASE", &*self.lease),
            ("TOWPATH__SERVER__SHARDS", SHARDS[number]),
        ];
        let node = Process::start_program(CROWD, &arguments, &variables)?;
        let address = node.address().await?;
        Ok((node, address))
    }

    /// A node that the machine has kept from saying that it lives makes users
    /// leave and join: then the machine is what was tested.
    pub fn nobody_was_held_for_dead(&self) -> Result<()> {
        let warnings = self.warnings();
        ensure!(
            !warnings.contains("held for dead"),
            "the machine is too busy: {warnings}"
        );
        Ok(())
    }

    /// What all nodes have warned of, each warning once with its number.
    pub fn warnings(&self) -> String {
        let mut counted = std::collections::BTreeMap::<String, usize>::new();
        let logs = self.nodes.iter().map(Process::log);
        for log in self.past.iter().cloned().chain(logs) {
            for line in log.lines() {
                if let Some(warning) = warning(line) {
                    *counted.entry(warning).or_default() += 1;
                }
            }
        }
        let counted = counted
            .iter()
            .map(|(warning, times)| format!("{times} × {warning}\n"));
        counted.collect()
    }
}

fn warning(line: &str) -> Option<String> {
    let Ok(line) = serde_json::from_str::<Value>(line) else {
        return Some(line.to_owned());
    };
    let level = line["level"].as_str().context("no level").ok()?;
    let message = line["fields"]["message"].as_str().unwrap_or_default();
    let error = line["fields"]["error"].as_str().unwrap_or_default();
    matches!(level, "WARN" | "ERROR").then(|| format!("{message} {error}"))
}
