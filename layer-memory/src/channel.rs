//! One channel: its queue, and those who wait on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use towpath_layer_core::{
    ChannelName, ChannelStatistics, Clock, Limits, Message, MessageId, Received,
};

use crate::agenda::Agenda;
use crate::delayed::{Turn, Waiting};
use crate::queue::{Back, Bounds, Counts, Front, Settled, Whole};
use crate::wakes::{Seat, Wakes};

/// The channel, or what may wait on it, holds as much as it may.
#[derive(Debug)]
pub(crate) struct Full;

/// What two threads write without a break stands this far apart: a cache line
/// and the one that is fetched along with it.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Apart<T>(T);

#[derive(Debug)]
pub(crate) struct Channel {
    name: ChannelName,
    bounds: Bounds,
    /// Something waits for its time, or for room: then nobody takes a message
    /// without a look at both ends.
    is_late: AtomicBool,
    /// Senders that wait for room.
    room_wanted: AtomicUsize,
    room: Notify,
    receiving: Apart<Receiving>,
    sending: Apart<Sending>,
}

#[derive(Debug, Default)]
struct Receiving {
    /// Locked before the back by who needs both.
    front: Mutex<Front>,
    /// What the front holds; more only while a receiver has not finished.
    held: AtomicUsize,
}

#[derive(Debug)]
struct Sending {
    back: Mutex<Back>,
    /// How many messages stood at the back when the last sender had finished.
    held: AtomicUsize,
}

/// Both ends of a channel's queue, until [`release`](Self::release).
struct Locked<'a> {
    channel: &'a Arc<Channel>,
    front: MutexGuard<'a, Front>,
    back: MutexGuard<'a, Back>,
}

impl Locked<'_> {
    fn queue(&mut self) -> Whole<'_> {
        Whole {
            bounds: &self.channel.bounds,
            front: &mut self.front,
            back: &mut self.back,
        }
    }

    /// Gives the locks back. Returns those for whom there is something now.
    fn release(mut self, settled: Settled) -> Wakes {
        let has_message = settled.admitted > 0 && !self.queue().is_empty();
        let seat = has_message.then(|| self.back.waiting.pop_front()).flatten();
        self.channel.note(&self.front, &mut self.back);
        Wakes {
            seat,
            places: self.channel.places(settled.freed),
        }
    }
}

impl Channel {
    pub(crate) fn new(name: ChannelName, limits: &Limits, counts: Counts) -> Self {
        Self {
            bounds: Bounds::new(&name, limits),
            name,
            is_late: AtomicBool::new(false),
            room_wanted: AtomicUsize::new(0),
            room: Notify::new(),
            receiving: Apart::default(),
            sending: Apart(Sending {
                back: Mutex::new(Back::new(counts)),
                held: AtomicUsize::new(0),
            }),
        }
    }

    pub(crate) fn name(&self) -> &ChannelName {
        &self.name
    }

