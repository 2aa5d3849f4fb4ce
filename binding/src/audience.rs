//! Who is told what, when a row is seen by other groups than before.

use std::collections::BTreeSet;

use crate::Action;

/// Who is told what: the groups that could see a row and no longer can, those
/// that see it as before, and those that newly can, in this order. No group is
/// in two of them.
pub(crate) fn audiences<G: Ord + Clone>(
    before: &BTreeSet<G>,
    now: &BTreeSet<G>,
) -> [(Action, Vec<G>); 3] {
    [
        (Action::Delete, before.difference(now).cloned().collect()),
        (Action::Update, before.intersection(now).cloned().collect()),
        (Action::Create, now.difference(before).cloned().collect()),
    ]
}

#[cfg(test)]
mod tests {
    use proptest::collection::btree_set;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// What a client knows of a row after it was told is what its group
        /// may see, whatever it knew before.
        #[test]
        fn every_group_is_told_once_and_ends_with_what_it_may_see(
            before in btree_set(0u8..12, 0..8),
            now in btree_set(0u8..12, 0..8),
        ) {
            let mut sees = before.clone();
            let mut told = BTreeSet::new();
            for (action, groups) in audiences(&before, &now) {
                for group in groups {
                    prop_assert!(told.insert(group), "told twice");
                    match action {
                        Action::Create => prop_assert!(sees.insert(group)),
                        Action::Update => prop_assert!(sees.contains(&group)),
                        Action::Delete => prop_assert!(sees.remove(&group)),
                    }
                }
            }
            let all: BTreeSet<u8> = before.union(&now).copied().collect();
            prop_assert_eq!(told, all);
            prop_assert_eq!(sees, now);
        }
    }

    #[test]
    fn departures_come_before_arrivals() {
        let order = audiences::<u8>(&BTreeSet::new(), &BTreeSet::new()).map(|(action, _)| action);
        assert_eq!(order, [Action::Delete, Action::Update, Action::Create]);
    }
}
