//! One channel: its queue, and those who wait on it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::task::AtomicWaker;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use towpath_layer_core::{
    ChannelName, ChannelStatistics, Clock, Limits, Message, MessageId, Received,
};

use crate::agenda::Agenda;
use crate::delayed::{Turn, Waiting};
use crate::queue::{Counts, Queue, Settled};

/// Where one receiver waits.
#[derive(Debug, Default)]
pub(crate) struct Seat {
    pub(crate) waker: AtomicWaker,
}

/// Why a message was not enqueued.
#[derive(Debug)]
pub(crate) enum NotPushed {
    /// The channel holds as much as it may.
    Full,
    /// The channel was removed meanwhile; its name has to be looked up again.
    Removed(Box<Message>),
}

/// Why a message does not wait for its time.
#[derive(Debug)]
pub(crate) enum NotDelayed {
    /// As many wait as may.
    Full,
    /// The channel was removed meanwhile; its name has to be looked up again.
    Removed(Box<Waiting<Message>>),
}

#[derive(Debug)]
pub(crate) struct Channel {
    name: ChannelName,
    delayed_max: usize,
    state: Mutex<State>,
    room: Notify,
}

#[derive(Debug)]
struct State {
    queue: Queue,
    /// Receivers that found every channel of theirs empty, the longest waiting
    /// first. While a message is here and somebody waits, at least one receiver
    /// was woken and is on its way; when it is done it wakes the next.
    waiting: VecDeque<Arc<Seat>>,
    receivers: usize,
    room_wanted: usize,
    removed: bool,
}

impl State {
    fn next_waiting(&mut self) -> Option<Arc<Seat>> {
        if self.queue.is_empty() {
            return None;
        }
        self.waiting.pop_front()
    }
}

impl Channel {
    pub(crate) fn new(name: ChannelName, limits: &Limits, counts: Counts) -> Self {
        Self {
            delayed_max: usize::try_from(limits.delayed_max).unwrap_or(usize::MAX),
            state: Mutex::new(State {
                queue: Queue::new(&name, limits, counts),
                waiting: VecDeque::new(),
                receivers: 0,
                room_wanted: 0,
                removed: false,
            }),
            name,
            room: Notify::new(),
        }
    }

    pub(crate) fn name(&self) -> &ChannelName {
        &self.name
    }

    /// Puts a message at the end and wakes one receiver.
    pub(crate) fn push(
        &self,
        clock: &dyn Clock,
        id: MessageId,
        message: Message,
    ) -> Result<(), NotPushed> {
        let mut state = self.state.lock();
        if state.removed {
            return Err(NotPushed::Removed(Box::new(message)));
        }
        // Read under the lock: entries expire in the order of the queue.
        let now = clock.now();
        let settled = state.queue.settle(now);
        if state.queue.is_full() {
            state.queue.counts.full += 1;
            self.wake(state, settled);
            return Err(NotPushed::Full);
        }
        state.queue.push(now, id, message);
        let seat = state.waiting.pop_front();
        // One of the freed places is taken again by this message.
        let room = state.room_wanted.min(settled.freed.saturating_sub(1));
        drop(state);
        if let Some(seat) = seat {
            seat.waker.wake();
        }
        self.signal_room(room);
        Ok(())
    }

    /// Moves up to `max` messages behind `buffer`.
    pub(crate) fn take(&self, now: Duration, buffer: &mut Vec<Received>, max: usize) -> usize {
        self.take_or(now, buffer, max, |_| ())
    }

    /// As [`take`](Self::take), and lets `seat` wait here if there is nothing.
    pub(crate) fn take_or_wait(
        &self,
        now: Duration,
        buffer: &mut Vec<Received>,
        max: usize,
        seat: &Arc<Seat>,
    ) -> usize {
        self.take_or(now, buffer, max, |waiting| {
            if !waiting.iter().any(|known| Arc::ptr_eq(known, seat)) {
                waiting.push_back(Arc::clone(seat));
            }
        })
    }

    fn take_or(
        &self,
        now: Duration,
        buffer: &mut Vec<Received>,
        max: usize,
        wait: impl FnOnce(&mut VecDeque<Arc<Seat>>),
    ) -> usize {
        let mut state = self.state.lock();
        let before = state.queue.settle(now);
        if state.queue.is_empty() {
            wait(&mut state.waiting);
        }
        let count = state.queue.take(&self.name, buffer, max);
        let after = Settled {
            freed: before.freed + count,
            ..before
        };
        let admitted = state.queue.admit_due(now);
        self.wake(state, after.and_admitted(admitted));
        count
    }

