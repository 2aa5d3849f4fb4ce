//! Who is a member of what, and the way to the nodes of the members.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use towpath_layer_core::{
    Entropy, GroupName, GroupTable, History, InboxEntry, Limits, LocalId, NodeId, Position,
    Recalled, Reply,
};

use crate::history::Histories;
use crate::node::Node;
use crate::sharded::Sharded;

/// The memberships of all nodes.
///
/// An entry is delivered under the lock of its group, so every sink sees joins,
/// leaves and messages of a group in the order in which the table changed; a
/// sink takes an entry at once and never waits. The owner of a membership lives
/// in this process and is asked whether the connection is open, so none is ever
/// without renewal: it lasts until it ends or its connection does. Under the same
/// lock a message is kept, so offsets have the order in which it is delivered.
#[derive(Debug)]
pub(crate) struct Groups {
    lease: Duration,
    shards: Sharded<Mutex<Shard>>,
    swept_at: Mutex<Duration>,
}

#[derive(Debug)]
struct Shard {
    /// The nodes that have members, by group.
    nodes: HashMap<GroupName, Vec<Arc<Node>>>,
    tables: HashMap<NodeId, Table>,
    histories: Histories,
}

/// The members that one node has.
#[derive(Debug)]
struct Table {
    node: Arc<Node>,
    members: GroupTable<LocalId>,
}

/// What became of a group message.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Sent {
    pub(crate) delivered: u32,
    pub(crate) dropped: u32,
}

impl Sent {
    /// Delivers a message to a node.
    fn deliver(&mut self, node: &Node, group: &GroupName, reply: &Reply) {
        let entry = InboxEntry::Group {
            group: group.clone(),
            reply: reply.clone(),
        };
        match node.sink().map(|sink| (sink.deliver(entry), sink)) {
            Some((Ok(()), _)) => self.delivered += 1,
            Some((Err(_), sink)) => {
                sink.mark_gap();
                self.dropped += 1;
            }
            None => self.dropped += 1,
        }
    }
}

impl Shard {
    fn new(limits: &Limits) -> Self {
        Self {
            nodes: HashMap::new(),
            tables: HashMap::new(),
            histories: Histories::new(limits),
        }
    }

    fn send(&self, group: &GroupName, reply: &Reply) -> Sent {
        let mut sent = Sent::default();
        for node in self.nodes.get(group).into_iter().flatten() {
            sent.deliver(node, group, reply);
        }
        sent
    }

    fn join(&mut self, node: &Arc<Node>, group: &GroupName, local: LocalId, meta: Bytes) {
        let table = self.tables.entry(node.id).or_insert_with(|| Table {
            node: Arc::clone(node),
            members: GroupTable::default(),
        });
        if table.members.join(group, local, meta) {
            let nodes = self.nodes.entry(group.clone()).or_default();
            nodes.push(Arc::clone(node));
        }
    }

    /// Ends a membership. Returns whether there was one.
    fn leave(&mut self, node: NodeId, group: &GroupName, local: LocalId) -> bool {
        let Some(table) = self.tables.get_mut(&node) else {
            return false;
        };
        let was = table.members.is_member(group, local);
        if table.members.leave(group, local) {
            self.unregister(node, group);
        }
        was
    }

    /// Ends all memberships of a connection. Returns whether there were any.
    fn leave_all(&mut self, node: NodeId, local: LocalId) -> bool {
        let Some(table) = self.tables.get_mut(&node) else {
            return false;
        };
        let left = table.members.leave_all(local);
        let emptied: Vec<_> = left
            .iter()
            .filter(|group| table.members.members(group).is_empty())
            .cloned()
            .collect();
        for group in &emptied {
            self.unregister(node, group);
        }
        !left.is_empty()
    }

    /// Forgets that the node has members of the group.
    fn unregister(&mut self, node: NodeId, group: &GroupName) {
        if let Some(nodes) = self.nodes.get_mut(group) {
            nodes.retain(|known| known.id != node);
            if nodes.is_empty() {
                self.nodes.remove(group);
            }
        }
        let table = self.tables.get(&node);
        if table.is_some_and(|table| table.members.is_empty()) {
            self.tables.remove(&node);
        }
    }

    fn forget(&mut self, node: NodeId) {
        let Some(table) = self.tables.remove(&node) else {
            return;
        };
        for group in table.members.groups() {
            self.unregister(node, group);
        }
    }

    fn tables_of(&self, group: &GroupName) -> impl Iterator<Item = &Table> {
        let nodes = self.nodes.get(group).into_iter().flatten();
        nodes.filter_map(|node| self.tables.get(&node.id))
    }
}

