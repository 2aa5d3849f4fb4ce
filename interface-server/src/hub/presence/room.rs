//! The presences of one topic on one shard.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use bytes::Bytes;
use bytestring::ByteString;
use towpath_layer_core::presence::{
    Change, Local, Pending, PresenceLimits, Reading, Replica, Source,
};
use towpath_layer_core::{ChannelName, GroupName, LocalId};

use super::upkeep::Nodes;
use crate::hub::connection::Connection;
use crate::hub::ids::IdMap;
use crate::hub::seated::Seated;
use crate::hub::topic::Topic;

/// One topic.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) topic: ByteString,
    /// Who joined the topic: whoever is told of changes is among them.
    pub(super) group: GroupName,
    /// Who is present: their memberships store it.
    pub(super) store: GroupName,
    pub(super) local: RefCell<Local>,
    /// While somebody here watches.
    pub(super) replica: RefCell<Option<Replica>>,
    /// How many replicas there have been: what was read for one is not for the next.
    pub(super) replicas: Cell<u64>,
    /// What is not announced yet.
    pub(super) pending: RefCell<Pending>,
    pub(super) watchers: RefCell<IdMap<Watcher>>,
    /// What is to be stored and published, in order.
    pub(super) ops: RefCell<VecDeque<Op>>,
    pub(super) publishes: Cell<bool>,
    /// Who is to be taken out of the store although no change is left that says
    /// so: connections that are here and present no more.
    pub(super) left: RefCell<IdMap<ChannelName>>,
    /// Whether all presences here were too many for one message.
    pub(super) is_large: Cell<bool>,
    /// The reading that is asked for, if it has not begun.
    pub(super) wanted: Cell<Option<Reading>>,
    pub(super) reads: Cell<bool>,
    /// Whether it is read once more when nodes have announced their members.
    pub(super) unsettled: Cell<bool>,
    /// Whether an announcement is on its way.
    pub(super) announces: Cell<bool>,
    /// Whether something was published since the last beat.
    pub(super) changed: Cell<bool>,
}

/// Who is told.
#[derive(Debug)]
pub(super) struct Watcher {
    pub(super) seated: Seated,
    /// Whether it is a member of the topic's group, where changes are heard. What a
    /// plain WebSocket reads is known by its membership only.
    pub(super) member: bool,
    pub(super) diffs: bool,
    /// Whether it has been told the state.
    pub(super) told: bool,
}

/// A change on its way: what it is of is stored first.
#[derive(Debug)]
pub(super) struct Op {
    pub(super) change: Change,
    /// Whose presences are to be stored; everybody's without.
    pub(super) of: Option<(LocalId, ChannelName)>,
}

impl Op {
    pub(super) fn one(connection: &Connection, change: Change) -> Self {
        Self {
            change,
            of: Some((connection.id, connection.channel.clone())),
        }
    }
}

impl Watcher {
    /// `meta`: of its membership, if it is a member.
    pub(super) fn new(
        connection: &Rc<Connection>,
        group: &GroupName,
        meta: Option<Bytes>,
        diffs: bool,
    ) -> Self {
        Self {
            member: meta.is_some(),
            seated: Seated::new(Rc::clone(connection), group, meta.unwrap_or_default()),
            diffs,
            told: false,
        }
    }

    /// Whether it can be told now: not before its join is answered, as the answer
    /// comes first and what waits for it is bounded, and not after its client has
    /// been told that the topic is over, as it may have joined again.
    pub(super) fn listens(&self, group: &GroupName) -> bool {
        let connection = &self.seated.connection;
        let over = connection.topic().is_some_and(Topic::is_told);
        self.member && !over && !connection.holds(group)
    }
}

impl Room {
    pub(super) fn new(
        topic: &ByteString,
        group: GroupName,
        source: Source,
        floor: u64,
        limits: PresenceLimits,
    ) -> Self {
        Self {
            topic: topic.clone(),
            store: GroupName::presences(topic),
            group,
            local: RefCell::new(Local::new(source, floor, limits)),
            replica: RefCell::default(),
            replicas: Cell::new(0),
            pending: RefCell::default(),
            watchers: RefCell::default(),
            ops: RefCell::default(),
            publishes: Cell::new(false),
            left: RefCell::default(),
            is_large: Cell::new(false),
            wanted: Cell::new(None),
            reads: Cell::new(false),
            unsettled: Cell::new(false),
            announces: Cell::new(false),
            changed: Cell::new(false),
        }
    }

    /// Begins a replica if there is none; what has to be read for it.
    pub(super) fn begin(&self, held_max: usize, nodes: &Nodes) -> Option<Reading> {
        let mut replica = self.replica.borrow_mut();
        if replica.is_some() {
            return None;
        }
        let (mut new, reading) = Replica::new(held_max);
        for (node, incarnation) in nodes.gone() {
            // It knows nobody yet: nobody leaves.
            drop(new.source_gone(node, incarnation));
        }
        *replica = Some(new);
        self.replicas.set(self.replicas.get() + 1);
        Some(reading)
    }

    /// What the layer is to keep of a connection now, if it is present.
    pub(super) fn stored(&self, id: LocalId) -> Option<Bytes> {
        self.local.borrow().stored(id)?.encode().ok()
    }

    /// Whether the room is of no use to anybody.
    pub(super) fn is_idle(&self) -> bool {
        self.local.borrow().is_empty()
            && self.watchers.borrow().is_empty()
            && self.ops.borrow().is_empty()
            && !self.publishes.get()
            && !self.changed.get()
    }
}
