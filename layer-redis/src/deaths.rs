//! Nodes that are dead: found, and their memberships removed.

use std::str::FromStr;
use std::time::Duration;

use redis::Cmd;
use towpath_layer_core::{GroupName, LocalId, NodeId};

use crate::core::Core;
use crate::failure::Failure;
use crate::keys::NodeKeys;
use crate::scripts::GROUP_PURGE;
use crate::value;

/// Members removed in one script.
const MEMBERS_MAX: usize = 256;
/// Scripts in one pipeline.
const SCRIPTS_MAX: usize = 32;
/// Groups looked at in one pipeline: many, for the dead have to be gone soon.
const GROUPS_MAX: usize = 64;
/// Nodes asked about in one pipeline.
const NODES_MAX: usize = 256;

/// Since when this node has been in unbroken contact with its Redis. Only then
/// has it seen that another had the time to renew its lease and did not.
#[derive(Debug, Default)]
pub(crate) struct Contact {
    state: Option<State>,
}

#[derive(Debug)]
struct State {
    /// The connection through which it goes.
    serial: u64,
    since: Duration,
    /// When the last answer came.
    last: Duration,
}

impl Contact {
    pub(crate) fn lost(&mut self) {
        self.state = None;
    }

    /// Takes note of one more exchange; says how long the contact has lasted.
    /// After a silence of a lease nothing is known of what happened in it.
    fn goes_on(
        &mut self,
        serial: u64,
        (asked, answered): (Duration, Duration),
        lease: Duration,
    ) -> Duration {
        // The server may have stood still, and with it everybody's renewals.
        let stood_still = answered.saturating_sub(asked) > lease / 3;
        let lasts = self.state.as_mut().filter(|state| {
            state.serial == serial && asked.saturating_sub(state.last) < lease && !stood_still
        });
        if let Some(state) = lasts {
            state.last = answered;
            return answered.saturating_sub(state.since);
        }
        self.state = Some(State {
            serial,
            since: answered,
            last: answered,
        });
        Duration::ZERO
    }
}

impl Core {
    /// All nodes that have or had a lease.
    pub(crate) async fn known_nodes(&self) -> Result<Vec<NodeId>, Failure> {
        let mut command = redis::cmd("SMEMBERS");
        command.arg(self.keys.nodes());
        let nodes = value::texts(self.link.run_one(command).await?)?;
        Ok(nodes
            .iter()
            .filter_map(|node| NodeId::from_str(node).ok())
            .collect())
    }

    /// Which of some nodes have no lease.
    pub(crate) async fn absent(&self, nodes: &[NodeId]) -> Result<Vec<NodeId>, Failure> {
        let mut absent = Vec::new();
        for nodes in nodes.chunks(NODES_MAX) {
            let questions = nodes.iter().map(|node| {
                let mut question = redis::cmd("EXISTS");
                question.arg(self.keys.node(*node).lease);
                question
            });
            let answers = self.link.run(questions).await?;
            for (node, answer) in nodes.iter().zip(answers) {
                if value::int(&answer?)? == 0 {
                    absent.push(*node);
                }
            }
        }
        Ok(absent)
    }

    /// The same, after a break in the contact only once every node has had a
    /// lease to come back.
    pub(crate) async fn surely_absent(&self, nodes: &[NodeId]) -> Result<Vec<NodeId>, Failure> {
        let absent = self.absent(nodes).await?;
        if self.link.was_away(self.limits.lease) {
            return Ok(Vec::new());
        }
        Ok(absent)
    }

    /// Declares dead whoever had a whole lease to show up and did not.
    pub(crate) async fn bury_the_dead(&self, contact: &mut Contact) -> Result<(), Failure> {
        let lease = self.limits.lease;
        let session = self.link.session()?;
        let asked = self.clock.now();
        let nodes = self.known_nodes().await?;
        let absent = self.absent(&nodes).await?;
        let exchange = (asked, self.clock.now());
        if contact.goes_on(session.serial(), exchange, lease) < lease {
            return Ok(());
        }
        for node in absent {
            if node != self.node {
                self.bury(node).await?;
            }
        }
        Ok(())
    }

