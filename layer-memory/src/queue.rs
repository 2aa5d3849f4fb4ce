//! The messages of one channel: those that wait to be received, and those that
//! wait for their time.

use std::collections::VecDeque;
use std::time::Duration;

use towpath_layer_core::{ChannelName, ChannelStatistics, Limits, Message, MessageId, Received};

use crate::delayed::Delayed;

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

/// The queue of a channel, with its capacity and expiry.
#[derive(Debug)]
pub(crate) struct Queue {
    capacity: usize,
    expiry: Duration,
    messages: VecDeque<Queued>,
    pub(crate) delayed: Delayed<Message>,
    pub(crate) counts: Counts,
}

#[derive(Debug)]
struct Queued {
    /// When it was sent, or was due to be.
    sent_at: Duration,
    id: MessageId,
    message: Message,
}

impl Queue {
    pub(crate) fn new(name: &ChannelName, limits: &Limits, counts: Counts) -> Self {
        Self {
            capacity: usize::try_from(limits.capacity_of(name)).unwrap_or(usize::MAX),
            expiry: limits.expiry_of(name),
            messages: VecDeque::new(),
            delayed: Delayed::default(),
            counts,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.messages.len() >= self.capacity
    }

    /// Drops what nobody received in time, then lets in what is due, as far as
    /// there is room. So every message stands behind those that were sent, or
    /// due, before it, and they expire in that order.
    pub(crate) fn settle(&mut self, now: Duration) -> Settled {
        let freed = self.drop_expired(now);
        let admitted = self.admit_due(now);
        Settled { freed, admitted: 0 }.and_admitted(admitted)
    }

    fn drop_expired(&mut self, now: Duration) -> usize {
        let before = self.messages.len();
        while let Some(head) = self.messages.front()
            && now.saturating_sub(head.sent_at) >= self.expiry
        {
            self.messages.pop_front();
        }
        let dropped = before - self.messages.len();
        self.counts.expired += dropped as u64;
        dropped
    }

    /// Lets in what is due, as far as there is room; drops what has waited for
    /// that until its expiry.
    pub(crate) fn admit_due(&mut self, now: Duration) -> usize {
        let mut admitted = 0;
        while let Some(due) = self.delayed.next().filter(|due| *due <= now) {
            let has_expired = now.saturating_sub(due) >= self.expiry;
            if self.is_full() && !has_expired {
                break;
            }
            let Some((_, waiting)) = self.delayed.pop_due(now) else {
                break;
            };
            if has_expired {
                self.counts.expired += 1;
            } else {
                self.push(due, waiting.id, waiting.body);
                admitted += 1;
            }
        }
        admitted
    }

    /// Puts a message at the end.
    pub(crate) fn push(&mut self, sent_at: Duration, id: MessageId, message: Message) {
        self.counts.sent += 1;
        self.messages.push_back(Queued {
            sent_at,
            id,
            message,
        });
    }

    /// Moves up to `max` messages behind `buffer`.
    pub(crate) fn take(
        &mut self,
        name: &ChannelName,
        buffer: &mut Vec<Received>,
        max: usize,
    ) -> usize {
        let count = self.messages.len().min(max);
        buffer.extend(self.messages.drain(..count).map(|queued| Received {
            channel: name.clone(),
            id: queued.id,
            message: queued.message,
        }));
        self.counts.received += count as u64;
        count
    }

    /// Forgets messages and counts.
    pub(crate) fn clear(&mut self) {
        self.messages.clear();
        self.delayed.clear();
        self.counts = Counts::default();
    }

    pub(crate) fn statistics(&self, now: Duration) -> ChannelStatistics {
        let oldest = self.messages.front().map(|head| head.sent_at);
        ChannelStatistics {
            pending: self.messages.len() as u64,
            delayed: self.delayed.len() as u64,
            oldest_age: oldest.map(|sent_at| now.saturating_sub(sent_at)),
            ..self.counts.statistics()
        }
    }
}
