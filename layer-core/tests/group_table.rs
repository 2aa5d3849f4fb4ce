//! The group table against the plainest model: a set of pairs.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what it expects by unwrapping"
)]

use std::collections::BTreeSet;

use bytes::Bytes;
use proptest::prelude::*;
use towpath_layer_core::{GroupName, GroupTable};

#[derive(Debug, Clone)]
enum Step {
    Join(u8, u8),
    Leave(u8, u8),
    LeaveAll(u8),
}

fn step() -> impl Strategy<Value = Step> {
    // Some groups become large enough for an index, and some stay below it.
    let (group, member) = (0..4u8, 0..24u8);
    prop_oneof![
        8 => (group.clone(), member.clone()).prop_map(|(group, member)| Step::Join(group, member)),
        3 => (group, member.clone()).prop_map(|(group, member)| Step::Leave(group, member)),
        1 => member.prop_map(Step::LeaveAll),
    ]
}

fn name(group: u8) -> GroupName {
    GroupName::new(format!("g{group}")).unwrap()
}

proptest! {
    #[test]
    fn the_table_is_a_set_of_pairs(steps in prop::collection::vec(step(), 0..300)) {
        let mut table = GroupTable::default();
        let mut model = BTreeSet::new();
        for step in steps {
            match step {
                Step::Join(group, member) => {
                    let first = !model.iter().any(|(other, _)| *other == group);
                    prop_assert_eq!(table.join(&name(group), member, Bytes::new()), first);
                    model.insert((group, member));
                }
                Step::Leave(group, member) => {
                    let was = model.remove(&(group, member));
                    let emptied = was && !model.iter().any(|(other, _)| *other == group);
                    prop_assert_eq!(table.leave(&name(group), member), emptied);
                }
                Step::LeaveAll(member) => {
                    let left = table.leave_all(member).len();
                    let before = model.len();
                    model.retain(|(_, other)| *other != member);
                    prop_assert_eq!(left, before - model.len());
                }
            }
            let seen: BTreeSet<_> = table
                .iter()
                .map(|(group, member, _)| (group.as_str()[1..].parse::<u8>().unwrap(), member))
                .collect();
            prop_assert_eq!(&seen, &model);
            for (group, member) in &model {
                prop_assert!(table.is_member(&name(*group), *member));
                prop_assert!(table.groups_of(*member).contains(&name(*group)));
            }
            prop_assert_eq!(table.is_empty(), model.is_empty());
        }
    }
}

#[test]
fn a_second_join_replaces_the_metadata() {
    let mut table = GroupTable::default();
    table.join(&name(1), 1u8, Bytes::from_static(b"old"));
    table.join(&name(1), 1u8, Bytes::from_static(b"new"));
    assert_eq!(table.members(&name(1)), [(1, Bytes::from_static(b"new"))]);
}