impl Groups {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            lease: limits.lease,
            shards: Sharded::new(|| Mutex::new(Shard::new(limits))),
            swept_at: Mutex::default(),
        }
    }

    fn shard(&self, group: &GroupName) -> &Mutex<Shard> {
        self.shards.of(group.as_str())
    }

    /// Adds a member or renews it. One whose connection is closed is undone at
    /// once: it is not added.
    pub(crate) fn add(&self, node: &Arc<Node>, group: &GroupName, local: LocalId, meta: Bytes) {
        let mut shard = self.shard(group).lock();
        // Asked under the lock: a node that leaves, or a connection that
        // closes, ends its memberships after it has ceased to be here.
        let Some(sink) = node.sink_of(local) else {
            return;
        };
        shard.join(node, group, local, meta.clone());
        let entry = InboxEntry::Join {
            group: group.clone(),
            to: local,
            meta,
        };
        let _always_taken = sink.deliver(entry);
    }

    pub(crate) fn discard(&self, node: &Node, group: &GroupName, local: LocalId) {
        let mut shard = self.shard(group).lock();
        if shard.leave(node.id, group, local)
            && let Some(sink) = node.sink()
        {
            let entry = InboxEntry::Leave {
                group: group.clone(),
                to: local,
            };
            let _always_taken = sink.deliver(entry);
        }
    }

    pub(crate) fn discard_all(&self, node: &Node, local: LocalId) {
        let mut shards: Vec<_> = self.shards.iter().map(Mutex::lock).collect();
        let mut left = false;
        for shard in &mut shards {
            left |= shard.leave_all(node.id, local);
        }
        if left && let Some(sink) = node.sink() {
            let _always_taken = sink.deliver(InboxEntry::LeaveAll { to: local });
        }
    }

    /// Delivers a message to each node with members.
    pub(crate) fn send(&self, group: &GroupName, reply: &Reply) -> Sent {
        self.shard(group).lock().send(group, reply)
    }

    /// Delivers a message to one node, if that has members.
    pub(crate) fn send_local(&self, node: NodeId, group: &GroupName, reply: &Reply) -> Sent {
        let shard = self.shard(group).lock();
        let mut sent = Sent::default();
        if let Some(table) = shard.tables.get(&node)
            && !table.members.members(group).is_empty()
        {
            sent.deliver(&table.node, group, reply);
        }
        sent
    }

    /// Keeps a message and delivers it to each node with members.
    pub(crate) fn publish(
        &self,
        group: &GroupName,
        mut reply: Reply,
        history: &History,
        now: Duration,
        entropy: &dyn Entropy,
    ) -> (Sent, Position) {
        let mut shard = self.shard(group).lock();
        let log = shard.histories.of(group, now, entropy);
        let position = log.publish(now, history, &mut reply);
        (shard.send(group, &reply), position)
    }

    /// What a group has kept behind a position.
    pub(crate) fn recall(
        &self,
        group: &GroupName,
        since: Option<Position>,
        max: usize,
        now: Duration,
        entropy: &dyn Entropy,
    ) -> Recalled {
        let mut shard = self.shard(group).lock();
        let log = shard.histories.of(group, now, entropy);
        log.recall(now, since, max)
    }

    pub(crate) fn members(&self, group: &GroupName) -> Vec<(NodeId, LocalId, Bytes)> {
        let shard = self.shard(group).lock();
        let mut members = Vec::new();
        for table in shard.tables_of(group) {
            let here = table.members.members(group).iter();
            members.extend(here.map(|(local, meta)| (table.node.id, *local, meta.clone())));
        }
        members
    }

    pub(crate) fn count(&self, group: &GroupName) -> u64 {
        let shard = self.shard(group).lock();
        let tables = shard.tables_of(group);
        tables
            .map(|table| table.members.members(group).len() as u64)
            .sum()
    }

    pub(crate) fn is_member(&self, group: &GroupName, node: NodeId, local: LocalId) -> bool {
        let shard = self.shard(group).lock();
        let table = shard.tables.get(&node);
        table.is_some_and(|table| table.members.is_member(group, local))
    }

    /// The groups of a connection, sorted.
    pub(crate) fn groups_of(&self, node: NodeId, local: LocalId) -> Vec<GroupName> {
        let mut groups = Vec::new();
        for shard in self.shards.iter() {
            if let Some(table) = shard.lock().tables.get(&node) {
                groups.extend_from_slice(table.members.groups_of(local));
            }
        }
        groups.sort();
        groups
    }

    /// The groups that have members, sorted.
    pub(crate) fn names(&self) -> Vec<GroupName> {
        let mut groups = Vec::new();
        for shard in self.shards.iter() {
            groups.extend(shard.lock().nodes.keys().cloned());
        }
        groups.sort();
        groups
    }

    /// Ends the memberships of a node that is gone.
    pub(crate) fn forget(&self, node: NodeId) {
        for shard in self.shards.iter() {
            shard.lock().forget(node);
        }
    }

    /// Ends all memberships, for their nodes as well, and all histories.
    pub(crate) fn flush(&self) {
        for shard in self.shards.iter() {
            let mut shard = shard.lock();
            shard.nodes.clear();
            shard.histories.clear();
            for table in std::mem::take(&mut shard.tables).into_values() {
                let Some(sink) = table.node.sink() else {
                    continue;
                };
                for (group, local, _) in table.members.iter() {
                    let entry = InboxEntry::Leave {
                        group: group.clone(),
                        to: local,
                    };
                    let _always_taken = sink.deliver(entry);
                }
            }
        }
    }

    /// Once a lease: ends the memberships of connections that are gone without
    /// a word, and histories that have had their time. Whoever asks about groups first does the work.
    pub(crate) fn sweep_if_due(&self, now: Duration) {
        {
            let mut swept_at = self.swept_at.lock();
            if now.saturating_sub(*swept_at) < self.lease {
                return;
            }
            *swept_at = now;
        }
        for shard in self.shards.iter() {
            // Copied out: asking about many connections takes long, and a
            // connection that is gone stays gone.
            let mut members = Vec::new();
            shard.lock().histories.sweep(now);
            for table in shard.lock().tables.values() {
                let locals = table.members.iter().map(|(_, local, _)| local);
                members.extend(locals.map(|local| (Arc::clone(&table.node), local)));
            }
            for (node, local) in members {
                if node.sink_of(local).is_none() {
                    shard.lock().leave_all(node.id, local);
                }
            }
        }
    }
}