    fn back(&self) -> MutexGuard<'_, Back> {
        self.sending.0.back.lock()
    }

    fn both<'a>(self: &'a Arc<Self>) -> Locked<'a> {
        let front = self.receiving.0.front.lock();
        Locked {
            channel: self,
            front,
            back: self.back(),
        }
    }

    /// Makes known outside of the locks what was changed under both.
    fn note(&self, front: &Front, back: &mut Back) {
        back.ahead_max = front.len();
        self.receiving.0.held.store(front.len(), Ordering::Release);
        self.sending.0.held.store(back.len(), Ordering::Release);
        let is_late = !back.delayed.is_empty();
        self.is_late.store(is_late, Ordering::Release);
    }

    /// The places, of those that were freed, for which somebody waits.
    fn places(self: &Arc<Self>, freed: usize) -> Option<(Arc<Self>, usize)> {
        let places = self.room_wanted.load(Ordering::Acquire).min(freed);
        (places > 0).then(|| (Arc::clone(self), places))
    }

    /// Starts to put messages at the end, all as of `now`.
    pub(crate) fn sender<'a>(self: &'a Arc<Self>, now: Duration) -> Sender<'a> {
        Sender {
            channel: self,
            back: self.back(),
            now,
            freed: 0,
            has_message: false,
        }
    }

    /// Moves up to `max` messages behind `buffer`, each under `name`. If there
    /// is none, lets `seat` wait here.
    pub(crate) fn take(
        self: &Arc<Self>,
        name: &ChannelName,
        now: Duration,
        buffer: &mut Vec<Received>,
        max: usize,
        seat: Option<&Arc<Seat>>,
    ) -> usize {
        let mut front = self.receiving.0.front.lock();
        if self.is_late.load(Ordering::Acquire) {
            drop(front);
            return self.take_and_admit(name, now, buffer, max, seat);
        }
        let (mut count, mut freed, mut refilled) = (0, 0, false);
        loop {
            freed += front.drop_expired(&self.bounds, now);
            count += front.take(name, buffer, max - count);
            // One refill is all that was here when the call began.
            if count == max || (refilled && count > 0) {
                break;
            }
            let mut back = self.back();
            if back.is_empty() {
                if let Some(seat) = seat.filter(|_| count == 0) {
                    back.wait(seat);
                }
                break;
            }
            front.refill(&mut back);
            self.receiving.0.held.store(front.len(), Ordering::Release);
            self.sending.0.held.store(0, Ordering::Release);
            refilled = true;
        }
        self.receiving.0.held.store(front.len(), Ordering::Release);
        let places = self.places(freed + count);
        drop(front);
        let seat = None;
        Wakes { seat, places }.tell();
        count
    }

    /// Whether nothing that was sent before this call is here, and nothing
    /// waits for its time. Costs no lock.
    pub(crate) fn is_seen_empty(&self) -> bool {
        let back = self.sending.0.held.load(Ordering::Acquire);
        back == 0 && self.held() == 0 && !self.is_late.load(Ordering::Acquire)
    }

    /// Lets `seat` wait here, unless there is or may be something.
    pub(crate) fn wait(&self, seat: &Arc<Seat>) -> bool {
        let mut back = self.back();
        // The front fills only under this lock.
        let is_empty = back.is_empty() && self.is_seen_empty();
        if is_empty {
            back.wait(seat);
        }
        is_empty
    }

    /// As [`take`](Self::take) where something is or may be due.
    fn take_and_admit(
        self: &Arc<Self>,
        name: &ChannelName,
        now: Duration,
        buffer: &mut Vec<Received>,
        max: usize,
        seat: Option<&Arc<Seat>>,
    ) -> usize {
        let mut both = self.both();
        let before = both.queue().settle(now);
        if let Some(seat) = seat
            && both.queue().is_empty()
        {
            both.back.wait(seat);
        }
        let count = both.queue().take(name, buffer, max);
        let after = Settled {
            freed: before.freed + count,
            ..before
        };
        let admitted = both.queue().admit_due(now);
        both.release(after.and_admitted(admitted)).tell();
        count
    }

    /// Ends the wait of `seat`, and wakes the next if there is something left
    /// that `seat` may have been woken for.
    pub(crate) fn leave(&self, seat: &Arc<Seat>) {
        let mut back = self.back();
        back.waiting.retain(|known| !Arc::ptr_eq(known, seat));
        // The front fills only under this lock.
        let has_message = !back.is_empty() || self.held() > 0;
        let seat = has_message.then(|| back.waiting.pop_front()).flatten();
        drop(back);
        let places = None;
        Wakes { seat, places }.tell();
    }

    fn held(&self) -> usize {
        self.receiving.0.held.load(Ordering::Acquire)
    }

    /// Lets a message wait until `delay` from now.
    pub(crate) fn delay(
        self: &Arc<Self>,
        clock: &dyn Clock,
        agenda: &Agenda,
        delay: Duration,
        waiting: Waiting<Message>,
    ) -> (Result<(), Full>, Wakes) {
        let mut both = self.both();
        let now = clock.now();
        let settled = both.queue().settle(now);
        if both.back.delayed.len() >= self.bounds.delayed_max {
            both.back.counts.full += 1;
            return (Err(Full), both.release(settled));
        }
        let turn = agenda.book(now.saturating_add(delay), &self.name);
        both.back.delayed.put(turn, waiting);
        let admitted = both.queue().admit_due(now);
        (Ok(()), both.release(settled.and_admitted(admitted)))
    }

    /// Lets in what is due, as far as there is room.
    pub(crate) fn admit_due(self: &Arc<Self>, clock: &dyn Clock) {
        let mut both = self.both();
        let settled = both.queue().settle(clock.now());
        both.release(settled).tell();
    }

    /// Takes away a message that waits for its time, or for room.
    pub(crate) fn cancel(self: &Arc<Self>, clock: &dyn Clock, key: u128) -> Option<Turn> {
        let mut both = self.both();
        let settled = both.queue().settle(clock.now());
        let turn = both.back.delayed.cancel(key);
        both.release(settled).tell();
        turn
    }

    pub(crate) fn signal_room(&self, places: usize) {
        for _ in 0..places {
            self.room.notify_one();
        }
    }

    /// Waits until a place is free.
    pub(crate) async fn room(self: &Arc<Self>, clock: &dyn Clock) {
        loop {
            let signal = self.room.notified();
            let mut signal = std::pin::pin!(signal);
            let wanted = {
                let mut both = self.both();
                let settled = both.queue().settle(clock.now());
                if !both.queue().is_full() {
                    both.release(settled).tell();
                    return;
                }
                let wanted = RoomWanted::new(self);
                signal.as_mut().enable();
                both.release(settled).tell();
                wanted
            };
            signal.await;
            drop(wanted);
        }
    }

    pub(crate) fn add_receiver(&self) {
        self.back().receivers += 1;
    }

    pub(crate) fn remove_receiver(&self) {
        self.back().receivers -= 1;
    }

    /// What was counted on the channel, if it is empty and nobody receives
    /// from it; then it may be forgotten.
    pub(crate) fn if_idle(self: &Arc<Self>, now: Duration) -> Option<Counts> {
        let mut both = self.both();
        let settled = both.queue().settle(now);
        let is_idle =
            both.queue().is_empty() && both.back.delayed.is_empty() && both.back.receivers == 0;
        let counts = is_idle.then(|| both.queue().counts());
        both.release(settled).tell();
        counts
    }

    /// Forgets messages and counts.
    pub(crate) fn flush(self: &Arc<Self>) {
        let mut both = self.both();
        both.queue().clear();
        both.release(Settled::default()).tell();
        self.room.notify_waiters();
    }

    pub(crate) fn statistics(self: &Arc<Self>, now: Duration) -> ChannelStatistics {
        let mut both = self.both();
        let settled = both.queue().settle(now);
        let statistics = both.queue().statistics(now);
        both.release(settled).tell();
        statistics
    }
}

