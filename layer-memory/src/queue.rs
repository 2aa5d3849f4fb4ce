//! The messages of one channel: those that wait to be received, and those that
//! wait for their time.
//!
//! A queue has two ends that are locked apart, so that a sender and a receiver
//! meet once in a batch instead of at each message: senders put messages at
//! its [`Back`], receivers take from its [`Front`], and a front that has become
//! empty takes over all that stands at the back.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use towpath_layer_core::{ChannelName, ChannelStatistics, Limits, Message, MessageId, Received};

use crate::delayed::Delayed;
use crate::wakes::Seat;

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
            ..ChannelStatistics::default()
        }
    }
}

/// What a look at a queue has changed.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Settled {
    /// Places that have become free.
    pub(crate) freed: usize,
    /// Messages that were let in.
    pub(crate) admitted: usize,
}

impl Settled {
    /// What has changed after something more was let in.
    pub(crate) fn and_admitted(self, more: usize) -> Self {
        Self {
            freed: self.freed.saturating_sub(more),
            admitted: self.admitted + more,
        }
    }
}

/// How many messages a queue holds, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    capacity: usize,
    expiry: Duration,
    pub(crate) delayed_max: usize,
}

impl Bounds {
    pub(crate) fn new(name: &ChannelName, limits: &Limits) -> Self {
        let places = |count| usize::try_from(count).unwrap_or(usize::MAX);
        Self {
            capacity: places(limits.capacity_of(name)),
            expiry: limits.expiry_of(name),
            delayed_max: places(limits.delayed_max),
        }
    }

    fn has_expired(&self, sent_at: Duration, now: Duration) -> bool {
        now.saturating_sub(sent_at) >= self.expiry
    }

    /// Drops what nobody received in time; it stands at the head.
    fn drop_expired(&self, messages: &mut VecDeque<Queued>, now: Duration) -> usize {
        let mut dropped = 0;
        while let Some(head) = messages.front()
            && self.has_expired(head.sent_at, now)
        {
            messages.pop_front();
            dropped += 1;
        }
        dropped
    }
}

#[derive(Debug)]
struct Queued {
    /// When it was sent, or was due to be.
    sent_at: Duration,
    id: MessageId,
    message: Message,
}

/// The end where receivers take.
#[derive(Debug, Default)]
pub(crate) struct Front {
    messages: VecDeque<Queued>,
    counts: Counts,
}

impl Front {
    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    /// Drops what nobody received in time. Returns how many places that frees.
    pub(crate) fn drop_expired(&mut self, bounds: &Bounds, now: Duration) -> usize {
        let dropped = bounds.drop_expired(&mut self.messages, now);
        self.counts.expired += dropped as u64;
        dropped
    }

    /// Moves up to `max` messages behind `buffer`.
    pub(crate) fn take(
        &mut self,
        name: &ChannelName,
        buffer: &mut Vec<Received>,
        max: usize,
    ) -> usize {
        let count = self.messages.len().min(max);
        buffer.reserve(count);
        for _ in 0..count {
            let Some(queued) = self.messages.pop_front() else {
                break;
            };
            buffer.push(Received {
                channel: name.clone(),
                id: queued.id,
                message: queued.message,
            });
        }
        self.counts.received += count as u64;
        count
    }

    /// Takes over what stands at the back, once all in front of it is gone.
    pub(crate) fn refill(&mut self, back: &mut Back) {
        if self.messages.is_empty() {
            std::mem::swap(&mut self.messages, &mut back.messages);
        }
        back.ahead_max = self.messages.len();
    }
}

/// The end where senders put messages, and all that is seldom looked at.
#[derive(Debug, Default)]
pub(crate) struct Back {
    messages: VecDeque<Queued>,
    /// When the last of them was sent: none expires before one that stands in
    /// front of it.
    last_at: Duration,
    /// As many messages as the front holds, or more.
    pub(crate) ahead_max: usize,
    pub(crate) delayed: Delayed<Message>,
    pub(crate) counts: Counts,
    /// Receivers that found every channel of theirs empty, the longest waiting
    /// first. While a message is here and somebody waits, at least one receiver
    /// was woken and is on its way; when it is done it wakes the next.
    pub(crate) waiting: VecDeque<Arc<Seat>>,
    pub(crate) receivers: usize,
}

