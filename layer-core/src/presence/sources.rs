//! What a replica knows of each source: how far it has heard it, and which
//! entries are its own.

use std::collections::{BTreeMap, HashMap, VecDeque};

use bytestring::ByteString;

use super::mark::Sum;
use super::{Change, ChangeKind, Source};
use crate::NodeId;

/// Dead nodes that are remembered; the layer forgets their memberships long
/// before so many others have died.
const GONE_MAX: usize = 64;

/// All sources of a topic.
#[derive(Debug, Default)]
pub(super) struct Sources {
    nodes: HashMap<NodeId, Node>,
    gone: VecDeque<NodeId>,
}

#[derive(Debug, Default)]
struct Node {
    /// It is dead up to this incarnation.
    gone: Option<u64>,
    shards: BTreeMap<u8, Known>,
}

/// One source.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The newest that was met. Each shard takes it for itself, one after the
    /// other.
    incarnation: Option<u64>,
    /// The last version heard.
    version: Option<u64>,
    /// Its entries, by position.
    entries: BTreeMap<u64, ByteString>,
    sum: Sum,
    /// Entries that a snapshot did not have any more, and of which the source may
    /// still be heard: it has not said yet that they left. A beat ends that, so
    /// there are no more than were here since the last.
    missing: HashMap<ByteString, Missing>,
}

/// An entry that a snapshot did not have any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Missing {
    pub(super) fate: Fate,
    /// The last version of its source of which is known that it was here: what
    /// was said before may be older than its join.
    pub(super) version: u64,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It left, or the snapshot is older than it.
    Gone,
    /// Another has taken its place: it does not come back.
    Replaced,
}

/// How a source stands to what is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is dead.
    Void,
    /// There is a newer incarnation.
    Older,
    /// It counts.
    Valid,
    /// It counts, and takes the place of an older incarnation: what it says is
    /// all there is shows which of that one's entries remain.
    Newer,
}

/// How a change stands to what was heard before.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Heard before.
    Old,
    /// To be applied.
    Next,
    /// Something was lost before it.
    Hole,
}

impl Sources {
    /// How a source stands that is heard now, or found in a snapshot.
    pub(super) fn meet(&mut self, source: Source) -> Standing {
        let node = self.nodes.entry(source.node).or_default();
        let met = Some(source.incarnation);
        if node.gone >= met {
            return Standing::Void;
        }
        let known = node.shards.entry(source.shard).or_default();
        if known.incarnation > met {
            return Standing::Older;
        }
        match std::mem::replace(&mut known.incarnation, met) {
            older @ Some(_) if older < met => {
                known.missing.clear();
                Standing::Newer
            }
            Some(_) | None => Standing::Valid,
        }
    }

    /// Marks a node as dead up to an incarnation; says its entries.
    pub(super) fn bury(&mut self, id: NodeId, incarnation: u64) -> Vec<ByteString> {
        let node = self.nodes.entry(id).or_default();
        let entries = node.bury(incarnation);
        if !self.gone.contains(&id) {
            self.gone.push_back(id);
        }
        if self.gone.len() > GONE_MAX
            && let Some(oldest) = self.gone.pop_front()
            && self
                .nodes
                .get(&oldest)
                .is_some_and(|node| node.shards.is_empty())
        {
            self.nodes.remove(&oldest);
        }
        entries
    }

    /// What is known of a source that counts.
    pub(super) fn known(&mut self, source: Source) -> &mut Known {
        let node = self.nodes.entry(source.node).or_default();
        node.shards.entry(source.shard).or_default()
    }

    /// Notes a version that a snapshot still to be read covers.
    pub(super) fn note(&mut self, source: Source, version: u64) {
        if let Some(node) = self.nodes.get_mut(&source.node)
            && let Some(known) = node.shards.get_mut(&source.shard)
            && known.incarnation == Some(source.incarnation)
        {
            known.note(version);
        }
    }

