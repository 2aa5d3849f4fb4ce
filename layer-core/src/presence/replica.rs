//! One shard's picture of who is here, in one topic.

use std::collections::HashSet;
use std::sync::Arc;

use bytestring::ByteString;

use super::reading::{Applied, Reading, Snapshot};
use super::roster::{Roster, Slot};
use super::sources::{Fate, Missing, Order, Sources, Standing};
use super::{Change, ChangeKind, Diff, Entry, Pending, Source, Stored, json};
use crate::NodeId;

/// The presences of one topic, of all sources, on one shard.
///
/// It begins by loading: changes are held until a snapshot of the layer is there.
/// Then it is live: a change gives the diff to announce, at once. What is missing
/// (a hole in a source's versions, a digest that does not fit) or doubtful
/// ([`reread`](Self::reread)) makes it load once more, with what is known in place,
/// and the diff is what really differs.
#[derive(Debug)]
pub struct Replica {
    held_max: usize,
    readings: u64,
    hold: Option<Hold>,
    sources: Sources,
    roster: Roster,
}

/// The changes that came while a snapshot was read.
#[derive(Debug, Default)]
struct Hold {
    changes: Vec<Change>,
    weight: usize,
}

impl Replica {
    /// A replica that waits for its first snapshot. The diff of that is the whole
    /// state.
    ///
    /// `held_max`: how many changes, and entries in them, are held during a
    /// reading, 16 384 for example. Over it they are dropped and another reading
    /// is asked for, which has them.
    #[must_use]
    pub fn new(held_max: usize) -> (Self, Reading) {
        let mut replica = Self {
            held_max,
            readings: 0,
            hold: None,
            sources: Sources::default(),
            roster: Roster::default(),
        };
        let reading = replica.reread();
        (replica, reading)
    }

    /// Takes a change, in the order of its source.
    pub fn apply(&mut self, change: &Change) -> Applied {
        if let Some(hold) = &mut self.hold {
            hold.weight += 1 + change.entries();
            hold.changes.push(change.clone());
            return if hold.weight > self.held_max {
                Applied::reread(self.reread())
            } else {
                Applied::default()
            };
        }
        let mut pending = Pending::default();
        let whole = self.take(change, true, &mut pending);
        Applied {
            diff: pending.take(),
            reread: (!whole).then(|| self.reread()),
        }
    }

    /// Takes what was read. One that was asked for before another is ignored.
    pub fn loaded(&mut self, reading: Reading, snapshot: &Snapshot) -> Applied {
        if reading != Reading(self.readings) {
            return Applied::default();
        }
        let Some(hold) = self.hold.take() else {
            return Applied::default();
        };
        let mut pending = Pending::default();
        let dropped = self.merge(snapshot, &mut pending);
        let mut holed = HashSet::new();
        for change in &hold.changes {
            // What follows a hole is in the snapshot that is read next.
            if holed.contains(&change.source) {
                self.sources.note(change.source, change.version);
            } else if !self.take(change, false, &mut pending) {
                holed.insert(change.source);
            }
        }
        for slot in dropped {
            if self.roster.source(&slot.entry.reference).is_none() {
                self.miss(&slot, Fate::Gone);
            }
        }
        Applied {
            diff: pending.take(),
            reread: (!holed.is_empty()).then(|| self.reread()),
        }
    }

    /// Asks for a snapshot: messages for this node were dropped, or the last one
    /// was uncertain. Changes are held until it is there.
    #[must_use]
    pub fn reread(&mut self) -> Reading {
        // It is read after these were heard, so it covers them.
        for change in self.hold.take().unwrap_or_default().changes {
            self.sources.note(change.source, change.version);
        }
        self.hold = Some(Hold::default());
        self.readings += 1;
        Reading(self.readings)
    }

    /// A node was declared dead: its presences leave, now and once. What comes
    /// from it after this counts only if it has a newer incarnation.
    ///
    /// `incarnation`: the one that died, and with it all before; `u64::MAX` if the
    /// node never comes back. It has to be known, because a snapshot may be ahead
    /// of the news.
    ///
    /// Each replica is told of each death, so that memberships that the layer has
    /// not yet forgotten do not come back with a snapshot.
    pub fn source_gone(&mut self, node: NodeId, incarnation: u64) -> Option<Diff> {
        let mut pending = Pending::default();
        for reference in self.sources.bury(node, incarnation) {
            self.drop_entry(&reference, &mut pending);
        }
        pending.take()
    }

    /// Whether changes are held until a snapshot is there.
    #[must_use]
    pub fn is_loading(&self) -> bool {
        self.hold.is_some()
    }

    /// Every key in its order, with its entries, oldest first.
    pub fn list(&self) -> impl Iterator<Item = (&ByteString, impl Iterator<Item = &Arc<Entry>>)> {
        self.roster.keys().map(|(key, metas)| (key, metas.iter()))
    }

    /// The entries of one key, oldest first.
    pub fn get_by_key(&self, key: &str) -> impl Iterator<Item = &Arc<Entry>> {
        self.roster.metas(key).iter()
    }

    /// How many entries there are, of all keys.
    #[must_use]
    pub fn count(&self) -> usize {
        self.roster.len()
    }

    /// How many keys are present.
    #[must_use]
    pub fn keys_count(&self) -> usize {
        self.roster.keys_len()
    }