    /// Ends the wait of `seat`, and wakes the next if there is something left
    /// that `seat` may have been woken for.
    pub(crate) fn leave(&self, seat: &Arc<Seat>) {
        let mut state = self.state.lock();
        state.waiting.retain(|known| !Arc::ptr_eq(known, seat));
        let next = state.next_waiting();
        drop(state);
        if let Some(next) = next {
            next.waker.wake();
        }
    }

    /// Lets a message wait until `delay` from now.
    pub(crate) fn delay(
        &self,
        clock: &dyn Clock,
        agenda: &Agenda,
        delay: Duration,
        waiting: Waiting<Message>,
    ) -> Result<(), NotDelayed> {
        let mut state = self.state.lock();
        if state.removed {
            return Err(NotDelayed::Removed(Box::new(waiting)));
        }
        let now = clock.now();
        let settled = state.queue.settle(now);
        if state.queue.delayed.len() >= self.delayed_max {
            state.queue.counts.full += 1;
            self.wake(state, settled);
            return Err(NotDelayed::Full);
        }
        let turn = agenda.book(now.saturating_add(delay), &self.name);
        state.queue.delayed.put(turn, waiting);
        let admitted = state.queue.admit_due(now);
        self.wake(state, settled.and_admitted(admitted));
        Ok(())
    }

    /// Lets in what is due, as far as there is room.
    pub(crate) fn admit_due(&self, clock: &dyn Clock) {
        let mut state = self.state.lock();
        let settled = state.queue.settle(clock.now());
        self.wake(state, settled);
    }

    /// Takes away a message that waits for its time, or for room.
    pub(crate) fn cancel(&self, clock: &dyn Clock, key: u128) -> Option<Turn> {
        let mut state = self.state.lock();
        let settled = state.queue.settle(clock.now());
        let turn = state.queue.delayed.cancel(key);
        self.wake(state, settled);
        turn
    }

    /// Wakes those for whom there is something now.
    fn wake(&self, mut state: MutexGuard<'_, State>, settled: Settled) {
        let seat = (settled.admitted > 0)
            .then(|| state.next_waiting())
            .flatten();
        let room = state.room_wanted.min(settled.freed);
        drop(state);
        if let Some(seat) = seat {
            seat.waker.wake();
        }
        self.signal_room(room);
    }

    fn signal_room(&self, places: usize) {
        for _ in 0..places {
            self.room.notify_one();
        }
    }

    /// Waits until a place is free.
    pub(crate) async fn room(&self, clock: &dyn Clock) {
        loop {
            let signal = self.room.notified();
            let mut signal = std::pin::pin!(signal);
            let wanted = {
                let mut state = self.state.lock();
                let settled = state.queue.settle(clock.now());
                if !state.queue.is_full() {
                    self.wake(state, settled);
                    return;
                }
                state.room_wanted += 1;
                signal.as_mut().enable();
                self.wake(state, settled);
                RoomWanted { channel: self }
            };
            signal.await;
            drop(wanted);
        }
    }

    pub(crate) fn add_receiver(&self) {
        self.state.lock().receivers += 1;
    }

    pub(crate) fn remove_receiver(&self) {
        self.state.lock().receivers -= 1;
    }

    /// Marks the channel as removed if it is empty and nobody receives from
    /// it; what was counted on it goes along.
    pub(crate) fn remove_if_idle(&self, now: Duration) -> Option<Counts> {
        let mut state = self.state.lock();
        let settled = state.queue.settle(now);
        state.removed =
            state.queue.is_empty() && state.queue.delayed.is_empty() && state.receivers == 0;
        let counts = state.removed.then_some(state.queue.counts);
        self.wake(state, settled);
        counts
    }

    /// Forgets messages and counts.
    pub(crate) fn flush(&self) {
        let mut state = self.state.lock();
        state.queue.clear();
        drop(state);
        self.room.notify_waiters();
    }

    pub(crate) fn statistics(&self, now: Duration) -> ChannelStatistics {
        let mut state = self.state.lock();
        let settled = state.queue.settle(now);
        let statistics = state.queue.statistics(now);
        self.wake(state, settled);
        statistics
    }
}

/// One who waits for room, until dropped.
struct RoomWanted<'a> {
    channel: &'a Channel,
}

impl Drop for RoomWanted<'_> {
    fn drop(&mut self) {
        self.channel.state.lock().room_wanted -= 1;
    }
}
