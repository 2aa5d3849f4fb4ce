//! The registry of a group: which nodes have members of it.
//!
//! It maps a node to a token that every add and every announcement draws anew.
//! Whoever removes a node removes the token that it saw, so an add that came in
//! between stands. A token is read before the look at the members: an add that
//! the look misses has yet to draw its own.

use std::str::FromStr;
use std::time::Duration;

use redis::{Cmd, Value};
use towpath_layer_core::{GroupName, NodeId};

use crate::core::Core;
use crate::failure::Failure;
use crate::known_nodes::Registered;
use crate::scripts::REGISTRY_REMOVE;
use crate::{millis, value};

/// Registry entries written in one pipeline.
const BATCH_MAX: usize = 256;

impl Core {
    /// How long a registry outlives the last add and the last renewal: longer
    /// than any member, so that only what nobody needs ends by itself.
    pub(crate) fn registry_ttl(&self) -> Duration {
        self.limits.group_expiry * 2
    }

    /// Enters a node with a new token.
    pub(crate) fn register_commands(
        &self,
        group: &GroupName,
        node: NodeId,
        token: &str,
    ) -> [Cmd; 2] {
        let registry = self.keys.registry(group);
        let mut enter = redis::cmd("HSET");
        enter.arg(&registry).arg(node.to_string()).arg(token);
        let mut keep = redis::cmd("PEXPIRE");
        keep.arg(&registry).arg(millis(self.registry_ttl()));
        [enter, keep]
    }

    /// Removes a node, if its token is still the one seen.
    pub(crate) fn unregister_command(&self, group: &GroupName, node: NodeId, token: &str) -> Cmd {
        let registry = self.keys.registry(group);
        let mut command = REGISTRY_REMOVE.call([&*registry]);
        command.arg(node.to_string()).arg(token);
        command
    }

    /// Enters this node for some groups.
    pub(crate) async fn register(
        &self,
        groups: impl IntoIterator<Item = GroupName>,
    ) -> Result<(), Failure> {
        let groups: Vec<_> = groups.into_iter().collect();
        for groups in groups.chunks(BATCH_MAX) {
            let entered = groups
                .iter()
                .flat_map(|group| self.register_commands(group, self.node, &self.token()));
            for answer in self.link.run(entered).await? {
                answer?;
            }
            self.registered.lock().extend(groups.iter().cloned());
        }
        Ok(())
    }

    /// The nodes with members of a group, and their tokens, as they are now.
    pub(crate) async fn nodes_of(&self, group: &GroupName) -> Result<Vec<Registered>, Failure> {
        let mut command = redis::cmd("HGETALL");
        command.arg(self.keys.registry(group));
        registered(self.link.run_one(command).await?)
    }

    /// The same, and has the server tell of changes, so that it need not be asked
    /// the next time.
    pub(crate) async fn read_registry(&self, registry: &str) -> Result<Vec<Registered>, Failure> {
        let session = self.link.session()?;
        let mut command = redis::cmd("HGETALL");
        command.arg(registry);
        if !session.tracks() {
            return registered(self.link.run_one(command).await?);
        }
        let reading = self.known_nodes.begin(registry, session.serial());
        let mut caching = redis::cmd("CLIENT");
        caching.arg("CACHING").arg("YES");
        let mut answers = self.link.run_on(&session, [caching, command]).await?;
        let nodes = registered(answers.pop().ok_or_else(Failure::unexpected)??)?;
        // Without the first of the two nobody is told of changes.
        if matches!(answers.pop(), Some(Ok(_))) {
            self.known_nodes.put(registry, reading, &nodes);
        }
        Ok(nodes)
    }

    /// Leaves the registry of groups whose fences have come out of the inbox
    /// and that are still empty. Those that are not are entered anew: whoever
    /// saw them empty may be about to remove the token of then, and whoever
    /// filled them may not get so far.
    pub(crate) async fn leave_registries(&self, groups: &[GroupName]) -> Result<(), Failure> {
        for groups in groups.chunks(BATCH_MAX) {
            let tokens = self.link.run(groups.iter().map(|group| {
                let mut command = redis::cmd("HGET");
                command
                    .arg(self.keys.registry(group))
                    .arg(self.node.to_string());
                command
            }));
            let tokens = tokens.await?;
            let members = self.link.run(groups.iter().map(|group| {
                let mut command = redis::cmd("EXISTS");
                command.arg(self.own.members(group));
                command
            }));
            let mut removed = Vec::new();
            let mut emptied = Vec::new();
            let mut stays = Vec::new();
            for ((group, token), members) in groups.iter().zip(tokens).zip(members.await?) {
                let token = value::text(token?);
                if value::int(&members?)? > 0 {
                    stays.push(group.clone());
                    continue;
                }
                emptied.push(group);
                let remove = |token: String| self.unregister_command(group, self.node, &token);
                removed.extend(token.ok().map(remove));
            }
            for answer in self.link.run(removed).await? {
                answer?;
            }
            {
                let mut registered = self.registered.lock();
                for group in emptied {
                    registered.remove(group);
                }
            }
            self.register(stays).await?;
        }
        Ok(())
    }
}

pub(crate) fn registered(answer: Value) -> Result<Vec<Registered>, Failure> {
    let entry = |(node, token)| {
        let node = NodeId::from_str(&value::text(node)?).map_err(Failure::known)?;
        Ok((node, value::text(token)?))
    };
    value::pairs(answer)?.into_iter().map(entry).collect()
}
