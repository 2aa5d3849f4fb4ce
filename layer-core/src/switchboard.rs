//! Who takes what a node's inbox brings: its sink, and the mailboxes of tasks.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

use crate::{
    ChannelName, GroupName, GroupTable, InboxEntry, InboxQueue, InboxSink, Limits, LocalId,
    Mailbox, Membership, NodeId, Refused,
};

/// The taking side of one node, for a backend to hold: the sink that was
/// attached, if one was, and beside it the [`Mailbox`]es of this process's tasks.
///
/// The ids of mailboxes have the first bit set; a sink leaves it clear in its
/// own.
pub struct Switchboard {
    node: NodeId,
    sink: RwLock<Option<Arc<dyn InboxSink>>>,
    /// Whether there has ever been a mailbox.
    has_mailboxes: AtomicBool,
    mailboxes: Mutex<Mailboxes>,
    closed: watch::Sender<bool>,
}

#[derive(Default)]
struct Mailboxes {
    opened: u64,
    queues: HashMap<LocalId, Arc<InboxQueue>>,
    members: GroupTable<LocalId>,
}

impl Switchboard {
    /// Nobody takes anything yet.
    #[must_use]
    pub fn new(node: NodeId) -> Arc<Self> {
        Arc::new(Self {
            node,
            sink: RwLock::new(None),
            has_mailboxes: AtomicBool::new(false),
            mailboxes: Mutex::default(),
            closed: watch::Sender::new(false),
        })
    }

    /// What is for the node's connections goes there from now on.
    pub fn attach(&self, sink: Arc<dyn InboxSink>) {
        *self.sink.write() = Some(sink);
    }

    /// Opens a mailbox.
    #[must_use]
    pub fn open(self: &Arc<Self>) -> Mailbox {
        let limits = Limits {
            inbox_entries_max: Mailbox::ENTRIES_MAX,
            inbox_bytes_max: Mailbox::BYTES_MAX,
            ..Limits::default()
        };
        let queue = Arc::new(InboxQueue::new(&limits));
        let mut mailboxes = self.mailboxes.lock();
        mailboxes.opened += 1;
        let local = LocalId::mailbox(mailboxes.opened);
        mailboxes.queues.insert(local, Arc::clone(&queue));
        drop(mailboxes);
        self.has_mailboxes.store(true, Ordering::Release);
        let channel = ChannelName::reply(self.node, local);
        let closed = self.closed.subscribe();
        Mailbox::new(channel, local, Arc::clone(self), queue, closed)
    }

    /// Closes a mailbox.
    pub(crate) fn shut(&self, local: LocalId) {
        let mut mailboxes = self.mailboxes.lock();
        mailboxes.queues.remove(&local);
        mailboxes.members.leave_all(local);
    }

    /// The node has left: the sink is let go, and mailboxes end once they are
    /// read.
    pub fn close(&self) {
        *self.sink.write() = None;
        self.closed.send_replace(true);
    }

    /// Whether anybody takes what comes.
    #[must_use]
    pub fn is_attended(&self) -> bool {
        self.has_mailboxes.load(Ordering::Acquire) || self.sink.read().is_some()
    }

    /// Who takes what is for one connection, whether that is open or not.
    #[must_use]
    pub fn taker_of(self: &Arc<Self>, local: LocalId) -> Option<Arc<dyn InboxSink>> {
        if local.is_mailbox() {
            return Some(Arc::clone(self) as _);
        }
        self.sink()
    }

    fn sink(&self) -> Option<Arc<dyn InboxSink>> {
        self.sink.read().clone()
    }

    fn to_sink(&self, entry: InboxEntry) -> Result<(), Refused> {
        match &*self.sink.read() {
            Some(sink) => sink.deliver(entry),
            None => Ok(()),
        }
    }

    /// A group's message: the sink first, for it may give it back, and then it
    /// comes again.
    fn to_group(&self, group: &GroupName, entry: &InboxEntry) -> Result<(), Refused> {
        self.to_sink(entry.clone())?;
        let mailboxes = self.mailboxes.lock();
        for (member, _) in mailboxes.members.members(group) {
            mailboxes.put(*member, entry.clone());
        }
        Ok(())
    }
}

impl Mailboxes {
    fn put(&self, to: LocalId, entry: InboxEntry) {
        if let Some(queue) = self.queues.get(&to)
            && queue.push(entry).is_err()
        {
            queue.mark_gap();
        }
    }

    fn join(&mut self, group: &GroupName, to: LocalId, meta: Bytes) {
        if self.queues.contains_key(&to) {
            self.members.join(group, to, meta);
        }
    }
}

