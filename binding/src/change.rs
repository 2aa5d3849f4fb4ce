//! What a database has recorded.

use serde_json::{Map, Value};

/// A row, by its columns.
pub(crate) type Row = Map<String, Value>;

/// A place in the order of the changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Position {
    /// The transaction, in the order of commits; always 0 on SQLite, where the
    /// changes' own numbers are in that order.
    pub(crate) commit: i64,
    /// The change.
    pub(crate) change: i64,
}

/// One change of one row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Change {
    pub(crate) position: Position,
    /// The table, as bindings name it.
    pub(crate) table: String,
    /// The row before, unless it is new. An unreadable one is told as such.
    pub(crate) old: Option<Row>,
    /// The row now, unless it is gone.
    pub(crate) new: Option<Row>,
}

/// What the database knows of the reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    /// Drawn at each installation: positions of another one mean nothing.
    pub(crate) epoch: String,
    /// Up to where all was published.
    pub(crate) position: Position,
    /// The greatest position that was ever given.
    pub(crate) newest: Position,
    /// Changes that were dropped unpublished, since the installation.
    pub(crate) lost: i64,
}

/// What a process remembers of its own publishing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) epoch: String,
    pub(crate) position: Position,
    pub(crate) lost: i64,
}

impl Memory {
    /// Where to go on. What this process has published it does not repeat, even
    /// if the database did not hear of it; unless the database went back behind
    /// it (another installation, a restored copy): then the numbers come again.
    pub(crate) fn resume(before: Option<&Self>, stored: &Stored) -> Self {
        let mut memory = Self {
            epoch: stored.epoch.clone(),
            position: stored.position,
            lost: stored.lost,
        };
        if let Some(before) = before.filter(|before| before.epoch == stored.epoch) {
            memory.lost = before.lost.min(stored.lost);
            if before.position.commit <= stored.newest.commit
                && (stored.newest.commit > 0 || before.position.change <= stored.newest.change)
            {
                memory.position = before.position.max(stored.position);
            }
        }
        memory
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(commit: i64, change: i64) -> Position {
        Position { commit, change }
    }

    fn stored(epoch: &str, position: Position, newest: Position) -> Stored {
        Stored {
            epoch: epoch.to_owned(),
            position,
            newest,
            lost: 0,
        }
    }

    #[track_caller]
    fn resumes(before: Option<Position>, stored: &Stored, expected: Position) {
        let before = before.map(|position| Memory {
            epoch: "one".to_owned(),
            position,
            lost: 0,
        });
        assert_eq!(Memory::resume(before.as_ref(), stored).position, expected);
    }

    #[test]
    fn what_was_published_is_not_repeated() {
        let one = stored("one", at(4, 9), at(7, 20));
        resumes(None, &one, at(4, 9));
        resumes(Some(at(5, 11)), &one, at(5, 11));
        resumes(Some(at(3, 50)), &one, at(4, 9));
        resumes(Some(at(0, 9)), &stored("one", at(0, 7), at(0, 9)), at(0, 9));
    }

    #[test]
    fn numbers_of_another_time_mean_nothing() {
        resumes(
            Some(at(5, 11)),
            &stored("two", at(0, 0), at(9, 9)),
            at(0, 0),
        );
        resumes(
            Some(at(8, 11)),
            &stored("one", at(4, 9), at(7, 20)),
            at(4, 9),
        );
        resumes(
            Some(at(0, 30)),
            &stored("one", at(0, 7), at(0, 9)),
            at(0, 7),
        );
    }
}
