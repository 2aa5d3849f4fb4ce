//! The messages that wait for their time on one channel.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use towpath_layer_core::MessageId;

/// When a message is due, and which of those that are due then it is.
pub(crate) type Turn = (Duration, u64);

/// A message that waits.
#[derive(Debug)]
pub(crate) struct Waiting<T> {
    /// What it is cancelled by.
    pub(crate) key: u128,
    pub(crate) id: MessageId,
    pub(crate) body: T,
}

/// Messages by the turn at which they are due.
#[derive(Debug)]
pub(crate) struct Delayed<T> {
    turns: BTreeMap<Turn, Waiting<T>>,
    by_key: HashMap<u128, Turn>,
}

impl<T> Default for Delayed<T> {
    fn default() -> Self {
        Self {
            turns: BTreeMap::new(),
            by_key: HashMap::new(),
        }
    }
}

impl<T> Delayed<T> {
    pub(crate) fn len(&self) -> usize {
        self.turns.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    pub(crate) fn put(&mut self, turn: Turn, waiting: Waiting<T>) {
        self.by_key.insert(waiting.key, turn);
        self.turns.insert(turn, waiting);
    }

    /// When the first is due.
    pub(crate) fn next(&self) -> Option<Duration> {
        self.turns.first_key_value().map(|((due, _), _)| *due)
    }

    /// Takes the first of those that are due at `now`.
    pub(crate) fn pop_due(&mut self, now: Duration) -> Option<(Turn, Waiting<T>)> {
        let first = self.turns.first_entry()?;
        let turn = *first.key();
        if turn.0 > now {
            return None;
        }
        let waiting = first.remove();
        self.by_key.remove(&waiting.key);
        Some((turn, waiting))
    }

    /// Takes one away. Returns its turn.
    pub(crate) fn cancel(&mut self, key: u128) -> Option<Turn> {
        let turn = self.by_key.remove(&key)?;
        self.turns.remove(&turn);
        Some(turn)
    }

    pub(crate) fn clear(&mut self) {
        self.turns.clear();
        self.by_key.clear();
    }
}
