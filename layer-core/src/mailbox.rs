//! A reply channel that a task reads, as a socket's is written out.

use std::fmt;
use std::sync::Arc;
use std::vec;

use tokio::sync::watch;

use crate::switchboard::Switchboard;
use crate::{ChannelName, GroupName, InboxEntry, InboxQueue, LocalId, Reply};

/// What a mailbox brings.
#[derive(Debug, Clone, PartialEq)]
pub enum Mail {
    /// Something that was sent to the mailbox's own channel.
    Reply(Reply),
    /// Something that was sent to a group of which the mailbox is a member.
    Group {
        /// The group.
        group: GroupName,
        /// What was sent.
        reply: Reply,
    },
    /// Something may be missing here: the mailbox was full, or its node was
    /// without its backend.
    Gap,
}

/// A reply channel that a task reads: what is sent to it, and to the groups that
/// it is a member of, comes out in order.
///
/// [`ChannelLayer::mailbox`](crate::ChannelLayer::mailbox) opens one. It holds
/// [1024 entries](Mailbox::ENTRIES_MAX) or [1 MiB](Mailbox::BYTES_MAX) that have
/// not been read; what comes beyond is dropped, and [`Mail::Gap`] says so.
///
/// Dropping it closes it. What is sent to it from then on is dropped and
/// counted, and its memberships end within a lease; whoever wants them to end at
/// once discards them before.
pub struct Mailbox {
    channel: ChannelName,
    local: LocalId,
    switchboard: Arc<Switchboard>,
    queue: Arc<InboxQueue>,
    closed: watch::Receiver<bool>,
    ready: vec::IntoIter<InboxEntry>,
    gap: bool,
}

impl Mailbox {
    /// Entries that wait to be read at most.
    pub const ENTRIES_MAX: usize = 1024;

    /// Bytes of payload that wait to be read at most; an empty mailbox takes one
    /// entry of any size.
    pub const BYTES_MAX: usize = 1 << 20;

    pub(crate) fn new(
        channel: ChannelName,
        local: LocalId,
        switchboard: Arc<Switchboard>,
        queue: Arc<InboxQueue>,
        closed: watch::Receiver<bool>,
    ) -> Self {
        Self {
            channel,
            local,
            switchboard,
            queue,
            closed,
            ready: Vec::new().into_iter(),
            gap: false,
        }
    }

    /// Its name: what is sent there comes here. As a member of a group it gets
    /// what is sent to that.
    #[must_use]
    pub fn channel(&self) -> &ChannelName {
        &self.channel
    }

    /// Waits for the next mail; `None` once the node has left the layer.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Mail> {
        loop {
            if let Some(mail) = self.take() {
                return Some(mail);
            }
            if *self.closed.borrow() {
                return None;
            }
            let (queue, closed) = (&self.queue, &mut self.closed);
            tokio::select! {
                () = queue.filled() => {}
                // The switchboard is there for as long as this is.
                _ = closed.wait_for(|closed| *closed) => {}
            }
        }
    }

    /// The next mail if it is here already.
    pub fn take(&mut self) -> Option<Mail> {
        if self.ready.as_slice().is_empty() && !self.gap {
            let mut batch = Vec::new();
            self.gap = self.queue.take(&mut batch);
            self.ready = batch.into_iter();
        }
        match self.ready.next() {
            Some(InboxEntry::Reply { reply, .. }) => Some(Mail::Reply(reply)),
            Some(InboxEntry::Group { group, reply }) => Some(Mail::Group { group, reply }),
            // What was dropped came behind what was taken.
            _ => std::mem::take(&mut self.gap).then_some(Mail::Gap),
        }
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        self.switchboard.shut(self.local);
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox")
            .field("channel", &self.channel)
            .finish_non_exhaustive()
    }
}
