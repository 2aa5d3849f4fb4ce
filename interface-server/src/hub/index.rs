//! Which shards have members of a group.
//!
//! The index may name a shard without members, never miss one with members: a
//! join is noted before its entry is queued, and a shard that finds a group
//! empty is struck out only while no join is on its way to it.

use std::collections::HashMap;

use smallvec::SmallVec;
use towpath_layer_core::GroupName;

/// Shards, by number.
pub(crate) type Shards = SmallVec<[usize; 8]>;

#[derive(Debug)]
struct Seat {
    shard: usize,
    /// Joins that are queued and not applied.
    joining: u32,
}

/// The shards with members, by group.
#[derive(Debug, Default)]
pub(crate) struct GroupIndex {
    groups: HashMap<GroupName, SmallVec<[Seat; 2]>>,
}

impl GroupIndex {
    /// A join is about to be queued.
    pub(crate) fn joining(&mut self, group: &GroupName, shard: usize) {
        let seats = self.groups.entry(group.clone()).or_default();
        if let Some(seat) = seats.iter_mut().find(|seat| seat.shard == shard) {
            seat.joining += 1;
        } else {
            seats.push(Seat { shard, joining: 1 });
        }
    }

    /// A join was applied; `empty` says whether the shard has no members all
    /// the same.
    pub(crate) fn joined(&mut self, group: &GroupName, shard: usize, empty: bool) {
        self.settle(group, shard, 1, empty);
    }

    /// A shard has lost its last member.
    pub(crate) fn emptied(&mut self, group: &GroupName, shard: usize) {
        self.settle(group, shard, 0, true);
    }

    fn settle(&mut self, group: &GroupName, shard: usize, applied: u32, empty: bool) {
        let Some(seats) = self.groups.get_mut(group) else {
            return;
        };
        seats.retain(|seat| {
            if seat.shard != shard {
                return true;
            }
            seat.joining = seat.joining.saturating_sub(applied);
            !empty || seat.joining > 0
        });
        if seats.is_empty() {
            self.groups.remove(group);
        }
    }

    /// The shards that may have members.
    pub(crate) fn shards(&self, group: &GroupName) -> Shards {
        self.groups
            .get(group)
            .map(|seats| seats.iter().map(|seat| seat.shard).collect())
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_is_struck_out_only_when_no_join_is_on_its_way() {
        let room = GroupName::new("room").unwrap();
        let mut index = GroupIndex::default();
        index.joining(&room, 1);
        index.joining(&room, 0);
        assert_eq!(index.shards(&room).as_slice(), [1, 0]);
        index.joined(&room, 1, false);
        index.joining(&room, 1);
        index.emptied(&room, 1);
        assert_eq!(index.shards(&room).as_slice(), [1, 0]);
        index.joined(&room, 1, true);
        assert_eq!(index.shards(&room).as_slice(), [0]);
        index.joined(&room, 0, false);
        index.emptied(&room, 0);
        assert!(index.shards(&room).is_empty() && index.groups.is_empty());
    }
}
