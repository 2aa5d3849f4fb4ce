//! What a source tells the replicas of a topic.

use std::sync::Arc;

use bytestring::ByteString;
use serde::{Deserialize, Serialize};

use crate::NodeId;

/// One authority for presences: a shard of a node, in one incarnation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Source {
    /// The node.
    pub node: NodeId,
    /// Greater each time the node takes part anew after it was declared dead;
    /// what an older one says is void.
    pub incarnation: u64,
    /// The shard.
    pub shard: u8,
}

/// One presence: a key, as often as connections track it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// No other entry ever has it (`phx_ref`); an entry never changes.
    pub reference: ByteString,
    /// The entry that this one took the place of (`phx_ref_prev`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<ByteString>,
    /// Who is present, a user's id for example.
    pub key: ByteString,
    /// JSON text of an object.
    pub meta: ByteString,
}

/// What changed at a source in one topic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Whose presences these are.
    pub source: Source,
    /// One more for each change of this source in this topic; a beat repeats
    /// the last.
    pub version: u64,
    /// What changed.
    pub kind: ChangeKind,
}

/// What changed at a source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// Some left, some joined; an update is one of each.
    Delta {
        /// Who joined.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        joins: Vec<Arc<Entry>>,
        /// The references of those who left.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        leaves: Vec<ByteString>,
    },
    /// These are all. It needs no change before it.
    Full {
        /// Every entry of the source.
        entries: Vec<Arc<Entry>>,
    },
    /// Nothing changed since this version.
    Beat {
        /// What the references of all entries come to.
        digest: u64,
    },
}

impl Entry {
    /// What users put into it, in bytes.
    fn size(&self) -> usize {
        let previous = self.previous.as_ref().map_or(0, |previous| previous.len());
        self.reference.len() + previous + self.key.len() + self.meta.len()
    }
}

impl Change {
    /// Size of the entries and references in it, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        fn sizes(entries: &[Arc<Entry>]) -> usize {
            entries.iter().map(|entry| entry.size()).sum()
        }
        match &self.kind {
            ChangeKind::Delta { joins, leaves } => {
                let leaves: usize = leaves.iter().map(|reference| reference.len()).sum();
                sizes(joins) + leaves
            }
            ChangeKind::Full { entries } => sizes(entries),
            ChangeKind::Beat { .. } => 0,
        }
    }

    /// How many entries it brings and takes.
    pub(super) fn entries(&self) -> usize {
        match &self.kind {
            ChangeKind::Delta { joins, leaves } => joins.len() + leaves.len(),
            ChangeKind::Full { entries } => entries.len(),
            ChangeKind::Beat { .. } => 0,
        }
    }
}
