//! The entries of a topic, by reference and by key.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytestring::ByteString;

use super::{Entry, Source};

/// All entries of a topic. Each has a position: the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Roster {
    slots: HashMap<ByteString, Slot>,
    keys: BTreeMap<ByteString, BTreeMap<u64, Arc<Entry>>>,
    next: u64,
}

#[derive(Debug)]
pub(super) struct Slot {
    pub(super) source: Source,
    pub(super) position: u64,
    /// The last version of the source of which is known that it is here.
    pub(super) version: u64,
    pub(super) entry: Arc<Entry>,
}

impl Roster {
    /// Adds an entry that was here at a version of its source, and says its
    /// position, unless it is here already.
    pub(super) fn insert(
        &mut self,
        source: Source,
        version: u64,
        entry: &Arc<Entry>,
    ) -> Option<u64> {
        if let Some(slot) = self.slots.get_mut(&entry.reference) {
            slot.version = slot.version.max(version);
            return None;
        }
        let position = self.next;
        self.next += 1;
        self.keys
            .entry(entry.key.clone())
            .or_default()
            .insert(position, Arc::clone(entry));
        let slot = Slot {
            source,
            position,
            version,
            entry: Arc::clone(entry),
        };
        self.slots.insert(entry.reference.clone(), slot);
        Some(position)
    }

    /// Removes an entry.
    pub(super) fn remove(&mut self, reference: &str) -> Option<Slot> {
        let slot = self.slots.remove(reference)?;
        if let Some(metas) = self.keys.get_mut(&slot.entry.key) {
            metas.remove(&slot.position);
            if metas.is_empty() {
                self.keys.remove(&slot.entry.key);
            }
        }
        Some(slot)
    }

    /// Whether it is known to be here at a later version of its source.
    pub(super) fn is_after(&self, reference: &str, version: u64) -> bool {
        let slot = self.slots.get(reference);
        slot.is_some_and(|slot| slot.version > version)
    }

    /// Which entry it took the place of.
    pub(super) fn previous(&self, reference: &str) -> Option<&ByteString> {
        self.slots.get(reference)?.entry.previous.as_ref()
    }

    /// Whose entry it is.
    pub(super) fn source(&self, reference: &str) -> Option<Source> {
        self.slots.get(reference).map(|slot| slot.source)
    }

    /// The references of all entries that `gone` says yes to, oldest first.
    pub(super) fn select(&self, mut gone: impl FnMut(&str) -> bool) -> Vec<ByteString> {
        let mut found: Vec<_> = self
            .slots
            .iter()
            .filter(|(reference, _)| gone(reference))
            .map(|(reference, slot)| (slot.position, reference.clone()))
            .collect();
        found.sort_unstable_by_key(|(position, _)| *position);
        found.into_iter().map(|(_, reference)| reference).collect()
    }

    /// Keys in their order, each with its entries, oldest first.
    pub(super) fn keys(&self) -> impl Iterator<Item = (&ByteString, Metas<'_>)> {
        self.keys
            .iter()
            .map(|(key, metas)| (key, Metas(Some(metas))))
    }

    /// The entries of one key, oldest first.
    pub(super) fn metas(&self, key: &str) -> Metas<'_> {
        Metas(self.keys.get(key))
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// How many keys there are.
    pub(super) fn keys_len(&self) -> usize {
        self.keys.len()
    }
}

/// The entries of one key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Metas<'a>(Option<&'a BTreeMap<u64, Arc<Entry>>>);

impl<'a> Metas<'a> {
    pub(super) fn iter(self) -> impl Iterator<Item = &'a Arc<Entry>> {
        self.0.into_iter().flat_map(BTreeMap::values)
    }
}
