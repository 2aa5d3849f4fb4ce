//! An inbox sink that collects what arrives, for cases to look at.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::time::timeout;
use towpath_layer_core::{
    GroupName, GroupTable, InboxEntry, InboxQueue, InboxSink, Limits, LocalId, Membership, Refused,
    Reply,
};

/// How long [`CollectingSink::expect`] waits.
const EXPECT_MAX: Duration = Duration::from_secs(15);

/// What a hub is, without sockets: it keeps who is a member and collects, for
/// each open connection, the replies that its client would have got.
///
/// Entries stay in the bounded queue until a case looks, so a case that does
/// not look has a full inbox. One task looks at a time.
#[derive(Debug)]
pub struct CollectingSink {
    queue: InboxQueue,
    next: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    live: BTreeSet<LocalId>,
    table: GroupTable<LocalId>,
    replies: HashMap<LocalId, VecDeque<Reply>>,
    seen: Seen,
}

/// What a [`CollectingSink`] has seen so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seen {
    /// Entries for single connections.
    pub replies: u64,
    /// Entries for groups, whatever the number of members.
    pub group_messages: u64,
    /// Entries for connections that were not open; the sink drops them.
    pub dropped: u64,
    /// How often it was told that it may have missed group messages.
    pub gaps: u64,
}

impl State {
    fn apply(&mut self, entry: InboxEntry) {
        match entry {
            InboxEntry::Reply { to, reply } => {
                self.seen.replies += 1;
                self.collect(to, reply);
            }
            InboxEntry::Group { group, reply } => {
                self.seen.group_messages += 1;
                let members = self.table.members(&group).iter();
                let members: Vec<_> = members.map(|(member, _)| *member).collect();
                for member in members {
                    self.collect(member, reply.clone());
                }
            }
            InboxEntry::Join { group, to, meta } => {
                if self.live.contains(&to) {
                    self.table.join(&group, to, meta);
                }
            }
            InboxEntry::Leave { group, to } => {
                self.table.leave(&group, to);
            }
            InboxEntry::LeaveAll { to } => {
                self.table.leave_all(to);
            }
        }
    }

    fn collect(&mut self, to: LocalId, reply: Reply) {
        if self.live.contains(&to) {
            self.replies.entry(to).or_default().push_back(reply);
        } else {
            self.seen.dropped += 1;
        }
    }
}

impl CollectingSink {
    /// A sink without connections, within the inbox bounds of `limits`.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        Self {
            queue: InboxQueue::new(limits),
            next: AtomicU64::new(1),
            state: Mutex::default(),
        }
    }

    /// Opens a connection.
    pub fn open(&self) -> LocalId {
        let local = LocalId(self.next.fetch_add(1, Ordering::Relaxed));
        self.state.lock().live.insert(local);
        local
    }

    /// Closes a connection without a word to the layer.
    pub fn close(&self, local: LocalId) {
        let mut state = self.state.lock();
        state.live.remove(&local);
        state.table.leave_all(local);
        state.replies.remove(&local);
    }

    /// Takes what waits in the queue: joins and leaves change who is a member,
    /// messages go to those who are members then.
    pub fn drain(&self) {
        let mut state = self.state.lock();
        let mut batch = Vec::new();
        if self.queue.take(&mut batch) {
            state.seen.gaps += 1;
        }
        for entry in batch {
            state.apply(entry);
        }
    }

    /// The next reply for a connection; panics if none comes.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn next(&self, local: LocalId) -> Reply {
        let next = async {
            loop {
                match self.pop(local) {
                    Some(reply) => return reply,
                    None => self.queue.filled().await,
                }
            }
        };
        match timeout(EXPECT_MAX, next).await {
            Ok(reply) => reply,
            Err(_) => panic!("no reply came for connection {local} within {EXPECT_MAX:?}"),
        }
    }

    fn pop(&self, local: LocalId) -> Option<Reply> {
        self.drain();
        let mut state = self.state.lock();
        state.replies.get_mut(&local).and_then(VecDeque::pop_front)
    }

    /// Waits for the next reply for a connection; panics if it is another one.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn expect(&self, local: LocalId, expected: &Reply) {
        let reply = self.next(local).await;
        assert_eq!(&reply, expected, "the next reply of connection {local}");
    }

    /// All replies for a connection that have come and not been looked at.
    pub fn replies(&self, local: LocalId) -> Vec<Reply> {
        self.drain();
        let replies = self.state.lock().replies.remove(&local);
        replies.map(Vec::from).unwrap_or_default()
    }

    /// Whether the sink has heard that a connection is a member.
    pub fn knows(&self, group: &GroupName, local: LocalId) -> bool {
        self.drain();
        self.state.lock().table.is_member(group, local)
    }

    /// The metadata that the sink has heard of for a membership.
    pub fn meta(&self, group: &GroupName, local: LocalId) -> Option<Bytes> {
        self.drain();
        let state = self.state.lock();
        let mut members = state.table.members(group).iter();
        let member = members.find(|(member, _)| *member == local);
        member.map(|(_, meta)| meta.clone())
    }

    /// What it has seen.
    pub fn seen(&self) -> Seen {
        self.drain();
        self.state.lock().seen
    }
}

#[async_trait]
impl InboxSink for CollectingSink {
    fn deliver(&self, entry: InboxEntry) -> Result<(), Refused> {
        self.queue.push(entry)
    }

    async fn room(&self) {
        self.queue.room().await;
    }

    fn mark_gap(&self) {
        self.queue.mark_gap();
    }

    fn is_live(&self, member: LocalId) -> bool {
        self.state.lock().live.contains(&member)
    }

    async fn memberships(&self) -> Vec<Membership> {
        self.drain();
        let state = self.state.lock();
        let memberships = state.table.iter().map(|(group, member, meta)| Membership {
            group: group.clone(),
            member,
            meta: meta.clone(),
        });
        memberships.collect()
    }
}
