//! What a receiver and its task share: the wish of the one, the catch of the
//! other.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

/// How long a dropped call may be followed by the next one, before what was
/// taken for it goes back.
const LINGER: Duration = Duration::from_millis(100);

/// A message that was taken from its channel and not handed out.
#[derive(Debug)]
pub(super) struct Taken {
    /// Which of the receiver's channels.
    pub(super) channel: usize,
    /// The deadline and the message, as they stood in Redis.
    pub(super) entry: Vec<u8>,
}

impl Taken {
    /// When it expires by the clock of Redis; at once if it says nothing.
    pub(super) fn deadline_ms(&self) -> u64 {
        let deadline = self.entry.first_chunk();
        deadline.map_or(0, |bytes| u64::from_be_bytes(*bytes))
    }
}

/// What the task is to do next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// Take up to so many messages.
    Take(usize),
    /// Give back what lies here.
    GiveBack,
    /// Give back what lies here, and end.
    End,
}

/// Where the receiver's calls and its task meet.
#[derive(Debug)]
pub(super) struct Desk {
    state: Mutex<State>,
    /// For the task: the wish has changed.
    wished: Notify,
    /// For the call: something lies here.
    filled: Notify,
    ending: CancellationToken,
}

#[derive(Debug, Default)]
struct State {
    taken: VecDeque<Taken>,
    /// How many a call waits for now; 0 without a call.
    wanted: usize,
}

/// A call that waits; dropped, it wants nothing any more.
struct Wish<'a>(&'a Desk);

impl Drop for Wish<'_> {
    fn drop(&mut self) {
        self.0.state.lock().wanted = 0;
        self.0.wished.notify_one();
    }
}

impl Desk {
    pub(super) fn new(ending: CancellationToken) -> Self {
        Self {
            state: Mutex::default(),
            wished: Notify::new(),
            filled: Notify::new(),
            ending,
        }
    }

    /// Ends the task, once it has given back what lies here.
    pub(super) fn end(&self) {
        self.ending.cancel();
    }

    /// Ends this when it is dropped.
    pub(super) fn ends(&self) -> DropGuard {
        self.ending.clone().drop_guard()
    }

    /// Whether nothing lies here.
    pub(super) fn is_empty(&self) -> bool {
        self.state.lock().taken.is_empty()
    }

    /// Waits for messages and takes up to `max`; nothing once this has ended.
    pub(super) async fn want(&self, max: usize) -> Option<Vec<Taken>> {
        let mut wish = None;
        loop {
            if self.ending.is_cancelled() {
                return None;
            }
            {
                let mut state = self.state.lock();
                if !state.taken.is_empty() {
                    let count = state.taken.len().min(max);
                    return Some(state.taken.drain(..count).collect());
                }
                state.wanted = max;
            }
            wish.get_or_insert_with(|| {
                self.wished.notify_one();
                Wish(self)
            });
            tokio::select! {
                () = self.filled.notified() => {}
                () = self.ending.cancelled() => return None,
            }
        }
    }

    /// What the task is to do; waits until there is something.
    pub(super) async fn next_task(&self) -> Task {
        let mut lingered = false;
        loop {
            if self.ending.is_cancelled() {
                return Task::End;
            }
            let lies_here = {
                let state = self.state.lock();
                if state.taken.is_empty() && state.wanted > 0 {
                    return Task::Take(state.wanted);
                }
                !state.taken.is_empty() && state.wanted == 0
            };
            if lies_here && lingered {
                return Task::GiveBack;
            }
            let change = async {
                tokio::select! {
                    () = self.wished.notified() => {}
                    () = self.ending.cancelled() => {}
                }
            };
            if lies_here {
                lingered = timeout(LINGER, change).await.is_err();
            } else {
                change.await;
            }
        }
    }

    /// Waits until nobody wants anything from here, and not just for a moment.
    pub(super) async fn unwanted(&self) {
        loop {
            if self.ending.is_cancelled() {
                return;
            }
            let change = async {
                tokio::select! {
                    () = self.wished.notified() => {}
                    () = self.ending.cancelled() => {}
                }
            };
            if self.state.lock().wanted > 0 {
                change.await;
            } else if timeout(LINGER, change).await.is_err() && self.state.lock().wanted == 0 {
                return;
            }
        }
    }

    /// Puts down what was taken.
    pub(super) fn put(&self, taken: impl Iterator<Item = Taken>) {
        self.state.lock().taken.extend(taken);
        self.filled.notify_one();
    }

    /// Takes everything away, to give it back.
    pub(super) fn clear(&self) -> Vec<Taken> {
        self.state.lock().taken.drain(..).collect()
    }

    /// Puts down again, in front, what could not be given back.
    pub(super) fn restore(&self, taken: Vec<Taken>) {
        let mut state = self.state.lock();
        for one in taken.into_iter().rev() {
            state.taken.push_front(one);
        }
        drop(state);
        self.filled.notify_one();
    }
}
