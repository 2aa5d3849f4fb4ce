//! One channel: a queue with capacity and expiry, and those who wait on it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::sync::Notify;
use towpath_layer_core::{
    ChannelName, ChannelStatistics, Clock, Limits, Message, MessageId, Received,
};

/// Where one receiver waits.
#[derive(Debug, Default)]
pub(crate) struct Seat {
    pub(crate) waker: AtomicWaker,
}

/// What happened on a channel.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) sent: u64,
    pub(crate) received: u64,
    pub(crate) full: u64,
    pub(crate) expired: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, other: Self) {
        self.sent += other.sent;
        self.received += other.received;
        self.full += other.full;
        self.expired += other.expired;
    }

    pub(crate) fn statistics(self) -> ChannelStatistics {
        ChannelStatistics {
            sent: self.sent,
            received: self.received,
            full: self.full,
            expired: self.expired,
            pending: 0,
            delayed: 0,
            oldest_age: None,
        }
    }
}

/// Why a message was not enqueued.
#[derive(Debug)]
pub(crate) enum NotPushed {
    /// The channel holds as much as it may.
    Full,
    /// The channel was removed meanwhile; its name has to be looked up again.
    Removed(Box<Message>),
}

#[derive(Debug)]
pub(crate) struct Channel {
    name: ChannelName,
    capacity: usize,
    expiry: Duration,
    state: Mutex<State>,
    room: Notify,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Queued>,
    /// Receivers that found every channel of theirs empty, the longest waiting
    /// first. While a message is here and somebody waits, at least one receiver
    /// was woken and is on its way; when it is done it wakes the next.
    waiting: VecDeque<Arc<Seat>>,
    receivers: usize,
    room_wanted: usize,
    counts: Counts,
    removed: bool,
}

#[derive(Debug)]
struct Queued {
    sent_at: Duration,
    id: MessageId,
    message: Message,
}

impl State {
    /// Drops what nobody received in time. Returns how much.
    fn drop_expired(&mut self, now: Duration, expiry: Duration) -> usize {
        let before = self.queue.len();
        while let Some(head) = self.queue.front()
            && now.saturating_sub(head.sent_at) >= expiry
        {
            self.queue.pop_front();
        }
        let dropped = before - self.queue.len();
        self.counts.expired += dropped as u64;
        dropped
    }

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
            capacity: usize::try_from(limits.capacity_of(&name)).unwrap_or(usize::MAX),
            expiry: limits.expiry_of(&name),
            name,
            state: Mutex::new(State {
                counts,
                ..State::default()
            }),
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
        let freed = state.drop_expired(now, self.expiry);
        if state.queue.len() >= self.capacity {
            state.counts.full += 1;
            return Err(NotPushed::Full);
        }
        state.counts.sent += 1;
        state.queue.push_back(Queued {
            sent_at: now,
            id,
            message,
        });
        let seat = state.waiting.pop_front();
        // One of the freed places is taken again by this message.
        let room = state.room_wanted.min(freed.saturating_sub(1));
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
        let expired = state.drop_expired(now, self.expiry);
        let count = state.queue.len().min(max);
        if state.queue.is_empty() {
            wait(&mut state.waiting);
        }
        buffer.extend(state.queue.drain(..count).map(|queued| Received {
            channel: self.name.clone(),
            id: queued.id,
            message: queued.message,
        }));
        state.counts.received += count as u64;
        let room = state.room_wanted.min(count + expired);
        drop(state);
        self.signal_room(room);
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
                state.drop_expired(clock.now(), self.expiry);
                if state.queue.len() < self.capacity {
                    return;
                }
                state.room_wanted += 1;
                signal.as_mut().enable();
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
        let freed = state.drop_expired(now, self.expiry);
        state.removed = state.queue.is_empty() && state.receivers == 0;
        let room = state.room_wanted.min(freed);
        let counts = state.removed.then_some(state.counts);
        drop(state);
        self.signal_room(room);
        counts
    }

    /// Forgets messages and counts.
    pub(crate) fn flush(&self) {
        let mut state = self.state.lock();
        state.queue.clear();
        state.counts = Counts::default();
        drop(state);
        self.room.notify_waiters();
    }

    pub(crate) fn statistics(&self, now: Duration) -> ChannelStatistics {
        let mut state = self.state.lock();
        let freed = state.drop_expired(now, self.expiry);
        let room = state.room_wanted.min(freed);
        let oldest = state.queue.front().map(|head| head.sent_at);
        let statistics = ChannelStatistics {
            pending: state.queue.len() as u64,
            oldest_age: oldest.map(|sent_at| now.saturating_sub(sent_at)),
            ..state.counts.statistics()
        };
        drop(state);
        self.signal_room(room);
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
