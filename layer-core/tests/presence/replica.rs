//! What one replica makes of changes, snapshots and deaths.

use std::sync::Arc;

use towpath_layer_core::presence::{Applied, Change, Diff, Entry, Reading, Replica, Snapshot};

use super::{Owner, node};

fn certain(owners: &[&Owner]) -> Snapshot {
    let stored = owners.iter().flat_map(|owner| {
        let connections = owner.local.connections();
        connections.filter_map(|connection| owner.local.stored(connection))
    });
    Snapshot {
        stored: stored.collect(),
        certain: true,
    }
}

/// A replica that has read who is here.
fn live(owners: &[&Owner]) -> Replica {
    let (mut replica, reading) = Replica::new(100);
    let applied = replica.loaded(reading, &certain(owners));
    assert_eq!(applied.reread, None);
    replica
}

/// The keys of who joined and of who left, sorted.
fn keys(diff: Option<Diff>) -> (Vec<String>, Vec<String>) {
    let Some(Diff { joins, leaves }) = diff else {
        return Default::default();
    };
    let sorted = |entries: &[Arc<Entry>]| {
        let mut keys: Vec<_> = entries.iter().map(|entry| entry.key.to_string()).collect();
        keys.sort();
        keys
    };
    (sorted(&joins), sorted(&leaves))
}

#[track_caller]
fn joins(applied: Applied, expected: &[&str]) {
    assert_eq!(applied.reread, None);
    let (joins, leaves) = keys(applied.diff);
    assert_eq!((joins, leaves.len()), (strings(expected), 0));
}