    /// Notes that an entry is no more.
    pub(super) fn remove(&mut self, source: Source, position: u64) {
        if let Some(node) = self.nodes.get_mut(&source.node)
            && let Some(known) = node.shards.get_mut(&source.shard)
        {
            known.remove(position);
        }
    }
}

impl Node {
    fn bury(&mut self, incarnation: u64) -> Vec<ByteString> {
        let dead = Some(incarnation);
        self.gone = self.gone.max(dead);
        let shards = self
            .shards
            .extract_if(.., |_, known| known.incarnation <= dead);
        shards
            .flat_map(|(_, known)| known.entries.into_values())
            .collect()
    }
}

impl Known {
    /// All that it says from now on is newer than what was heard of it.
    pub(super) fn restart(&mut self) {
        self.version = None;
    }

    /// How a change stands, and notes its version. `exactly`: whether a beat is
    /// held against the entries, too; among changes that a snapshot may be ahead
    /// of, it is not.
    pub(super) fn order(&mut self, change: &Change, exactly: bool) -> Order {
        let version = change.version;
        let order = match (&change.kind, self.version) {
            (ChangeKind::Delta { .. }, Some(last)) if version > last.saturating_add(1) => {
                Order::Hole
            }
            (ChangeKind::Beat { .. }, Some(last)) if version > last => Order::Hole,
            (ChangeKind::Beat { .. }, Some(last)) if version < last => Order::Old,
            (ChangeKind::Beat { digest }, _) if exactly && self.sum != Sum::of(*digest) => {
                Order::Hole
            }
            (ChangeKind::Beat { .. }, _) => {
                // All that it said before was heard.
                self.missing.retain(|_, missing| missing.version > version);
                Order::Old
            }
            (_, Some(last)) if version <= last => Order::Old,
            _ => Order::Next,
        };
        self.note(version);
        order
    }

    fn note(&mut self, version: u64) {
        self.version = self.version.max(Some(version));
    }

    /// Notes that a snapshot did not have an entry any more.
    pub(super) fn miss(&mut self, reference: ByteString, missing: Missing) {
        self.missing.insert(reference, missing);
    }

    /// Whether a snapshot did not have an entry any more: what says that it is
    /// here may be older than that.
    pub(super) fn misses(&self, reference: &str) -> Option<Fate> {
        self.missing.get(reference).map(|missing| missing.fate)
    }

    /// The source has said that an entry left, or a snapshot has it again.
    pub(super) fn settle(&mut self, reference: &str) {
        self.missing.remove(reference);
    }

    /// The source has said who was here at a version: all others had left, if
    /// they had joined.
    pub(super) fn settle_all_but(&mut self, version: u64, here: impl Fn(&str) -> bool) {
        self.missing
            .retain(|reference, missing| here(reference) || missing.version > version);
    }

    pub(super) fn insert(&mut self, position: u64, reference: &ByteString) {
        self.sum.add(reference);
        self.entries.insert(position, reference.clone());
    }

    fn remove(&mut self, position: u64) {
        if let Some(reference) = self.entries.remove(&position) {
            self.sum.remove(&reference);
        }
    }

    /// Its entries, oldest first.
    pub(super) fn entries(&self) -> impl Iterator<Item = &ByteString> {
        self.entries.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beat_ends_what_is_remembered_of_the_missing_before_it() {
        let mut known = Known::default();
        known.note(7);
        for (reference, version) in [("a", 8), ("b", 9)] {
            let fate = Fate::Gone;
            known.miss(reference.into(), Missing { fate, version });
        }
        let beat = |version| Change {
            source: Source {
                node: crate::NodeId::random(&crate::SeededEntropy::new(1)),
                incarnation: 0,
                shard: 0,
            },
            version,
            kind: ChangeKind::Beat { digest: 0 },
        };
        assert_eq!(known.order(&beat(8), true), Order::Hole);
        assert_eq!(known.misses("a"), Some(Fate::Gone));
        assert_eq!(known.order(&beat(8), true), Order::Old);
        assert_eq!(known.misses("a"), None);
        assert_eq!(known.misses("b"), Some(Fate::Gone));
    }
}
