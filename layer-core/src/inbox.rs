//! A node's inbox: everything that concerns its reply channels, in order.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::{GroupName, Limits, LocalId, Reply};

/// What an entry costs in a queue besides its payload, in bytes.
const ENTRY_OVERHEAD: usize = 64;

/// One thing that concerns a node's reply channels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InboxEntry {
    /// A reply for one connection.
    Reply {
        /// The connection.
        to: LocalId,
        /// What to do on it.
        reply: Reply,
    },
    /// A message for all members that this node has of a group.
    Group {
        /// The group.
        group: GroupName,
        /// What to do on each.
        reply: Reply,
    },
    /// A connection becomes a member, or renews its membership.
    Join {
        /// The group.
        group: GroupName,
        /// The connection.
        to: LocalId,
        /// The membership's metadata, in place of what was there.
        meta: Bytes,
    },
    /// A connection is no longer a member.
    Leave {
        /// The group.
        group: GroupName,
        /// The connection.
        to: LocalId,
    },
    /// A connection leaves all its groups.
    LeaveAll {
        /// The connection.
        to: LocalId,
    },
}

impl InboxEntry {
    /// What the entry counts against the bytes of an inbox.
    #[must_use]
    pub fn size(&self) -> usize {
        let body = match self {
            Self::Reply { reply, .. } | Self::Group { reply, .. } => reply.payload_size(),
            Self::Join { meta, .. } => meta.len(),
            Self::Leave { .. } | Self::LeaveAll { .. } => 0,
        };
        ENTRY_OVERHEAD + body
    }

    /// Whether the entry passes outside the limits: completions are bounded by
    /// the events in flight, and membership must follow what was stored.
    #[must_use]
    pub fn is_unbounded(&self) -> bool {
        match self {
            Self::Reply { reply, .. } => reply.completion.is_some(),
            Self::Group { .. } => false,
            Self::Join { .. } | Self::Leave { .. } | Self::LeaveAll { .. } => true,
        }
    }
}

/// An inbox without room gives the entry back.
#[derive(Debug)]
pub struct Refused(pub Box<InboxEntry>);

/// The memberships of one connection of a node, as the node knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The group.
    pub group: GroupName,
    /// The connection.
    pub member: LocalId,
    /// The metadata.
    pub meta: Bytes,
}

/// Where a layer puts what arrives for its node; the hub of an interface
/// server is one.
///
/// The layer is the one that calls: it delivers entries in order, asks who is
/// still there when it sweeps ghosts, and asks for all memberships when the
/// backend has come back empty.
#[async_trait]
pub trait InboxSink: fmt::Debug + Send + Sync {
    /// Takes one entry, at once.
    ///
    /// # Errors
    ///
    /// [`Refused`] gives the entry back when there is no room for it. Entries
    /// that are [unbounded](InboxEntry::is_unbounded) are always taken.
    fn deliver(&self, entry: InboxEntry) -> Result<(), Refused>;

    /// Waits until a refused entry may find room.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    async fn room(&self);

    /// Group messages for this node were dropped: members may have missed some.
    fn mark_gap(&self);

    /// Whether the connection is open.
    fn is_live(&self, member: LocalId) -> bool;

    /// Every membership of every open connection.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    async fn memberships(&self) -> Vec<Membership>;
}

/// A bounded queue of inbox entries with one reader.
#[derive(Debug)]
pub struct InboxQueue {
    entries_max: usize,
    bytes_max: usize,
    state: Mutex<QueueState>,
    filled: Notify,
    drained: Notify,
}

#[derive(Debug, Default)]
struct QueueState {
    entries: Vec<InboxEntry>,
    bytes: usize,
    gap: bool,
}

impl InboxQueue {
    /// An empty queue with the inbox bounds of `limits`.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        Self {
            entries_max: limits.inbox_entries_max,
            bytes_max: limits.inbox_bytes_max,
            state: Mutex::default(),
            filled: Notify::new(),
            drained: Notify::new(),
        }
    }

    /// Puts an entry at the end.
    ///
    /// # Errors
    ///
    /// [`Refused`] gives the entry back when the queue is full, by count or by
    /// bytes. An empty queue takes one entry of any size.
    pub fn push(&self, entry: InboxEntry) -> Result<(), Refused> {
        let mut state = self.state.lock();
        let size = entry.size();
        let full = state.entries.len() >= self.entries_max
            || (state.bytes + size > self.bytes_max && !state.entries.is_empty());
        if full && !entry.is_unbounded() {
            return Err(Refused(Box::new(entry)));
        }
        state.bytes += size;
        state.entries.push(entry);
        // The reader empties the queue each time, so only the first wakes it.
        let wake = state.entries.len() == 1;
        drop(state);
        if wake {
            self.filled.notify_one();
        }
        Ok(())
    }

    /// Notes that group messages were dropped before they came here.
    pub fn mark_gap(&self) {
        self.state.lock().gap = true;
        self.filled.notify_one();
    }

    /// Moves all that waits behind `batch`, without waiting. Returns whether
    /// group messages were dropped since the last call.
    pub fn take(&self, batch: &mut Vec<InboxEntry>) -> bool {
        let mut state = self.state.lock();
        state.bytes = 0;
        if batch.is_empty() {
            std::mem::swap(batch, &mut state.entries);
        } else {
            batch.append(&mut state.entries);
        }
        let gap = std::mem::take(&mut state.gap);
        drop(state);
        self.drained.notify_waiters();
        gap
    }

    /// Whether nothing waits here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.state.lock().entries.is_empty()
    }

    /// Waits until something waits here.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: entries stay until
    /// [`take`](Self::take).
    pub async fn filled(&self) {
        loop {
            let filled = self.filled.notified();
            {
                let state = self.state.lock();
                if !state.entries.is_empty() || state.gap {
                    return;
                }
            }
            filled.await;
        }
    }

    /// Waits until the queue has been emptied, unless it is empty now. Only
    /// then an entry of any size is sure of its place.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn room(&self) {
        let drained = self.drained.notified();
        let waits = !self.state.lock().entries.is_empty();
        if waits {
            drained.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn entry(len: usize) -> InboxEntry {
        InboxEntry::Reply {
            to: LocalId(1),
            reply: Reply::bytes(vec![0; len]),
        }
    }

    #[test]
    fn an_entry_that_was_refused_for_its_size_waits_for_an_empty_queue() {
        let limits = Limits {
            inbox_bytes_max: 1000,
            ..Limits::default()
        };
        let queue = InboxQueue::new(&limits);
        queue.push(entry(500)).unwrap();
        let Refused(refused) = queue.push(entry(600)).unwrap_err();
        let mut room = Box::pin(queue.room());
        assert_eq!(room.as_mut().now_or_never(), None);
        let mut batch = Vec::new();
        queue.take(&mut batch);
        assert_eq!(batch, [entry(500)]);
        assert_eq!(room.now_or_never(), Some(()));
        queue.push(*refused).unwrap();
    }

    #[test]
    fn an_empty_queue_takes_an_entry_of_any_size() {
        let limits = Limits {
            inbox_bytes_max: 10,
            ..Limits::default()
        };
        let queue = InboxQueue::new(&limits);
        assert_eq!(queue.room().now_or_never(), Some(()));
        queue.push(entry(5000)).unwrap();
        queue.push(entry(0)).unwrap_err();
    }
}
