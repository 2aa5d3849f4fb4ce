//! Wakes conversations whose ticks are due: no timer for each, and nothing for
//! those without ticks.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::sleep;
use towpath_layer_core::LocalId;

use super::shard::Shard;
use super::signal::Signal;

/// Conversations between two looks at what else is ready.
const SLICE: usize = 128;

/// The longest sleep: a tick may be so far away that a timer cannot tell.
const SLEEP_MAX: Duration = Duration::from_hours(24);

/// When which conversation is to be woken: one entry for each with ticks.
#[derive(Debug, Default)]
pub(crate) struct Ticker {
    queue: RefCell<BTreeSet<(Duration, LocalId)>>,
    signal: Signal,
}

impl Ticker {
    /// Replaces the time at which a conversation is woken.
    pub(crate) fn set(&self, id: LocalId, was: Option<Duration>, at: Option<Duration>) {
        let mut queue = self.queue.borrow_mut();
        if let Some(was) = was {
            queue.remove(&(was, id));
        }
        if let Some(at) = at {
            let sooner = queue.first().is_none_or(|(first, _)| at < *first);
            queue.insert((at, id));
            if sooner {
                self.signal.notify();
            }
        }
    }

    fn next(&self) -> Option<Duration> {
        self.queue.borrow().first().map(|(at, _)| *at)
    }

    fn pop_due(&self, now: Duration) -> Option<LocalId> {
        let mut queue = self.queue.borrow_mut();
        let (at, _) = queue.first()?;
        if *at > now {
            return None;
        }
        queue.pop_first().map(|(_, id)| id)
    }
}

/// Wakes conversations for as long as the shard lives.
pub(crate) async fn run(shard: Rc<Shard>) {
    loop {
        let Some(at) = shard.ticker.next() else {
            shard.ticker.signal.notified().await;
            continue;
        };
        let wait = at.saturating_sub(shard.now());
        if !wait.is_zero() {
            tokio::select! {
                biased;
                () = shard.ticker.signal.notified() => {}
                () = sleep(wait.min(SLEEP_MAX)) => {}
            }
        }
        shard.tick();
        tokio::task::yield_now().await;
    }
}

impl Shard {
    /// Wakes those that are due, one slice of them.
    fn tick(self: &Rc<Self>) {
        let now = self.now();
        for _ in 0..SLICE {
            let Some(id) = self.ticker.pop_due(now) else {
                return;
            };
            if let Some(connection) = self.connection(id) {
                self.turn_at(now, &connection, |conversation, turn| {
                    conversation.tick(turn);
                });
            }
        }
    }
}
