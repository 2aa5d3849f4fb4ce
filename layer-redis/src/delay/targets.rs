//! The registry of the targets for which something waits.

use std::fmt;
use std::str::FromStr;

use redis::Cmd;
use towpath_layer_core::{ChannelKind, ChannelName, LocalId, NodeId};

use crate::accounts::CHANNELS_MAX;
use crate::core::Core;
use crate::failure::Failure;
use crate::parcels::Target;
use crate::value;

/// Stands before a node; no channel has such a name.
const NODE: &str = "node/";

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Channel(channel) => f.write_str(channel.as_str()),
            Self::Inbox(node) => write!(f, "{NODE}{node}"),
        }
    }
}

impl Target {
    /// Reads what stands in the registry.
    pub(super) fn read(text: &str) -> Option<Self> {
        match text.strip_prefix(NODE) {
            Some(node) => NodeId::from_str(node).ok().map(Self::Inbox),
            None => ChannelName::new(text).ok().map(Self::Channel),
        }
    }

    /// The channel, if it is a shared one.
    pub(crate) fn into_shared(self) -> Option<ChannelName> {
        match self {
            Self::Channel(channel) if channel.kind() == ChannelKind::Shared => Some(channel),
            Self::Channel(_) | Self::Inbox(_) => None,
        }
    }
}

impl Core {
    /// The targets for which something waits, or may.
    pub(crate) async fn delay_targets(&self) -> Result<Vec<Target>, Failure> {
        let mut listed = redis::cmd("ZRANGE");
        listed.arg(self.keys.delays().registry).arg(0).arg(-1);
        let targets = value::texts(self.link.run_one(listed).await?)?;
        let targets = targets.iter().filter_map(|target| Target::read(target));
        Ok(targets.collect())
    }

    /// How many messages wait for their time on some targets.
    pub(crate) async fn waiting_for(&self, targets: &[Target]) -> Result<u64, Failure> {
        let mut waiting = 0;
        for targets in targets.chunks(CHANNELS_MAX) {
            let questions = targets.iter().map(|target| self.waiting_command(target));
            for answer in self.link.run(questions).await? {
                waiting += value::count(&answer?)?;
            }
        }
        Ok(waiting)
    }

    fn waiting_command(&self, target: &Target) -> Cmd {
        let mut question = redis::cmd("ZCARD");
        question.arg(match target {
            Target::Channel(channel) => self.keys.channel(channel).delayed,
            Target::Inbox(node) => self.keys.node(*node).delayed,
        });
        question
    }

    /// How many replies wait for their time for one connection.
    pub(crate) async fn waiting_for_connection(
        &self,
        node: NodeId,
        local: LocalId,
    ) -> Result<u64, Failure> {
        let mut question = redis::cmd("HGET");
        question
            .arg(self.keys.node(node).delayed_of)
            .arg(local.to_string());
        match self.link.run_one(question).await? {
            redis::Value::Nil => Ok(0),
            count => value::text(count)?
                .parse()
                .map_err(|_| Failure::unexpected()),
        }
    }

    /// Empties the registry. Returns the nodes that stood there: what waits for
    /// them is found nowhere else, once they are dead.
    pub(crate) async fn forget_delays(&self) -> Result<Vec<NodeId>, Failure> {
        let targets = self.delay_targets().await?;
        let keys = self.keys.delays();
        let mut unlink = redis::cmd("UNLINK");
        unlink.arg(keys.registry).arg(keys.claims);
        self.link.run_one(unlink).await?;
        let nodes = targets.into_iter().filter_map(|target| match target {
            Target::Inbox(node) => Some(node),
            Target::Channel(_) => None,
        });
        Ok(nodes.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use towpath_layer_core::SeededEntropy;

    #[test]
    fn a_target_is_read_as_it_was_written() {
        let node = NodeId::random(&SeededEntropy::new(1));
        let channel = |name: &str| Target::Channel(ChannelName::new(name).unwrap());
        for target in [channel("work"), channel("body?7"), Target::Inbox(node)] {
            assert_eq!(Target::read(&target.to_string()), Some(target));
        }
        assert_eq!(Target::read("node/7"), None);
        assert_eq!(Target::read(""), None);
    }
}
