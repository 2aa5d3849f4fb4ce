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
#[cfg(test)]
mod tests;
mod track;
mod upkeep;
mod watch;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use bytestring::ByteString;
use smallvec::SmallVec;
use towpath_layer_core::presence::{Change, PresenceLimits, References, Source};
use towpath_layer_core::{GroupName, LocalId, Membership};

use super::ids::IdMap;
use super::shard::Shard;
use room::Room;
use upkeep::Nodes;

pub(crate) use upkeep::run;

/// Topics in which one connection may be present or watch: so the rooms of a shard
/// are bounded by its connections. Over it what is said of another topic is left
/// out, with a warning.
const TOPICS_MAX: usize = 64;

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

    fn room(&self, topic: &ByteString, group: GroupName) -> Rc<Room> {
        let mut rooms = self.presences.rooms.borrow_mut();
        let room = rooms.entry(group).or_insert_with_key(|group| {
            let floor = self.presences.floor.get();
            let limits = PresenceLimits::of(self.layer.limits());
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
}

impl Presences {
    fn room(&self, group: &GroupName) -> Option<Rc<Room>> {
        self.rooms.borrow().get(group).cloned()
    }

    fn all_rooms(&self) -> Vec<Rc<Room>> {
        self.rooms.borrow().values().cloned().collect()
    }

    /// The rooms in which a connection is present, or watches.
    fn rooms_of(&self, id: LocalId) -> Vec<Rc<Room>> {
        let of = self.of.borrow();
        let groups = of.get(&id).into_iter().flatten();
        groups.filter_map(|group| self.room(group)).collect()
    }

    /// Notes that a connection is in a room; false if it is in too many.
    fn enter(&self, id: LocalId, group: &GroupName) -> bool {
        let mut of = self.of.borrow_mut();
        let rooms = of.entry(id).or_default();
        let known = rooms.contains(group);
        if !known && rooms.len() < TOPICS_MAX {
            rooms.push(group.clone());
            return true;
        }
        known
    }

    /// Notes that a connection is not in a room any more.
    fn leave(&self, id: LocalId, group: &GroupName) {
        let mut of = self.of.borrow_mut();
        if let Some(rooms) = of.get_mut(&id) {
            rooms.retain(|known| known != group);
            if rooms.is_empty() {
                of.remove(&id);
            }
        }
    }
}
