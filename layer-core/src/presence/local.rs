//! The presences of a source's own connections in one topic.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use bytestring::ByteString;

use super::mark::Sum;
use super::{
    Change, ChangeKind, Entry, PresenceError, PresenceLimits, References, Source, Stored,
    check_key, check_meta,
};
use crate::LocalId;

/// The presences of the connections of one source in one topic, of which it is
/// the only authority.
///
/// Each method that changes something gives the change to publish, after the
/// connection's entries have been [stored](Self::stored). The first change, and
/// the first after it was empty, says all there is: replicas need none before it.
#[derive(Debug)]
pub struct Local<C = LocalId> {
    source: Source,
    version: u64,
    limits: PresenceLimits,
    connections: HashMap<C, Vec<Arc<Entry>>>,
    sum: Sum,
}

impl<C: Copy + Eq + Hash> Local<C> {
    /// No presences yet. `version`: the source has not published a greater one in
    /// this topic; whoever drops an empty one keeps the greatest
    /// [`version`](Self::version) of all for the next.
    #[must_use]
    pub fn new(source: Source, version: u64, limits: PresenceLimits) -> Self {
        Self {
            source,
            version,
            limits,
            connections: HashMap::new(),
            sum: Sum::default(),
        }
    }

    /// Begins a presence of a connection.
    ///
    /// # Errors
    ///
    /// [`PresenceError`]: the key or meta is unfit, the connection tracks the key
    /// already, or has as much as it may; nothing changed.
    pub fn track(
        &mut self,
        connection: C,
        key: ByteString,
        meta: &ByteString,
        references: &mut References,
    ) -> Result<Change, PresenceError> {
        check_key(&key)?;
        let meta = check_meta(meta)?;
        let entries = self.entries(connection);
        if entries.iter().any(|entry| entry.key == key) {
            return Err(PresenceError::AlreadyTracked { key });
        }
        if entries.len() >= self.limits.entries_max {
            let entries_max = self.limits.entries_max;
            return Err(PresenceError::TooMany { entries_max });
        }
        let entry = Arc::new(Entry {
            reference: references.draw(),
            previous: None,
            key,
            meta,
        });
        let mut entries = entries.to_vec();
        entries.push(Arc::clone(&entry));
        let alone = self.is_empty();
        self.replace(connection, entries)?;
        self.sum.add(&entry.reference);
        let entries = vec![entry];
        if alone {
            return Ok(self.change(ChangeKind::Full { entries }));
        }
        Ok(self.delta(entries, Vec::new()))
    }

    /// Gives a presence of a connection a new meta: one change, in which the old
    /// entry leaves and a new one joins.
    ///
    /// # Errors
    ///
    /// [`PresenceError`]: the meta is unfit or too large, or the connection does
    /// not track the key; nothing changed.
    pub fn update(
        &mut self,
        connection: C,
        key: &ByteString,
        meta: &ByteString,
        references: &mut References,
    ) -> Result<Change, PresenceError> {
        let meta = check_meta(meta)?;
        let mut entries = self.entries(connection).to_vec();
        let Some(slot) = entries.iter_mut().find(|entry| entry.key == *key) else {
            return Err(PresenceError::NotTracked { key: key.clone() });
        };
        let old = slot.reference.clone();
        let entry = Arc::new(Entry {
            reference: references.draw(),
            previous: Some(old.clone()),
            key: key.clone(),
            meta,
        });
        *slot = Arc::clone(&entry);
        self.replace(connection, entries)?;
        self.sum.remove(&old);
        self.sum.add(&entry.reference);
        Ok(self.delta(vec![entry], vec![old]))
    }

    /// Ends a presence of a connection; nothing if there is none.
    pub fn untrack(&mut self, connection: C, key: &str) -> Option<Change> {
        let entries = self.connections.get_mut(&connection)?;
        let at = entries.iter().position(|entry| *entry.key == *key)?;
        let entry = entries.remove(at);
        if entries.is_empty() {
            self.connections.remove(&connection);
        }
        Some(self.leave(&[entry]))
    }

    /// Ends all presences of a connection, in one change; nothing if it has none.
    pub fn untrack_all(&mut self, connection: C) -> Option<Change> {
        let entries = self.connections.remove(&connection)?;
        Some(self.leave(&entries))
    }

    /// What the layer is to keep of a connection; nothing if it has no presence.
    #[must_use]
    pub fn stored(&self, connection: C) -> Option<Stored> {
        let entries = self.connections.get(&connection)?.clone();
        Some(Stored {
            source: self.source,
            version: self.version,
            entries,
        })
    }

    /// The presences of a connection, in the order of tracking.
    #[must_use]
    pub fn entries(&self, connection: C) -> &[Arc<Entry>] {
        self.connections
            .get(&connection)
            .map_or(&[], |entries| entries)
    }

    /// The connections with presences, in no order.
    pub fn connections(&self) -> impl Iterator<Item = C> {
        self.connections.keys().copied()
    }

    /// Says once more what there is; replicas that have it announce nothing.
    pub fn announce(&mut self) -> Change {
        let entries = self.connections.values().flatten().cloned().collect();
        self.change(ChangeKind::Full { entries })
    }

    /// Takes a newer incarnation, because the node was declared dead, and
    /// announces all under it. What is stored is to be stored anew before.
    pub fn renew(&mut self, incarnation: u64) -> Change {
        self.source.incarnation = incarnation;
        self.announce()
    }

    /// Says up to where the changes go, so that a replica notices if the last of
    /// them was lost.
    #[must_use]
    pub fn beat(&self) -> Change {
        let digest = self.sum.digest();
        self.says(ChangeKind::Beat { digest })
    }

    /// The version of the last change.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Whether no connection has a presence.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.connections.is_empty()
    }

    fn replace(&mut self, connection: C, entries: Vec<Arc<Entry>>) -> Result<(), PresenceError> {
        let size_max = self.limits.stored_size_max;
        let stored = Stored {
            source: self.source,
            version: u64::MAX,
            entries,
        };
        // Entries are text and numbers: they can always be written.
        let size = stored.encode().map_or(usize::MAX, |bytes| bytes.len());
        if size > size_max {
            return Err(PresenceError::TooLarge { size, size_max });
        }
        self.connections.insert(connection, stored.entries);
        Ok(())
    }

    fn leave(&mut self, entries: &[Arc<Entry>]) -> Change {
        for entry in entries {
            self.sum.remove(&entry.reference);
        }
        let leaves = entries.iter().map(|entry| entry.reference.clone());
        self.delta(Vec::new(), leaves.collect())
    }

    fn delta(&mut self, joins: Vec<Arc<Entry>>, leaves: Vec<ByteString>) -> Change {
        self.change(ChangeKind::Delta { joins, leaves })
    }

    fn change(&mut self, kind: ChangeKind) -> Change {
        self.version += 1;
        self.says(kind)
    }

    fn says(&self, kind: ChangeKind) -> Change {
        Change {
            source: self.source,
            version: self.version,
            kind,
        }
    }
}
