//! Who is a member of what, among the connections of one node or shard.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::hash::Hash;

use bytes::Bytes;

use crate::GroupName;

/// From so many members on a group knows where each of them lies; fewer are
/// looked through.
const INDEXED: usize = 16;

/// The memberships of one node or shard: a pure table, no clock, no lock.
///
/// Joining and leaving take constant time in the size of a group; the members
/// of a group lie side by side in memory, in no order. What is kept of a
/// membership is its metadata, unless `D` says otherwise.
#[derive(Clone)]
pub struct GroupTable<M, D = Bytes> {
    groups: HashMap<GroupName, Group<M, D>>,
    members: HashMap<M, Vec<GroupName>>,
}

#[derive(Clone)]
struct Group<M, D> {
    members: Vec<(M, D)>,
    /// Where each lies, once they are many. Many groups have one member only,
    /// and would keep more for the index than for the member.
    #[expect(
        clippy::box_collection,
        reason = "most groups have none: a pointer is a sixth of an empty map"
    )]
    positions: Option<Box<HashMap<M, usize>>>,
}

impl<M, D> Default for Group<M, D> {
    fn default() -> Self {
        Self {
            members: Vec::new(),
            positions: None,
        }
    }
}

impl<M, D> Default for GroupTable<M, D> {
    fn default() -> Self {
        Self {
            groups: HashMap::new(),
            members: HashMap::new(),
        }
    }
}

impl<M: Copy + Eq + Hash, D> Group<M, D> {
    fn position(&self, member: M) -> Option<usize> {
        match &self.positions {
            Some(positions) => positions.get(&member).copied(),
            None => self.members.iter().position(|(known, _)| *known == member),
        }
    }

    fn push(&mut self, member: M, data: D) {
        if self.members.is_empty() {
            // The first alone: room for four would be made for it.
            self.members.reserve_exact(1);
        }
        self.members.push((member, data));
        let last = self.members.len() - 1;
        if let Some(positions) = &mut self.positions {
            positions.insert(member, last);
        } else if self.members.len() == INDEXED {
            let members = self.members.iter().enumerate();
            let positions = members.map(|(position, (member, _))| (*member, position));
            self.positions = Some(Box::new(positions.collect()));
        }
    }

    fn remove(&mut self, member: M) -> bool {
        let Some(position) = self.position(member) else {
            return false;
        };
        self.members.swap_remove(position);
        if let Some(positions) = &mut self.positions {
            positions.remove(&member);
            if let Some((moved, _)) = self.members.get(position) {
                positions.insert(*moved, position);
            }
        }
        true
    }
}

impl<M: Copy + Eq + Hash, D> GroupTable<M, D> {
    /// Makes `member` a member of `group`, or replaces what is kept of it.
    /// Returns whether the group had no members before.
    pub fn join(&mut self, group: &GroupName, member: M, data: D) -> bool {
        let entry = self.groups.entry(group.clone()).or_default();
        let first = entry.members.is_empty();
        let known = entry.position(member);
        if let Some(slot) = known.and_then(|known| entry.members.get_mut(known)) {
            slot.1 = data;
            return first;
        }
        entry.push(member, data);
        let groups = self.members.entry(member).or_default();
        if groups.is_empty() {
            groups.reserve_exact(1);
        }
        groups.push(group.clone());
        first
    }

    /// Ends a membership, if there is one. Returns whether the group has
    /// become empty by it.
    pub fn leave(&mut self, group: &GroupName, member: M) -> bool {
        if let Entry::Occupied(mut groups) = self.members.entry(member) {
            groups.get_mut().retain(|known| known != group);
            if groups.get().is_empty() {
                groups.remove();
            }
        }
        self.remove(group, member)
    }

    /// Ends all memberships of `member`; returns the groups it was in.
    pub fn leave_all(&mut self, member: M) -> Vec<GroupName> {
        let groups = self.members.remove(&member).unwrap_or_default();
        for group in &groups {
            self.remove(group, member);
        }
        groups
    }

    fn remove(&mut self, group: &GroupName, member: M) -> bool {
        let Some(entry) = self.groups.get_mut(group) else {
            return false;
        };
        let empty = entry.remove(member) && entry.members.is_empty();
        if empty {
            self.groups.remove(group);
        }
        empty
    }

    /// The members of a group and what is kept of them, in no order.
    #[must_use]
    pub fn members(&self, group: &GroupName) -> &[(M, D)] {
        self.groups.get(group).map_or(&[], |entry| &entry.members)
    }

    /// Whether `member` is a member of `group`.
    #[must_use]
    pub fn is_member(&self, group: &GroupName, member: M) -> bool {
        self.groups
            .get(group)
            .is_some_and(|entry| entry.position(member).is_some())
    }

    /// The groups of `member`, in the order of joining.
    #[must_use]
    pub fn groups_of(&self, member: M) -> &[GroupName] {
        self.members.get(&member).map_or(&[], |groups| groups)
    }

    /// The groups that have members, in no order.
    pub fn groups(&self) -> impl Iterator<Item = &GroupName> {
        self.groups.keys()
    }

    /// Every member of every group, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&GroupName, M, &D)> {
        self.groups.iter().flat_map(|(group, entry)| {
            entry
                .members
                .iter()
                .map(move |(member, data)| (group, *member, data))
        })
    }

    /// Whether nobody is a member of anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }
}

impl<M, D> fmt::Debug for GroupTable<M, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupTable")
            .field("groups", &self.groups.len())
            .field("members", &self.members.len())
            .finish()
    }
}
