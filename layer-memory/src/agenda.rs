//! Which channels have something due, and when.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use towpath_layer_core::ChannelName;

use crate::delayed::Turn;

/// A place for every message that waits for its time. One that was sent
/// meanwhile may still stand here: then there is nothing to do at its turn.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    turns: Mutex<BTreeMap<Turn, ChannelName>>,
    next: AtomicU64,
    /// For the one who waits for the first turn: there is an earlier one.
    pub(crate) earlier: Notify,
}

impl Agenda {
    /// A turn at `due`, behind all others then.
    pub(crate) fn book(&self, due: Duration, channel: &ChannelName) -> Turn {
        let turn = (due, self.next.fetch_add(1, Ordering::Relaxed));
        let mut turns = self.turns.lock();
        turns.insert(turn, channel.clone());
        let is_first = turns.first_key_value().is_some_and(|(key, _)| *key == turn);
        drop(turns);
        if is_first {
            self.earlier.notify_one();
        }
        turn
    }

    pub(crate) fn cancel(&self, turn: Turn) {
        self.turns.lock().remove(&turn);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.turns.lock().is_empty()
    }

    /// When the next turn is.
    pub(crate) fn next(&self) -> Option<Duration> {
        let turns = self.turns.lock();
        turns.first_key_value().map(|((due, _), _)| *due)
    }

    /// Takes away the turns that have come.
    pub(crate) fn take_due(&self, now: Duration) -> Vec<ChannelName> {
        let mut turns = self.turns.lock();
        let mut due = Vec::new();
        while let Some(first) = turns.first_entry()
            && first.key().0 <= now
        {
            let channel = first.remove();
            // A burst on one channel is one thing to do.
            if due.last() != Some(&channel) {
                due.push(channel);
            }
        }
        due
    }

    pub(crate) fn clear(&self) {
        self.turns.lock().clear();
    }
}
