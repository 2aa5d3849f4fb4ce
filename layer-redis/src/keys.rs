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
    /// What was discarded while the node could not be told.
    pub(crate) tombs: String,
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
            tombs: format!("{base}:tombs"),
            base,
        }
    }

    /// Node to token, for the nodes with members of a group.
    pub(crate) fn registry(&self, group: &GroupName) -> String {
        format!("{}:g:{{{group}}}", self.prefix)
    }

    /// All nodes that have or had a lease.
    pub(crate) fn nodes(&self) -> String {
        format!("{}:nodes", self.prefix)
    }

    /// The shared channels that were sent to, by the time of the last send.
    pub(crate) fn channels(&self) -> String {
        format!("{}:channels", self.prefix)
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
            &node.members(&group),
            &node.groups_of(LocalId(7)),
        ] {
            assert!(key.contains(&tag), "{key}");
        }
        let channel = keys.channel(&ChannelName::new("a.b").unwrap());
        assert_eq!(channel.list, "towpath:c:{a.b}");
        for key in [&channel.statistics, &channel.room, &channel.topic] {
            assert!(key.starts_with("towpath:c:{a.b}:"), "{key}");
        }
        assert_eq!(keys.registry(&group), "towpath:g:{room}");
    }
}
