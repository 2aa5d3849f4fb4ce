//! What one source may track, and what it says of it.

use bytestring::ByteString;
use towpath_layer_core::presence::{Change, ChangeKind, PresenceError, Stored};

use super::Owner;

fn text(text: &str) -> ByteString {
    text.into()
}

#[test]
fn the_first_change_says_all_and_the_next_ones_what_differs() {
    let mut owner = Owner::new(1);
    let first = owner.track(1, "ann");
    assert!(matches!(&first.kind, ChangeKind::Full { entries } if entries.len() == 1));
    let second = owner.track(1, "bob");
    assert!(matches!(&second.kind, ChangeKind::Delta { joins, leaves }
        if joins.len() == 1 && leaves.is_empty()));
    assert_eq!((first.version, second.version), (1, 2));
    let gone = owner.local.untrack_all(1).unwrap();
    assert!(matches!(&gone.kind, ChangeKind::Delta { leaves, .. } if leaves.len() == 2));
    let again = owner.track(1, "ann");
    assert!(matches!(again.kind, ChangeKind::Full { .. }));
}

#[test]
fn an_update_is_one_change_that_names_the_old_entry() {
    let mut owner = Owner::new(1);
    owner.track(1, "ann");
    let old = owner.local.entries(1)[0].reference.clone();
    let meta = text("{\"at\":2}");
    let references = &mut owner.references;
    let change = owner.local.update(1, &text("ann"), &meta, references);
    let ChangeKind::Delta { joins, leaves } = change.unwrap().kind else {
        panic!("an update is a delta");
    };
    assert_eq!(leaves, std::slice::from_ref(&old));
    assert_eq!(joins[0].previous, Some(old));
    assert_eq!(joins[0].meta, meta);
    assert_eq!(owner.local.entries(1), joins);
}

#[test]
fn untracking_nothing_is_nothing() {
    let mut owner = Owner::new(1);
    assert_eq!(owner.local.untrack(1, "ann"), None);
    assert_eq!(owner.local.untrack_all(1), None);
    owner.track(1, "ann");
    assert_eq!(owner.local.untrack(1, "bob"), None);
    assert_eq!(owner.local.untrack(2, "ann"), None);
    assert!(owner.local.untrack(1, "ann").is_some());
    assert!(owner.local.is_empty());
}

#[test]
fn a_second_track_and_an_update_without_one_are_refused_by_key() {
    let mut owner = Owner::new(1);
    owner.track(1, "ann");
    let meta = text("{}");
    let Owner {
        local, references, ..
    } = &mut owner;
    let again = local.track(1, text("ann"), &meta, references);
    let key = text("ann");
    assert_eq!(again, Err(PresenceError::AlreadyTracked { key }));
    let absent = local.update(1, &text("bob"), &meta, references);
    let key = text("bob");
    assert_eq!(absent, Err(PresenceError::NotTracked { key }));
    assert_eq!(local.version(), 1);
}

#[test]
fn a_connection_tracks_16_keys_and_4_kib() {
    let mut owner = Owner::new(1);
    for key in 0..16 {
        owner.track(1, &key.to_string());
    }
    let Owner {
        local, references, ..
    } = &mut owner;
    let meta = text("{}");
    let many = local.track(1, text("16"), &meta, references);
    assert_eq!(many, Err(PresenceError::TooMany { entries_max: 16 }));
    let large = text(&format!("{{\"a\":\"{}\"}}", "x".repeat(4000)));
    let error = local.update(1, &text("1"), &large, references).unwrap_err();
    assert!(
        matches!(error, PresenceError::TooLarge { size, size_max: 4096 } if size > 4096),
        "{error}"
    );
    assert_eq!(local.entries(1).len(), 16);
    assert_eq!(local.entries(1)[1].previous, None);
}

#[test]
fn what_is_stored_is_read_back_and_anything_else_is_refused() {
    let mut owner = Owner::new(1);
    owner.track(1, "ann");
    owner.track(1, "bob");
    let stored = owner.local.stored(1).unwrap();
    let bytes = stored.encode().unwrap();
    assert_eq!(Stored::decode(&bytes).unwrap(), stored);
    assert_eq!(stored.source, owner.source);
    for cut in 0..bytes.len() {
        Stored::decode(&bytes[..cut]).unwrap_err();
    }
    let mut unfit = stored;
    let mut entry = (*unfit.entries[0]).clone();
    entry.meta = text("}{");
    unfit.entries[0] = entry.into();
    Stored::decode(&unfit.encode().unwrap()).unwrap_err();
    assert_eq!(owner.local.stored(2), None);
}

#[test]
fn a_beat_tells_one_set_of_entries_from_another() {
    let mut owner = Owner::new(1);
    let digest = |change: Change| match change.kind {
        ChangeKind::Beat { digest } => digest,
        _ => panic!("not a beat"),
    };
    let empty = digest(owner.local.beat());
    owner.track(1, "ann");
    let one = digest(owner.local.beat());
    owner.track(2, "ann");
    assert_ne!(one, digest(owner.local.beat()));
    owner.local.untrack_all(2);
    assert_eq!(one, digest(owner.local.beat()));
    owner.local.untrack_all(1);
    assert_eq!(empty, digest(owner.local.beat()));
}
