//! What a replica asks to be read, what it is given, and what it says.

use super::{Diff, Stored};

/// A request to read the topic's memberships from the layer. Only the newest of a
/// replica counts, and only a snapshot whose reading began after it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Reading(pub(super) u64);

/// What was read of the topic's memberships.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// What the memberships have stored, those without presences left out.
    pub stored: Vec<Stored>,
    /// Whether every node has announced its members; not so for one lease after
    /// the backend has come back empty. Nobody is taken as having left for being
    /// absent from an uncertain snapshot: read once more when it is certain.
    pub certain: bool,
}

/// What came of it.
#[derive(Debug, Default, PartialEq)]
#[must_use]
pub struct Applied {
    /// What clients are to be told.
    pub diff: Option<Diff>,
    /// What is to be read.
    pub reread: Option<Reading>,
}

impl Applied {
    pub(super) fn reread(reading: Reading) -> Self {
        Self {
            diff: None,
            reread: Some(reading),
        }
    }
}
