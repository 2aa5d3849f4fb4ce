//! Who is here: the presences of this shard's connections, and what its clients
//! are told of everybody's.
//!
//! The shard is the only authority for the presences of its own connections: it
//! stores them in the layer, then tells the topic's group. What it hears from
//! there, also of itself, goes into the topic's replica, and its clients are told
//! the difference.

mod announce;
mod publish;
mod read;
mod room;
mod upkeep;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use bytestring::ByteString;
use smallvec::SmallVec;
use towpath_layer_core::presence::{Change, PresenceLimits, References, Source};
use towpath_layer_core::{Counter, GroupName, LocalId, Membership, Tracking};

use super::connection::Connection;
use super::ids::IdMap;
use super::shard::Shard;
use room::{Op, Room, Watcher};
use upkeep::Nodes;

pub(crate) use upkeep::run;

/// Changes, and entries in them, that are held while a topic's presences are
/// read; over it they are read once more.
const HELD_MAX: usize = 16_384;

/// Topics with presences of one connection.
type Rooms = SmallVec<[GroupName; 1]>;

/// The presences of one shard.
#[derive(Debug, Default)]
pub(crate) struct Presences {
    rooms: RefCell<HashMap<GroupName, Rc<Room>>>,
    /// In which topics a connection is present, or watches.
    of: RefCell<IdMap<Rooms>>,
    incarnation: Cell<u64>,
    /// No topic that was dropped has published a greater version.
    floor: Cell<u64>,
    references: RefCell<Option<References>>,
    nodes: Nodes,
}

impl Shard {
    fn source(&self) -> Source {
        Source {
            node: self.layer.node(),
            incarnation: self.presences.incarnation.get(),
            shard: u8::try_from(self.number).unwrap_or(u8::MAX),
        }
    }

    /// A connection's consumer tracks or watches.
    pub(crate) fn track(self: &Rc<Self>, connection: &Rc<Connection>, tracking: Tracking) {
        if !connection.conversation.borrow().takes_members() {
            // Its last event: it is nowhere any more.
            return self.count(Counter::Dropped);
        }
        let room = self.room(tracking.topic());
        let mut of = self.presences.of.borrow_mut();
        let rooms = of.entry(connection.id).or_default();
        if !rooms.contains(&room.group) {
            rooms.push(room.group.clone());
        }
        drop(of);
        match tracking {
            Tracking::Watch { diffs, .. } => self.watch(&room, connection, diffs),
            Tracking::Track { key, meta, .. } => {
                let known = {
                    let local = room.local.borrow();
                    let mut entries = local.entries(connection.id).iter();
                    entries.any(|entry| entry.key == key)
                };
                let changed = self.with_references(|references| {
                    let mut local = room.local.borrow_mut();
                    if known {
                        local.update(connection.id, &key, &meta, references)
                    } else {
                        local.track(connection.id, key, &meta, references)
                    }
                });
                match changed {
                    Ok(change) => self.publish(&room, Op::one(connection, change)),
                    Err(error) => {
                        let topic = &*room.topic;
                        tracing::warn!(topic, %error, "a presence is not tracked");
                    }
                }
            }
            Tracking::Untrack { key, .. } => {
                let change = room.local.borrow_mut().untrack(connection.id, &key);
                if let Some(change) = change {
                    self.publish(&room, Op::one(connection, change));
                }
            }
        }
    }

    /// A connection is present in no topic any more, and watches none.
    pub(crate) fn not_here(self: &Rc<Self>, connection: &Rc<Connection>) {
        let rooms = self.presences.of.borrow_mut().remove(&connection.id);
        for group in rooms.unwrap_or_default() {
            let Some(room) = self.presences.room(&group) else {
                continue;
            };
            let change = room.local.borrow_mut().untrack_all(connection.id);
            if let Some(change) = change {
                self.publish(&room, Op::one(connection, change));
            }
            self.unwatch(&room, connection.id);
        }
    }

    /// What the layer is to keep of memberships that store presences is what is
    /// now: what was stored last may be on its way back here, or lost on it.
    pub(super) fn with_presences(&self, memberships: &mut Vec<Membership>) {
        let rooms = self.presences.all_rooms().into_iter();
        let rooms: HashMap<_, _> = rooms.map(|room| (room.store.clone(), room)).collect();
        memberships.retain_mut(|membership| {
            let Some(room) = rooms.get(&membership.group) else {
                return true;
            };
            match room.stored(membership.member) {
                Some(meta) => membership.meta = meta,
                None => return false,
            }
            true
        });
    }

    /// A source has changed something in a topic.
    pub(super) fn presence_changed(self: &Rc<Self>, group: &GroupName, change: &Change) {
        self.presences.nodes.note(&change.source);
        let Some(room) = self.presences.room(group) else {
            return;
        };
        let applied = room
            .replica
            .borrow_mut()
            .as_mut()
            .map(|replica| replica.apply(change));
        if let Some(applied) = applied {
            self.applied(&room, applied);
        }
    }

    /// Messages may have been missed: what is known of others is read again.
    pub(super) fn presences_missed(self: &Rc<Self>) {
        for room in self.presences.all_rooms() {
            let reading = room
                .replica
                .borrow_mut()
                .as_mut()
                .map(|replica| replica.reread());
            if let Some(reading) = reading {
                self.read_presences(&room, reading);
            }
        }
    }

    fn with_references<R>(&self, draw: impl FnOnce(&mut References) -> R) -> R {
        let mut references = self.presences.references.borrow_mut();
        draw(references.get_or_insert_with(|| References::new(self.source())))
    }

    fn room(&self, topic: &ByteString) -> Rc<Room> {
        let group = GroupName::topic(topic);
        let mut rooms = self.presences.rooms.borrow_mut();
        let room = rooms.entry(group).or_insert_with_key(|group| {
            let floor = self.presences.floor.get();
            let limits = PresenceLimits::default();
            Rc::new(Room::new(
                topic,
                group.clone(),
                self.source(),
                floor,
                limits,
            ))
        });
        Rc::clone(room)
    }

    fn watch(self: &Rc<Self>, room: &Rc<Room>, connection: &Rc<Connection>, diffs: bool) {
        let meta = {
            let groups = self.groups.borrow();
            let members = groups.members(&room.group);
            // A topic's own membership says nothing; a plain socket's names its stream.
            let member = connection.topic().is_none().then(|| {
                let mut members = members.iter();
                members.find(|(member, _)| *member == connection.id)
            });
            member.flatten().map(|(_, seated)| seated.meta.clone())
        };
        let watcher = Watcher::new(connection, meta.unwrap_or_default(), diffs);
        room.watchers.borrow_mut().insert(connection.id, watcher);
        match room.begin(HELD_MAX, &self.presences.nodes) {
            Some(reading) => self.read_presences(room, reading),
            None => self.announce_soon(room),
        }
    }

    fn unwatch(&self, room: &Rc<Room>, id: LocalId) {
        let mut watchers = room.watchers.borrow_mut();
        if watchers.remove(&id).is_some() && watchers.is_empty() {
            // Nobody is told: it is read anew for the next who asks.
            room.replica.take();
            room.pending.take();
        }
        drop(watchers);
        self.drop_if_idle(room);
    }
}

impl Presences {
    fn room(&self, group: &GroupName) -> Option<Rc<Room>> {
        self.rooms.borrow().get(group).cloned()
    }

    fn all_rooms(&self) -> Vec<Rc<Room>> {
        self.rooms.borrow().values().cloned().collect()
    }
}