#[async_trait]
impl InboxSink for Switchboard {
    fn deliver(&self, entry: InboxEntry) -> Result<(), Refused> {
        let to = match &entry {
            InboxEntry::Group { group, .. } => return self.to_group(group, &entry),
            InboxEntry::Reply { to, .. }
            | InboxEntry::Join { to, .. }
            | InboxEntry::Leave { to, .. }
            | InboxEntry::LeaveAll { to } => *to,
        };
        if !to.is_mailbox() {
            return self.to_sink(entry);
        }
        let mut mailboxes = self.mailboxes.lock();
        match entry {
            InboxEntry::Join { group, to, meta } => mailboxes.join(&group, to, meta),
            InboxEntry::Leave { group, to } => {
                mailboxes.members.leave(&group, to);
            }
            InboxEntry::LeaveAll { to } => {
                mailboxes.members.leave_all(to);
            }
            entry => mailboxes.put(to, entry),
        }
        Ok(())
    }

    async fn room(&self) {
        // A mailbox never gives anything back.
        if let Some(sink) = self.sink() {
            sink.room().await;
        }
    }

    fn mark_gap(&self) {
        if let Some(sink) = self.sink() {
            sink.mark_gap();
        }
        for queue in self.mailboxes.lock().queues.values() {
            queue.mark_gap();
        }
    }

    fn is_live(&self, member: LocalId) -> bool {
        if member.is_mailbox() {
            return self.mailboxes.lock().queues.contains_key(&member);
        }
        let sink = self.sink.read();
        sink.as_ref().is_some_and(|sink| sink.is_live(member))
    }

    async fn memberships(&self) -> Vec<Membership> {
        let mut all = match self.sink() {
            Some(sink) => sink.memberships().await,
            None => Vec::new(),
        };
        let mailboxes = self.mailboxes.lock();
        let members = mailboxes.members.iter();
        all.extend(members.map(|(group, member, meta)| Membership {
            group: group.clone(),
            member,
            meta: meta.clone(),
        }));
        all
    }
}

impl fmt::Debug for Switchboard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Switchboard")
            .field("node", &self.node)
            .field("sink", &self.sink)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Mail, Reply, SeededEntropy};

    fn group() -> GroupName {
        GroupName::new("room").unwrap()
    }

    fn message(text: &str) -> InboxEntry {
        InboxEntry::Group {
            group: group(),
            reply: Reply::text(text.to_owned()),
        }
    }

    fn said(mail: Option<Mail>) -> Reply {
        match mail {
            Some(Mail::Group { reply, .. }) => reply,
            other => panic!("no message to the group: {other:?}"),
        }
    }

    fn joined() -> (Arc<Switchboard>, Mailbox) {
        let node = NodeId::random(&SeededEntropy::new(1));
        let switchboard = Switchboard::new(node);
        let mailbox = switchboard.open();
        let join = InboxEntry::Join {
            group: group(),
            to: mailbox.channel().as_reply().unwrap().1,
            meta: Bytes::new(),
        };
        switchboard.deliver(join).unwrap();
        (switchboard, mailbox)
    }

    /// A sink without room.
    #[derive(Debug)]
    struct Full;

    #[async_trait]
    impl InboxSink for Full {
        fn deliver(&self, entry: InboxEntry) -> Result<(), Refused> {
            Err(Refused(Box::new(entry)))
        }

        async fn room(&self) {}

        fn mark_gap(&self) {}

        fn is_live(&self, _: LocalId) -> bool {
            false
        }

        async fn memberships(&self) -> Vec<Membership> {
            Vec::new()
        }
    }

    #[test]
    fn what_the_sink_gives_back_reaches_a_mailbox_once_it_is_taken() {
        let (switchboard, mut mailbox) = joined();
        switchboard.attach(Arc::new(Full));
        switchboard.deliver(message("hi")).unwrap_err();
        assert_eq!(mailbox.take(), None);
        *switchboard.sink.write() = None;
        switchboard.deliver(message("hi")).unwrap();
        assert_eq!(said(mailbox.take()), Reply::text("hi"));
        assert_eq!(mailbox.take(), None);
    }

    #[tokio::test]
    async fn what_finds_no_room_is_a_gap_behind_what_was_taken() {
        let (switchboard, mut mailbox) = joined();
        for number in 0..=Mailbox::ENTRIES_MAX {
            switchboard.deliver(message(&number.to_string())).unwrap();
        }
        for number in 0..Mailbox::ENTRIES_MAX {
            let reply = said(mailbox.next().await);
            assert_eq!(reply, Reply::text(number.to_string()));
        }
        assert_eq!(mailbox.next().await, Some(Mail::Gap));
        switchboard.deliver(message("again")).unwrap();
        assert_eq!(said(mailbox.next().await), Reply::text("again"));
    }

    #[tokio::test]
    async fn a_mailbox_ends_with_its_node_and_when_it_is_dropped() {
        let (switchboard, mut mailbox) = joined();
        switchboard.deliver(message("last")).unwrap();
        switchboard.close();
        assert_eq!(said(mailbox.next().await), Reply::text("last"));
        assert_eq!(mailbox.next().await, None);
        let local = mailbox.channel().as_reply().unwrap().1;
        assert!(switchboard.is_live(local));
        drop(mailbox);
        assert!(!switchboard.is_live(local));
        assert_eq!(switchboard.memberships().await, []);
    }
}