    /// Removes all that a node without a lease has left.
    pub(crate) async fn bury(&self, node: NodeId) -> Result<(), Failure> {
        if !self.end_lease(node).await? {
            return Ok(());
        }
        tracing::info!(dead = %node, "the node's memberships end");
        let keys = self.keys.node(node);
        for groups in self.groups_of_node(&keys).await?.chunks(GROUPS_MAX) {
            if !self.purge(node, &keys, groups).await? {
                return Ok(());
            }
        }
        let mut forget = redis::cmd("SREM");
        forget.arg(self.keys.nodes()).arg(node.to_string());
        self.link.run_one(forget).await?;
        // An add that came after the look at its group, and before this, is
        // found the next time.
        if !self.groups_of_node(&keys).await?.is_empty() {
            self.link.run_one(self.presence_command(node)).await?;
        }
        Ok(())
    }

    /// Removes the members of some groups, and with them the node from their
    /// registries; fails to if the node has come back.
    async fn purge(
        &self,
        node: NodeId,
        keys: &NodeKeys,
        groups: &[GroupName],
    ) -> Result<bool, Failure> {
        // Before the look at the lease: a node that comes back draws another.
        let tokens = self.link.run(groups.iter().map(|group| {
            let mut question = redis::cmd("HGET");
            question
                .arg(self.keys.registry(group))
                .arg(node.to_string());
            question
        }));
        let tokens = tokens.await?;
        let members = self.link.run(groups.iter().map(|group| {
            let mut fields = redis::cmd("HKEYS");
            fields.arg(keys.members(group));
            fields
        }));
        let mut purges = Vec::new();
        for (group, members) in groups.iter().zip(members.await?) {
            let members = value::texts(members?)?;
            let members: Vec<_> = members
                .iter()
                .filter_map(|local| LocalId::from_str(local).ok())
                .collect();
            // Also without members: the index may still name the group.
            let none: &[LocalId] = &[];
            let chunks = members.chunks(MEMBERS_MAX);
            let chunks = chunks.chain(members.is_empty().then_some(none));
            purges.extend(chunks.map(|members| purge_command(keys, group, members)));
        }
        let mut purges = purges.into_iter();
        loop {
            let some: Vec<_> = purges.by_ref().take(SCRIPTS_MAX).collect();
            if some.is_empty() {
                break;
            }
            for answer in self.link.run(some).await? {
                if value::int(&answer?)? == 0 {
                    return Ok(false);
                }
            }
        }
        let removals = groups.iter().zip(tokens).filter_map(|(group, token)| {
            let token = value::text(token.ok()?).ok()?;
            Some(self.unregister_command(group, node, &token))
        });
        for answer in self.link.run(removals).await? {
            answer?;
        }
        Ok(true)
    }
}

fn purge_command(node: &NodeKeys, group: &GroupName, members: &[LocalId]) -> Cmd {
    let mut keys = vec![node.lease.clone(), node.index.clone(), node.members(group)];
    keys.extend(members.iter().map(|local| node.groups_of(*local)));
    let mut command = GROUP_PURGE.call(keys.iter().map(String::as_str));
    command.arg(group.as_str());
    for local in members {
        command.arg(local.to_string());
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contact_lasts_until_it_breaks_or_nothing_is_known_for_a_lease() {
        let ms = Duration::from_millis;
        let mut contact = Contact::default();
        let at = |contact: &mut Contact, serial, asked, answered| {
            contact.goes_on(serial, (ms(asked), ms(answered)), ms(900))
        };
        assert_eq!(at(&mut contact, 1, 0, 100), ms(0));
        assert_eq!(at(&mut contact, 1, 600, 700), ms(600));
        assert_eq!(at(&mut contact, 1, 1_500, 1_600), ms(1_500));
        assert_eq!(
            at(&mut contact, 2, 1_700, 1_800),
            ms(0),
            "another connection"
        );
        assert_eq!(at(&mut contact, 2, 2_000, 2_100), ms(300));
        assert_eq!(at(&mut contact, 2, 2_200, 2_600), ms(0), "a slow answer");
        assert_eq!(at(&mut contact, 2, 3_500, 3_600), ms(0), "a long silence");
        contact.lost();
        assert_eq!(at(&mut contact, 2, 3_700, 3_800), ms(0), "a failure");
    }
}
