//! What clients are told: who joined and who left.

use std::collections::HashMap;
use std::sync::Arc;

use bytestring::ByteString;

use super::Entry;

/// Who joined and who left. An update is a leave of the old entry and a join of
/// the new one. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diff {
    /// Who joined, in that order.
    pub joins: Vec<Arc<Entry>>,
    /// Who left, in that order.
    pub leaves: Vec<Arc<Entry>>,
}

/// The diffs of one announcing period, as one.
///
/// A join and its leave cancel each other: it holds those who joined since the
/// last announcement and are still here, and those who left of what was
/// announced. An entry that was updated several times is one leave and one join.
#[derive(Debug, Default)]
pub struct Pending {
    joins: Side,
    leaves: Side,
    /// What the joins that were cancelled had taken the place of.
    replaced: HashMap<ByteString, Option<ByteString>>,
    order: u64,
}

type Side = HashMap<ByteString, (u64, Arc<Entry>)>;

impl Pending {
    /// Adds what happened after all that is in it.
    pub fn add(&mut self, diff: Diff) {
        for entry in diff.leaves {
            self.leave(entry);
        }
        for entry in diff.joins {
            self.join(entry);
        }
        // An update is one diff: nobody comes to take the place of these.
        self.replaced.clear();
    }

    /// Takes what is to be announced; nothing if all cancelled out.
    pub fn take(&mut self) -> Option<Diff> {
        self.replaced.clear();
        let joins = in_order(std::mem::take(&mut self.joins));
        let leaves = in_order(std::mem::take(&mut self.leaves));
        (!joins.is_empty() || !leaves.is_empty()).then_some(Diff { joins, leaves })
    }

    /// Whether there is nothing to announce.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.joins.is_empty() && self.leaves.is_empty()
    }

    pub(super) fn join(&mut self, entry: Arc<Entry>) {
        if self.leaves.remove(&entry.reference).is_some() {
            return;
        }
        let entry = self.renamed(entry);
        self.order += 1;
        self.joins
            .insert(entry.reference.clone(), (self.order, entry));
    }

    pub(super) fn leave(&mut self, entry: Arc<Entry>) {
        if let Some((_, join)) = self.joins.remove(&entry.reference) {
            self.replaced
                .insert(entry.reference.clone(), join.previous.clone());
            return;
        }
        self.order += 1;
        self.leaves
            .insert(entry.reference.clone(), (self.order, entry));
    }

    /// Names as its previous entry the one that clients know.
    fn renamed(&mut self, entry: Arc<Entry>) -> Arc<Entry> {
        let unheard = entry.previous.as_ref();
        match unheard.and_then(|previous| self.replaced.remove(previous)) {
            Some(previous) => Arc::new(Entry {
                previous,
                ..Entry::clone(&entry)
            }),
            None => entry,
        }
    }
}

fn in_order(side: Side) -> Vec<Arc<Entry>> {
    let mut entries: Vec<_> = side.into_values().collect();
    entries.sort_unstable_by_key(|(order, _)| *order);
    entries.into_iter().map(|(_, entry)| entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(reference: &str, previous: Option<&str>) -> Arc<Entry> {
        Arc::new(Entry {
            reference: reference.into(),
            previous: previous.map(Into::into),
            key: "u".into(),
            meta: "{}".into(),
        })
    }

    fn diff(joins: &[Arc<Entry>], leaves: &[Arc<Entry>]) -> Diff {
        Diff {
            joins: joins.to_vec(),
            leaves: leaves.to_vec(),
        }
    }

    #[test]
    fn a_join_and_its_leave_in_one_period_are_nothing() {
        let mut pending = Pending::default();
        pending.add(diff(&[entry("1", None)], &[]));
        pending.add(diff(&[], &[entry("1", None)]));
        assert!(pending.is_empty());
        assert_eq!(pending.take(), None);
    }

    #[test]
    fn several_updates_in_one_period_are_one() {
        let mut pending = Pending::default();
        pending.add(diff(&[entry("2", Some("1"))], &[entry("1", None)]));
        pending.add(diff(&[entry("3", Some("2"))], &[entry("2", Some("1"))]));
        let announced = diff(&[entry("3", Some("1"))], &[entry("1", None)]);
        assert_eq!(pending.take(), Some(announced));
        assert_eq!(pending.take(), None);
    }

    #[test]
    fn an_update_of_what_joined_in_the_same_period_is_a_join() {
        let mut pending = Pending::default();
        pending.add(diff(&[entry("1", None)], &[]));
        pending.add(diff(&[entry("2", Some("1"))], &[entry("1", None)]));
        assert_eq!(pending.take(), Some(diff(&[entry("2", None)], &[])));
    }
}
