//! Who is told who is here.

use std::rc::Rc;

use bytes::Bytes;
use towpath_layer_core::{GroupName, LocalId};

use super::room::{Room, Watcher};
use crate::hub::connection::Connection;
use crate::hub::seated::Seated;
use crate::hub::shard::Shard;

/// Changes, and entries in them, that are held while a topic's presences are
/// read; over it they are read once more.
const HELD_MAX: usize = 16_384;

impl Shard {
    /// A connection is told the state, and then, if it wants, what changes.
    pub(super) fn watch(
        self: &Rc<Self>,
        room: &Rc<Room>,
        connection: &Rc<Connection>,
        diffs: bool,
    ) {
        let meta = if connection.topic().is_some() {
            // Its membership says nothing.
            Some(Bytes::new())
        } else {
            let groups = self.groups.borrow();
            let mut members = groups.members(&room.group).iter();
            let member = members.find(|(member, _)| *member == connection.id);
            member.map(|(_, seated)| seated.meta.clone())
        };
        let watcher = Watcher::new(connection, &room.group, meta, diffs);
        room.watchers.borrow_mut().insert(connection.id, watcher);
        match room.begin(HELD_MAX, &self.presences.nodes) {
            Some(reading) => self.read_presences(room, reading),
            None => self.announce_soon(room),
        }
    }

    /// A connection has joined a topic's group.
    pub(in crate::hub) fn joined_group(
        self: &Rc<Self>,
        group: &GroupName,
        connection: &Connection,
        meta: Bytes,
    ) {
        if connection.topic().is_some() {
            return;
        }
        let Some(room) = self.presences.room(group) else {
            return;
        };
        if let Some(watcher) = room.watchers.borrow_mut().get_mut(&connection.id) {
            watcher.member = true;
            let connection = Rc::clone(&watcher.seated.connection);
            watcher.seated = Seated::new(connection, group, meta);
        }
        self.announce_soon(&room);
    }

    /// A connection is told no more.
    pub(super) fn unwatch(&self, room: &Room, id: LocalId) {
        let mut watchers = room.watchers.borrow_mut();
        if watchers.remove(&id).is_some() && watchers.is_empty() {
            // Nobody is told: it is read anew for the next who asks.
            room.replica.take();
            room.pending.take();
        }
    }

    /// A join of a connection is answered: what it watches it is told from now on.
    pub(in crate::hub) fn tell_presences(self: &Rc<Self>, connection: &Connection) {
        for room in self.presences.rooms_of(connection.id) {
            self.announce_soon(&room);
        }
    }
}
