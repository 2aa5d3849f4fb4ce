//! The names of all keys, in one place.
//!
//! What one script touches stands in one slot: the part of a key in braces is
//! its channel, group or node.

use towpath_layer_core::{ChannelName, GroupName, LocalId, NodeId};

/// Makes keys.
#[derive(Debug)]
pub(crate) struct Keys {
    prefix: String,
}

/// The keys of a shared channel.
#[derive(Debug)]
pub(crate) struct ChannelKeys {
    /// The entries.
    pub(crate) list: String,
    /// The keys of messages that wait for their time, by that time.
    pub(crate) delayed: String,
    /// Those messages, by key.
    pub(crate) waiting: String,
    /// Its counts.
    pub(crate) statistics: String,
    /// There while somebody waits for room.
    pub(crate) room: String,
    /// Where that is told.
    pub(crate) topic: String,
}

/// The keys of a node.
#[derive(Debug, Clone)]
pub(crate) struct NodeKeys {
    base: String,
    /// There while the node is alive.
    pub(crate) lease: String,
    /// The entries of its inbox.
    pub(crate) inbox: String,
    /// How many bytes those have.
    pub(crate) bytes: String,
    /// There after the inbox has refused a group message.
    pub(crate) gap: String,
    /// There while somebody waits for room in the inbox.
    pub(crate) room: String,
    /// Where that is told.
    pub(crate) topic: String,
    /// The groups with members of this node.
    pub(crate) index: String,
    /// The keys of entries that wait for their time, by that time.
    pub(crate) delayed: String,
    /// Those entries, by key.
    pub(crate) waiting: String,
    /// How many of them each connection has.
    pub(crate) delayed_of: String,
    /// What was discarded while the node could not be told.
    pub(crate) tombs: String,
}

/// The keys of what a group keeps.
#[derive(Debug)]
pub(crate) struct HistoryKeys {
    /// Where its offsets stand.
    pub(crate) state: String,
    /// The messages.
    pub(crate) kept: String,
}

/// The keys of what all nodes know of delayed messages.
#[derive(Debug)]
pub(crate) struct RegistryKeys {
    /// The channels and nodes for which something waits, by when it is due.
    pub(crate) registry: String,
    /// Which of them somebody is looking at.
    pub(crate) claims: String,
    /// Where it is told that something is due earlier than anything before.
    pub(crate) topic: String,
}

impl Keys {
    pub(crate) fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
        }
    }

    pub(crate) fn channel(&self, channel: &ChannelName) -> ChannelKeys {
        let base = format!("{}:c:{{{channel}}}", self.prefix);
        ChannelKeys {
            delayed: format!("{base}:delayed"),
            waiting: format!("{base}:waiting"),
            statistics: format!("{base}:statistics"),
            room: format!("{base}:room"),
            topic: format!("{base}:topic"),
            list: base,
        }
    }

    /// The list of a shared channel alone.
    pub(crate) fn list(&self, channel: &ChannelName) -> String {
        format!("{}:c:{{{channel}}}", self.prefix)
    }

    pub(crate) fn node(&self, node: NodeId) -> NodeKeys {
        let base = format!("{}:n:{{{node}}}", self.prefix);
        NodeKeys {
            lease: format!("{base}:lease"),
            inbox: format!("{base}:inbox"),
            bytes: format!("{base}:bytes"),
            gap: format!("{base}:gap"),
            room: format!("{base}:room"),
            topic: format!("{base}:topic"),
            index: format!("{base}:groups"),
            delayed: format!("{base}:delayed"),
            waiting: format!("{base}:waiting"),
            delayed_of: format!("{base}:delayed_of"),
            tombs: format!("{base}:tombs"),
            base,
        }
    }

    /// Node to token, for the nodes with members of a group.
    pub(crate) fn registry(&self, group: &GroupName) -> String {
        format!("{}:g:{{{group}}}", self.prefix)
    }

    pub(crate) fn history(&self, group: &GroupName) -> HistoryKeys {
        let base = self.registry(group);
        HistoryKeys {
            state: format!("{base}:history"),
            kept: format!("{base}:kept"),
        }
    }

    /// All nodes that have or had a lease.
    pub(crate) fn nodes(&self) -> String {
        format!("{}:nodes", self.prefix)
    }

    /// The shared channels that were sent to, by the time of the last send.
    pub(crate) fn channels(&self) -> String {
        format!("{}:channels", self.prefix)
    }

    pub(crate) fn delays(&self) -> RegistryKeys {
        let base = format!("{}:{{delays}}", self.prefix);
        RegistryKeys {
            claims: format!("{base}:claims"),
            topic: format!("{base}:topic"),
            registry: base,
        }
    }

    /// What nodes counted.
    pub(crate) fn totals(&self) -> String {
        format!("{}:totals", self.prefix)
    }

    /// What the keys of all channels and of all groups look like.
    pub(crate) fn patterns(&self) -> [String; 2] {
        [
            format!("{}:c:*", self.prefix),
            format!("{}:g:*", self.prefix),
        ]
    }
}

impl NodeKeys {
    /// Member to metadata, for one group.
    pub(crate) fn members(&self, group: &GroupName) -> String {
        format!("{}:members:{group}", self.base)
    }

    /// The groups of one connection.
    pub(crate) fn groups_of(&self, local: LocalId) -> String {
        format!("{}:of:{local}", self.base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use towpath_layer_core::SeededEntropy;

    #[test]
    fn what_a_script_touches_is_in_one_slot() {
        let keys = Keys::new("towpath");
        let node = NodeId::random(&SeededEntropy::new(1));
        let tag = format!("{{{node}}}");
        let node = keys.node(node);
        let group = GroupName::new("room").unwrap();
        for key in [
            &node.lease,
            &node.inbox,
            &node.index,
            &node.tombs,
            &node.delayed,
            &node.waiting,
            &node.delayed_of,
            &node.members(&group),
            &node.groups_of(LocalId(7)),
        ] {
            assert!(key.contains(&tag), "{key}");
        }
        let channel = keys.channel(&ChannelName::new("a.b").unwrap());
        assert_eq!(channel.list, "towpath:c:{a.b}");
        for key in [
            &channel.delayed,
            &channel.waiting,
            &channel.statistics,
            &channel.room,
            &channel.topic,
        ] {
            assert!(key.starts_with("towpath:c:{a.b}:"), "{key}");
        }
        let delays = keys.delays();
        for key in [&delays.registry, &delays.claims, &delays.topic] {
            assert!(key.contains("{delays}"), "{key}");
        }
        assert_eq!(keys.registry(&group), "towpath:g:{room}");
        let history = keys.history(&group);
        for key in [&history.state, &history.kept] {
            assert!(key.starts_with("towpath:g:{room}:"), "{key}");
        }
    }
}