    /// The JSON text of `presence_state`: keys in their order, oldest meta first.
    #[must_use]
    pub fn state(&self) -> ByteString {
        json::state(self.list())
    }

    /// Makes the entries what the snapshot says, and says whom it did not have any
    /// more. It may be ahead of what is heard.
    fn merge(&mut self, snapshot: &Snapshot, pending: &mut Pending) -> Vec<Slot> {
        let mut dropped = Vec::new();
        let mut stored = HashSet::new();
        for one in &snapshot.stored {
            let Stored {
                source,
                version,
                entries,
            } = one;
            match self.sources.meet(*source) {
                Standing::Void => continue,
                // It is about to be stored anew.
                Standing::Older => {
                    stored.extend(entries.iter().map(|entry| &*entry.reference));
                    continue;
                }
                Standing::Valid | Standing::Newer => {}
            }
            for entry in entries {
                // An update is one diff, even if all of it is not certain, and if
                // the join of what it takes the place of is still to be heard.
                if let Some(previous) = &entry.previous
                    && let Some(slot) = self.leave(*source, previous, pending)
                {
                    self.miss(&slot, Fate::Replaced);
                }
                self.sources.known(*source).settle(&entry.reference);
                self.insert(*source, *version, entry, pending);
                stored.insert(&*entry.reference);
            }
        }
        if snapshot.certain {
            let gone = self.roster.select(|reference| !stored.contains(reference));
            for reference in gone {
                dropped.extend(self.drop_entry(&reference, pending));
            }
        }
        dropped
    }

    /// Takes a change; false if something was lost before it, or if it may be older
    /// than the last snapshot.
    fn take(&mut self, change: &Change, exactly: bool, pending: &mut Pending) -> bool {
        let source = change.source;
        match self.sources.meet(source) {
            Standing::Void | Standing::Older => return true,
            Standing::Newer if matches!(change.kind, ChangeKind::Full { .. }) => {
                self.sources.known(source).restart();
            }
            Standing::Valid | Standing::Newer => {}
        }
        match self.sources.known(source).order(change, exactly) {
            Order::Old => return true,
            Order::Hole => return false,
            Order::Next => {}
        }
        match &change.kind {
            ChangeKind::Delta { joins, leaves } => {
                for reference in leaves {
                    self.sources.known(source).settle(reference);
                    self.leave(source, reference, pending);
                }
                self.join(change, joins, pending)
            }
            ChangeKind::Full { entries } => self.replace(change, entries, pending),
            ChangeKind::Beat { .. } => true,
        }
    }

    /// Makes the entries of a source these, but for what a snapshot knows of it
    /// that came after them: that may be ahead of what is heard.
    fn replace(&mut self, change: &Change, entries: &[Arc<Entry>], pending: &mut Pending) -> bool {
        let all: HashSet<&str> = entries.iter().map(|entry| &*entry.reference).collect();
        let known = self.sources.known(change.source);
        known.settle_all_but(change.version, |reference| all.contains(reference));
        let (after, mut gone): (Vec<_>, Vec<_>) = known
            .entries()
            .filter(|known| !all.contains(&***known))
            .cloned()
            .partition(|known| self.roster.is_after(known, change.version));
        let previous = after.iter().filter_map(|one| self.roster.previous(one));
        let updated: HashSet<ByteString> = previous.cloned().collect();
        gone.extend(updated.iter().cloned());
        for reference in &gone {
            self.drop_entry(reference, pending);
        }
        let entries = entries.iter();
        self.join(
            change,
            entries.filter(|entry| !updated.contains(&entry.reference)),
            pending,
        )
    }

    /// Adds entries; false if a snapshot did not have some of them any more: then
    /// it is read who is right.
    fn join<'a>(
        &mut self,
        change: &Change,
        entries: impl IntoIterator<Item = &'a Arc<Entry>>,
        pending: &mut Pending,
    ) -> bool {
        let mut whole = true;
        for entry in entries {
            match self.sources.known(change.source).misses(&entry.reference) {
                Some(Fate::Gone) => whole = false,
                Some(Fate::Replaced) => {}
                None => self.insert(change.source, change.version, entry, pending),
            }
        }
        whole
    }

    /// Removes an entry that is the source's own, of whatever incarnation.
    fn leave(&mut self, source: Source, reference: &str, pending: &mut Pending) -> Option<Slot> {
        let owner = self.roster.source(reference)?;
        let own = owner.node == source.node && owner.shard == source.shard;
        own.then(|| self.drop_entry(reference, pending))?
    }

    /// Notes that a snapshot did not have an entry any more.
    fn miss(&mut self, slot: &Slot, fate: Fate) {
        let version = slot.version;
        let reference = slot.entry.reference.clone();
        let known = self.sources.known(slot.source);
        known.miss(reference, Missing { fate, version });
    }

    fn insert(&mut self, source: Source, version: u64, entry: &Arc<Entry>, pending: &mut Pending) {
        if let Some(position) = self.roster.insert(source, version, entry) {
            let known = self.sources.known(source);
            known.insert(position, &entry.reference);
            pending.join(Arc::clone(entry));
        }
    }

    /// Removes an entry.
    fn drop_entry(&mut self, reference: &str, pending: &mut Pending) -> Option<Slot> {
        let slot = self.roster.remove(reference)?;
        self.sources.remove(slot.source, slot.position);
        pending.leave(Arc::clone(&slot.entry));
        Some(slot)
    }
}