impl Back {
    pub(crate) fn new(counts: Counts) -> Self {
        Self {
            counts,
            ..Self::default()
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Whether a message may be put here without a look at the front, which
    /// holds `ahead` messages at most; asked for only if it matters.
    pub(crate) fn has_room(
        &mut self,
        bounds: &Bounds,
        now: Duration,
        ahead: impl FnOnce() -> usize,
    ) -> bool {
        if !self.delayed.is_empty() {
            return false;
        }
        let head = self.messages.front();
        if head.is_some_and(|head| bounds.has_expired(head.sent_at, now)) {
            return false;
        }
        let here = self.messages.len();
        if here + self.ahead_max >= bounds.capacity {
            self.ahead_max = ahead();
        }
        here + self.ahead_max < bounds.capacity
    }

    /// Puts a message at the end.
    pub(crate) fn push(&mut self, now: Duration, id: MessageId, message: Message) {
        self.enqueue(now, id, message);
    }

    fn enqueue(&mut self, sent_at: Duration, id: MessageId, message: Message) {
        self.counts.sent += 1;
        // Expiry goes by the order of the queue, whoever looked at the clock first.
        self.last_at = self.last_at.max(sent_at);
        self.messages.push_back(Queued {
            sent_at: self.last_at,
            id,
            message,
        });
    }

    pub(crate) fn wait(&mut self, seat: &Arc<Seat>) {
        if !self.waiting.iter().any(|known| Arc::ptr_eq(known, seat)) {
            self.waiting.push_back(Arc::clone(seat));
        }
    }
}

/// A queue with both of its ends at hand.
pub(crate) struct Whole<'a> {
    pub(crate) bounds: &'a Bounds,
    pub(crate) front: &'a mut Front,
    pub(crate) back: &'a mut Back,
}

impl Whole<'_> {
    pub(crate) fn is_empty(&self) -> bool {
        self.front.messages.is_empty() && self.back.messages.is_empty()
    }

    fn len(&self) -> usize {
        self.front.messages.len() + self.back.messages.len()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.len() >= self.bounds.capacity
    }

    /// Drops what nobody received in time, then lets in what is due, as far as
    /// there is room. So every message stands behind those that were sent, or
    /// due, before it, and they expire in that order.
    pub(crate) fn settle(&mut self, now: Duration) -> Settled {
        let mut freed = self.front.drop_expired(self.bounds, now);
        if self.front.messages.is_empty() {
            let dropped = self.bounds.drop_expired(&mut self.back.messages, now);
            self.back.counts.expired += dropped as u64;
            freed += dropped;
        }
        let admitted = self.admit_due(now);
        Settled { freed, admitted: 0 }.and_admitted(admitted)
    }

    /// Lets in what is due, as far as there is room; drops what has waited for
    /// that until its expiry.
    pub(crate) fn admit_due(&mut self, now: Duration) -> usize {
        let mut admitted = 0;
        while let Some(due) = self.back.delayed.next().filter(|due| *due <= now) {
            let has_expired = self.bounds.has_expired(due, now);
            if self.is_full() && !has_expired {
                break;
            }
            let Some((_, waiting)) = self.back.delayed.pop_due(now) else {
                break;
            };
            if has_expired {
                self.back.counts.expired += 1;
            } else {
                self.back.enqueue(due, waiting.id, waiting.body);
                admitted += 1;
            }
        }
        admitted
    }

    /// Moves up to `max` messages behind `buffer`.
    pub(crate) fn take(
        &mut self,
        name: &ChannelName,
        buffer: &mut Vec<Received>,
        max: usize,
    ) -> usize {
        let count = self.front.take(name, buffer, max);
        self.front.refill(self.back);
        count + self.front.take(name, buffer, max - count)
    }

    /// Forgets messages and counts.
    pub(crate) fn clear(&mut self) {
        self.front.messages.clear();
        self.front.counts = Counts::default();
        self.back.messages.clear();
        self.back.delayed.clear();
        self.back.counts = Counts::default();
    }

    pub(crate) fn counts(&self) -> Counts {
        let mut counts = self.front.counts;
        counts.add(self.back.counts);
        counts
    }

    pub(crate) fn statistics(&self, now: Duration) -> ChannelStatistics {
        let oldest = self.front.messages.front();
        let oldest = oldest.or_else(|| self.back.messages.front());
        ChannelStatistics {
            pending: self.len() as u64,
            delayed: self.back.delayed.len() as u64,
            oldest_age: oldest.map(|head| now.saturating_sub(head.sent_at)),
            ..self.counts().statistics()
        }
    }
}