fn strings(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

#[track_caller]
fn asks(applied: &Applied) -> Reading {
    applied.reread.unwrap()
}

#[test]
fn a_change_is_a_diff_once() {
    let mut owner = Owner::new(1);
    let mut replica = live(&[]);
    let first = owner.track(1, "ann");
    let second = owner.track(2, "bob");
    joins(replica.apply(&first), &["ann"]);
    joins(replica.apply(&second), &["bob"]);
    assert_eq!(replica.apply(&first), Applied::default());
    assert_eq!(replica.apply(&second), Applied::default());
    assert_eq!(replica.count(), 2);
}

#[test]
fn what_is_announced_once_more_is_no_diff() {
    let mut owner = Owner::new(1);
    owner.track(1, "ann");
    owner.track(2, "bob");
    let mut replica = live(&[&owner]);
    let before = replica.state();
    assert_eq!(replica.apply(&owner.local.announce()), Applied::default());
    assert_eq!(replica.state(), before);
}

#[test]
fn a_change_that_was_held_is_no_diff_when_the_snapshot_has_it() {
    let mut owner = Owner::new(1);
    let (mut replica, reading) = Replica::new(100);
    let change = owner.track(1, "ann");
    assert_eq!(replica.apply(&change), Applied::default());
    joins(replica.loaded(reading, &certain(&[&owner])), &["ann"]);
}

#[test]
fn a_leave_that_was_held_is_not_undone_by_the_snapshot() {
    let mut owner = Owner::new(1);
    owner.track(1, "ann");
    let stale = certain(&[&owner]);
    let (mut replica, reading) = Replica::new(100);
    let left = owner.local.untrack_all(1).unwrap();
    assert_eq!(replica.apply(&left), Applied::default());
    assert_eq!(replica.loaded(reading, &stale), Applied::default());
    assert_eq!(replica.count(), 0);
}

#[test]
fn a_hole_is_read_once_more_and_only_the_difference_is_told() {
    let mut owner = Owner::new(1);
    owner.track(1, "ann");
    let mut replica = live(&[&owner]);
    joins(replica.apply(&owner.track(2, "bob")), &["bob"]);
    drop(owner.local.untrack_all(1));
    let reading = asks(&replica.apply(&owner.track(3, "cid")));
    assert!(replica.is_loading());
    assert_eq!(replica.count(), 2);
    let applied = replica.loaded(reading, &certain(&[&owner]));
    assert_eq!(applied.reread, None);
    assert_eq!(keys(applied.diff), (strings(&["cid"]), strings(&["ann"])));
    joins(replica.apply(&owner.track(4, "dan")), &["dan"]);
}

#[test]
fn a_last_change_that_was_lost_is_found_by_the_beat() {
    let mut owner = Owner::new(1);
    owner.track(1, "ann");
    let mut replica = live(&[&owner]);
    assert_eq!(replica.apply(&owner.local.beat()), Applied::default());
    drop(owner.track(2, "bob"));
    let reading = asks(&replica.apply(&owner.local.beat()));
    joins(replica.loaded(reading, &certain(&[&owner])), &["bob"]);
    assert_eq!(replica.apply(&owner.local.beat()), Applied::default());
}

#[test]
fn a_change_lost_before_the_first_that_was_heard_is_found_by_the_beat() {
    let mut owner = Owner::new(1);
    owner.track(1, "ann");
    let mut replica = live(&[&owner]);
    drop(owner.track(2, "bob"));
    joins(replica.apply(&owner.track(3, "cid")), &["cid"]);
    let reading = asks(&replica.apply(&owner.local.beat()));
    joins(replica.loaded(reading, &certain(&[&owner])), &["bob"]);
}

#[test]
fn a_hold_that_is_full_asks_for_another_snapshot() {
    let mut owner = Owner::new(1);
    let (mut replica, first) = Replica::new(4);
    assert_eq!(replica.apply(&owner.track(1, "ann")), Applied::default());
    assert_eq!(replica.apply(&owner.track(2, "bob")), Applied::default());
    let stale = certain(&[]);
    let second = asks(&replica.apply(&owner.track(3, "cid")));
    assert_eq!(replica.loaded(first, &stale), Applied::default());
    assert!(replica.is_loading());
    let applied = replica.loaded(second, &certain(&[&owner]));
    assert_eq!((applied.reread, replica.count()), (None, 3));
}

#[test]
fn a_hole_among_held_changes_asks_for_another_snapshot() {
    let mut owner = Owner::new(1);
    let (mut replica, reading) = Replica::new(100);
    let empty = certain(&[]);
    assert_eq!(replica.apply(&owner.track(1, "ann")), Applied::default());
    drop(owner.track(2, "bob"));
    assert_eq!(replica.apply(&owner.track(3, "cid")), Applied::default());
    let applied = replica.loaded(reading, &empty);
    assert_eq!(keys(applied.diff), (strings(&["ann"]), vec![]));
    let reading = applied.reread.unwrap();
    joins(
        replica.loaded(reading, &certain(&[&owner])),
        &["bob", "cid"],
    );
}

#[test]
fn a_dead_node_leaves_once_and_does_not_come_back() {
    let (mut dead, mut other) = (Owner::new(1), Owner::new(2));
    dead.track(1, "ann");
    other.track(1, "bob");
    let stale = certain(&[&dead, &other]);
    let mut replica = live(&[&dead, &other]);
    let diff = replica.source_gone(dead.source.node, 1);
    assert_eq!(keys(diff), (vec![], strings(&["ann"])));
    assert_eq!(replica.source_gone(dead.source.node, 1), None);
    assert_eq!(replica.apply(&dead.track(2, "cid")), Applied::default());
    let reading = replica.reread();
    assert_eq!(replica.loaded(reading, &stale), Applied::default());
    assert_eq!(replica.count(), 1);
}

#[test]
fn a_death_during_loading_is_heeded_for_a_node_not_yet_known() {
    let mut dead = Owner::new(1);
    let (mut replica, reading) = Replica::new(100);
    let held = dead.track(1, "ann");
    assert_eq!(replica.apply(&held), Applied::default());
    let stale = certain(&[&dead]);
    assert_eq!(replica.source_gone(dead.source.node, 1), None);
    assert_eq!(replica.loaded(reading, &stale), Applied::default());
}

#[test]
fn a_node_that_was_declared_dead_comes_back_with_a_newer_incarnation() {
    let mut owner = Owner::new(1);
    owner.track(1, "ann");
    let mut replica = live(&[&owner]);
    drop(replica.source_gone(owner.source.node, 1));
    let renewed = owner.local.renew(2);
    joins(replica.apply(&renewed), &["ann"]);
    // News of the death that come late.
    assert_eq!(replica.source_gone(owner.source.node, 1), None);
    assert_eq!(replica.count(), 1);
}

#[test]
fn a_newer_incarnation_replaces_the_older_in_one_diff() {
    let mut owner = Owner::new(1);
    let late = owner.track(1, "ann");
    owner.track(2, "bob");
    let mut replica = live(&[&owner]);
    drop(owner.local.untrack_all(1));
    let applied = replica.apply(&owner.local.renew(2));
    assert_eq!(applied.reread, None);
    assert_eq!(keys(applied.diff), (vec![], strings(&["ann"])));
    assert_eq!(replica.apply(&late), Applied::default());
    joins(replica.apply(&owner.track(3, "cid")), &["cid"]);
}

#[test]
fn a_shard_that_says_all_anew_takes_nobody_of_its_neighbour_along() {
    let (mut one, mut other) = (Owner::on_shard(1, 0), Owner::on_shard(1, 1));
    one.track(1, "ann");
    other.track(2, "bob");
    let mut replica = live(&[&one, &other]);
    assert_eq!(replica.apply(&one.local.renew(2)), Applied::default());
    assert_eq!(replica.count(), 2);
    assert_eq!(replica.apply(&other.local.renew(2)), Applied::default());
    // News of the death of the older incarnation, of both shards.
    assert_eq!(replica.source_gone(one.source.node, 1), None);
    assert_eq!(replica.count(), 2);
}

#[test]
fn what_is_stored_anew_one_after_the_other_makes_nobody_leave() {
    let mut owner = Owner::new(1);
    owner.track(1, "ann");
    owner.track(2, "bob");
    let mut replica = live(&[&owner]);
    let old = certain(&[&owner]);
    let renewed = owner.local.renew(2);
    let new = certain(&[&owner]);
    for (ann, bob) in [(&new, &old), (&old, &new)] {
        let stored = |snapshot: &Snapshot, key| {
            let mut stored = snapshot.stored.iter();
            stored
                .find(|one| one.entries[0].key == key)
                .unwrap()
                .clone()
        };
        let half = Snapshot {
            stored: vec![stored(ann, "ann"), stored(bob, "bob")],
            certain: true,
        };
        let reading = replica.reread();
        assert_eq!(replica.loaded(reading, &half), Applied::default());
    }
    assert_eq!(replica.apply(&renewed), Applied::default());
    let left = owner.local.untrack_all(2).unwrap();
    assert_eq!(keys(replica.apply(&left).diff), (vec![], strings(&["bob"])));
}

#[test]
fn a_snapshot_that_is_ahead_of_all_there_is_loses_nobody() {
    let mut owner = Owner::new(1);
    let all = owner.track(1, "ann");
    let more = owner.track(2, "bob");
    let mut replica = live(&[&owner]);
    assert_eq!(replica.apply(&all), Applied::default());
    assert_eq!(replica.apply(&more), Applied::default());
    let all = owner.local.announce();
    let more = owner.track(3, "cid");
    let reading = replica.reread();
    joins(replica.loaded(reading, &certain(&[&owner])), &["cid"]);
    assert_eq!(replica.apply(&all), Applied::default());
    assert_eq!(replica.apply(&more), Applied::default());
    assert_eq!(replica.count(), 3);
}

#[test]
fn who_left_by_a_snapshot_does_not_join_again_by_what_was_said_before() {
    let mut owner = Owner::new(1);
    let old = owner.track(1, "ann");
    owner.track(2, "bob");
    let mut replica = live(&[&owner]);
    let all = owner.local.announce();
    let left = owner.local.untrack_all(1).unwrap();
    let reading = replica.reread();
    let loaded = replica.loaded(reading, &certain(&[&owner]));
    assert_eq!(keys(loaded.diff), (vec![], strings(&["ann"])));
    for late in [&old, &all] {
        let applied = replica.apply(late);
        assert_eq!(applied.diff, None);
        let (reading, snapshot) = (asks(&applied), certain(&[&owner]));
        assert_eq!(replica.loaded(reading, &snapshot), Applied::default());
    }
    assert_eq!(replica.apply(&left), Applied::default());
    assert_eq!(replica.apply(&owner.local.beat()), Applied::default());
    assert_eq!(replica.count(), 1);
}

#[test]
fn who_was_updated_twice_does_not_join_again_by_what_was_said_before() {
    let mut owner = Owner::new(1);
    owner.track(1, "ann");
    let mut replica = live(&[&owner]);
    let all = owner.local.announce();
    for meta in ["{}", "{\"at\":2}"] {
        let Owner {
            local, references, ..
        } = &mut owner;
        let updated = local.update(1, &"ann".into(), &meta.into(), references);
        drop(updated.unwrap());
    }
    let reading = replica.reread();
    let loaded = replica.loaded(reading, &certain(&[&owner]));
    assert_eq!(keys(loaded.diff), (strings(&["ann"]), strings(&["ann"])));
    let late = replica.apply(&all);
    assert_eq!((late.diff.as_ref(), replica.count()), (None, 1));
    let again = replica.loaded(asks(&late), &certain(&[&owner]));
    assert_eq!(again, Applied::default());
}

#[test]
fn who_was_missing_and_is_said_to_be_here_is_read_once_more() {
    let mut owner = Owner::new(1);
    owner.track(1, "ann");
    owner.track(2, "bob");
    let mut replica = live(&[&owner]);
    // The backend has lost one of them, and the node was slow to say so.
    let (reading, mut lossy) = (replica.reread(), certain(&[&owner]));
    lossy.stored.retain(|stored| stored.entries[0].key == "bob");
    let loaded = replica.loaded(reading, &lossy);
    assert_eq!(keys(loaded.diff), (vec![], strings(&["ann"])));
    let said = replica.apply(&owner.local.announce());
    assert_eq!(said.diff, None);
    joins(replica.loaded(asks(&said), &certain(&[&owner])), &["ann"]);
    assert_eq!(replica.apply(&owner.local.announce()), Applied::default());
}

#[test]
fn an_update_that_is_ahead_of_all_there_is_stays_one_diff() {
    let mut owner = Owner::new(1);
    owner.track(1, "ann");
    let mut replica = live(&[&owner]);
    let reading = replica.reread();
    assert_eq!(replica.apply(&owner.local.announce()), Applied::default());
    let meta = "{}".into();
    let Owner {
        local, references, ..
    } = &mut owner;
    let update = local.update(1, &"ann".into(), &meta, references).unwrap();
    let loaded = replica.loaded(reading, &certain(&[&owner]));
    assert_eq!(keys(loaded.diff), (strings(&["ann"]), strings(&["ann"])));
    assert_eq!(replica.apply(&update), Applied::default());
    assert_eq!(replica.count(), 1);
}

/// A replica that knows bob from a snapshot, the change in which he joined, and
/// what says who was here before that.
fn ahead(owner: &mut Owner) -> (Replica, Change, [Change; 2]) {
    let all = owner.track(1, "ann");
    let mut replica = live(&[owner]);
    assert_eq!(replica.apply(&all), Applied::default());
    let before = [owner.local.announce(), owner.local.beat()];
    let joined = owner.track(2, "bob");
    let reading = replica.reread();
    joins(replica.loaded(reading, &certain(&[owner])), &["bob"]);
    (replica, joined, before)
}

#[test]
fn an_update_of_one_who_is_still_to_be_heard_of_stays_one_diff() {
    for heard_before in [0..0, 0..1, 1..2, 0..2] {
        let mut owner = Owner::new(1);
        let (mut replica, joined, before) = ahead(&mut owner);
        let reading = replica.reread();
        for change in before[heard_before].iter().chain([&joined]) {
            assert_eq!(replica.apply(change), Applied::default());
        }
        let Owner {
            local, references, ..
        } = &mut owner;
        let update = local.update(2, &"bob".into(), &"{}".into(), references);
        let loaded = replica.loaded(reading, &certain(&[&owner]));
        assert_eq!(keys(loaded.diff), (strings(&["bob"]), strings(&["bob"])));
        if let Some(reading) = loaded.reread {
            let again = replica.loaded(reading, &certain(&[&owner]));
            assert_eq!(again, Applied::default());
        }
        assert_eq!(replica.apply(&update.unwrap()), Applied::default());
        assert_eq!(replica.count(), 2);
    }
}

#[test]
fn who_left_by_a_snapshot_does_not_join_again_though_others_are_said_to_be_here_first() {
    let mut owner = Owner::new(1);
    let (mut replica, joined, [all, beat]) = ahead(&mut owner);
    let left = owner.local.untrack_all(2).unwrap();
    let reading = replica.reread();
    let loaded = replica.loaded(reading, &certain(&[&owner]));
    assert_eq!(keys(loaded.diff), (vec![], strings(&["bob"])));
    assert_eq!(replica.apply(&all), Applied::default());
    assert_eq!(replica.apply(&beat), Applied::default());
    let late = replica.apply(&joined);
    assert_eq!(late.diff, None);
    let again = replica.loaded(asks(&late), &certain(&[&owner]));
    assert_eq!(again, Applied::default());
    assert_eq!(replica.apply(&left), Applied::default());
    assert_eq!(replica.count(), 1);
}

#[test]
fn an_update_in_an_uncertain_snapshot_is_a_leave_and_a_join() {
    let mut owner = Owner::new(1);
    owner.track(1, "ann");
    owner.track(2, "bob");
    let mut replica = live(&[&owner]);
    let meta = "{}".into();
    let Owner {
        local, references, ..
    } = &mut owner;
    local.update(1, &"ann".into(), &meta, references).unwrap();
    let (reading, mut half) = (replica.reread(), certain(&[&owner]));
    half.certain = false;
    half.stored.retain(|stored| stored.entries[0].key == "ann");
    let updated = (strings(&["ann"]), strings(&["ann"]));
    assert_eq!(keys(replica.loaded(reading, &half).diff), updated);
    assert_eq!(replica.count(), 2);
}

#[test]
fn what_a_newer_incarnation_does_not_have_leaves_though_a_snapshot_came_first() {
    let mut owner = Owner::new(1);
    owner.track(1, "ann");
    owner.track(2, "bob");
    let mut replica = live(&[&owner]);
    drop(owner.local.untrack_all(1));
    let renewed = owner.local.renew(2);
    let (reading, uncertain) = (
        replica.reread(),
        Snapshot {
            certain: false,
            ..certain(&[&owner])
        },
    );
    assert_eq!(replica.loaded(reading, &uncertain), Applied::default());
    assert_eq!(
        keys(replica.apply(&renewed).diff),
        (vec![], strings(&["ann"]))
    );
}

#[test]
fn a_backend_that_came_back_empty_makes_nobody_leave() {
    let mut owner = Owner::new(1);
    owner.track(1, "ann");
    owner.track(2, "bob");
    let mut replica = live(&[&owner]);
    let reading = replica.reread();
    let empty = Snapshot::default();
    assert_eq!(replica.loaded(reading, &empty), Applied::default());
    assert_eq!(replica.count(), 2);
    let reading = replica.reread();
    let refilled = certain(&[&owner]);
    assert_eq!(replica.loaded(reading, &refilled), Applied::default());
}

#[test]
fn a_source_takes_away_nothing_of_another() {
    let (mut owner, mut other) = (Owner::new(1), Owner::new(2));
    owner.track(1, "ann");
    other.track(1, "bob");
    let mut replica = live(&[&owner, &other]);
    let mut left = owner.local.untrack_all(1).unwrap();
    left.source.node = node(2);
    assert_eq!(replica.apply(&left), Applied::default());
    assert_eq!(replica.count(), 2);
}

#[test]
fn a_key_has_its_metas_oldest_first() {
    let (mut owner, mut other) = (Owner::new(1), Owner::new(2));
    let mut replica = live(&[]);
    for change in [
        owner.track(1, "ann"),
        other.track(1, "ann"),
        owner.track(2, "bob"),
    ] {
        drop(replica.apply(&change));
    }
    let of = |owner: &Owner| owner.local.entries(1)[0].reference.clone();
    let (first, second) = (of(&owner), of(&other));
    let found: Vec<_> = replica
        .get_by_key("ann")
        .map(|entry| entry.reference.clone())
        .collect();
    assert_eq!(found, [first.clone(), second.clone()]);
    assert_eq!(replica.get_by_key("eve").count(), 0);
    assert_eq!((replica.count(), replica.keys_count()), (3, 2));
    let third = &owner.local.entries(2)[0].reference;
    let expected = format!(
        "{{\"ann\":{{\"metas\":[{{\"at\":1,\"phx_ref\":\"{first}\"}},\
         {{\"at\":1,\"phx_ref\":\"{second}\"}}]}},\
         \"bob\":{{\"metas\":[{{\"at\":1,\"phx_ref\":\"{third}\"}}]}}}}"
    );
    assert_eq!(replica.state(), expected);
}