/// Puts messages at the end of a channel, until [`end`](Self::end).
pub(crate) struct Sender<'a> {
    channel: &'a Arc<Channel>,
    back: MutexGuard<'a, Back>,
    now: Duration,
    /// Places that have become free.
    freed: usize,
    has_message: bool,
}

impl Sender<'_> {
    pub(crate) fn push(&mut self, id: MessageId, message: Message) -> Result<(), Full> {
        let channel = self.channel;
        self.has_message = true;
        let ahead = || channel.held();
        if self.back.has_room(&channel.bounds, self.now, ahead) {
            self.back.push(self.now, id, message);
            return Ok(());
        }
        self.settle_and_push(id, message)
    }

    /// As [`push`](Self::push) where something may have expired or be due.
    #[cold]
    fn settle_and_push(&mut self, id: MessageId, message: Message) -> Result<(), Full> {
        let channel = self.channel;
        let front = &channel.receiving.0.front;
        let mut front = MutexGuard::unlocked(&mut self.back, || front.lock());
        let mut queue = Whole {
            bounds: &channel.bounds,
            front: &mut front,
            back: &mut self.back,
        };
        let mut settled = queue.settle(self.now);
        let is_full = queue.is_full();
        if is_full {
            self.back.counts.full += 1;
        } else {
            // One of the freed places is taken again by this message.
            settled.freed = settled.freed.saturating_sub(1);
            self.back.push(self.now, id, message);
        }
        channel.note(&front, &mut self.back);
        self.freed += settled.freed;
        if is_full { Err(Full) } else { Ok(()) }
    }

    /// Gives the lock back. Returns those for whom there is something now: one
    /// receiver, which wakes the next if it leaves something.
    pub(crate) fn end(mut self) -> Wakes {
        let held = &self.channel.sending.0.held;
        held.store(self.back.len(), Ordering::Release);
        let waiting = &mut self.back.waiting;
        let seat = self.has_message.then(|| waiting.pop_front()).flatten();
        Wakes {
            seat,
            places: self.channel.places(self.freed),
        }
    }
}

/// One who waits for room, until dropped.
struct RoomWanted<'a>(&'a Channel);

impl<'a> RoomWanted<'a> {
    fn new(channel: &'a Channel) -> Self {
        channel.room_wanted.fetch_add(1, Ordering::AcqRel);
        Self(channel)
    }
}

impl Drop for RoomWanted<'_> {
    fn drop(&mut self) {
        self.0.room_wanted.fetch_sub(1, Ordering::AcqRel);
    }
}
