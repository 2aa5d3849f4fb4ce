//! What consumers say of presences, and how these end.

use std::rc::Rc;

use bytestring::ByteString;
use towpath_layer_core::{Counter, GroupName, LocalId, Tracking};

use super::room::{Op, Room};
use crate::hub::connection::Connection;
use crate::hub::shard::Shard;

impl Shard {
    /// A connection's consumer tracks or watches.
    pub(crate) fn track(self: &Rc<Self>, connection: &Rc<Connection>, tracking: Tracking) {
        if !connection.conversation.borrow().takes_members() {
            // Its last event: it is nowhere any more.
            return self.count(Counter::Dropped);
        }
        match tracking {
            Tracking::Watch { topic, diffs } => {
                if let Some(room) = self.room_for(connection, &topic) {
                    self.watch(&room, connection, diffs);
                }
            }
            Tracking::Track { topic, key, meta } => {
                if let Some(room) = self.room_for(connection, &topic) {
                    self.appear(&room, connection, key, &meta);
                }
            }
            Tracking::Untrack { topic, key } => {
                if let Some(room) = self.presences.room(&GroupName::topic(&topic)) {
                    let change = room.local.borrow_mut().untrack(connection.id, &key);
                    if let Some(change) = change {
                        self.publish(&room, Op::one(connection, change));
                    }
                    self.leave_if_done(&room, connection.id);
                }
            }
        }
    }

    fn room_for(&self, connection: &Connection, topic: &ByteString) -> Option<Rc<Room>> {
        let group = GroupName::topic(topic);
        if self.presences.enter(connection.id, &group) {
            return Some(self.room(topic, group));
        }
        let (topic, topics_max) = (&**topic, super::TOPICS_MAX);
        tracing::warn!(
            topic,
            topics_max,
            "a connection is present in too many topics; left out"
        );
        self.count(Counter::Dropped);
        None
    }

    /// A connection is present under a key, with a meta.
    fn appear(
        self: &Rc<Self>,
        room: &Rc<Room>,
        connection: &Rc<Connection>,
        key: ByteString,
        meta: &ByteString,
    ) {
        let changed = self.with_references(|references| {
            let mut local = room.local.borrow_mut();
            let mut entries = local.entries(connection.id).iter();
            if entries.any(|entry| entry.key == key) {
                local.update(connection.id, &key, meta, references)
            } else {
                local.track(connection.id, key, meta, references)
            }
        });
        match changed {
            Ok(change) => self.publish(room, Op::one(connection, change)),
            Err(error) => {
                let topic = &*room.topic;
                tracing::warn!(topic, %error, "a presence is not tracked");
                self.leave_if_done(room, connection.id);
            }
        }
    }

    /// A connection is present in no topic any more, and watches none.
    pub(crate) fn not_here(self: &Rc<Self>, connection: &Rc<Connection>) {
        for room in self.presences.rooms_of(connection.id) {
            self.vanish(&room, connection);
        }
    }

    /// A connection has left a topic's group, where changes are heard. What is not
    /// itself a topic's connection was there for a stream, or all of a plain
    /// WebSocket, that is over.
    pub(in crate::hub) fn left_group(
        self: &Rc<Self>,
        group: &GroupName,
        connection: &Rc<Connection>,
    ) {
        let Some(room) = self.presences.room(group) else {
            return;
        };
        if connection.topic().is_none() {
            self.vanish(&room, connection);
        } else {
            self.unwatch(&room, connection.id);
            self.leave_if_done(&room, connection.id);
        }
    }

    fn vanish(self: &Rc<Self>, room: &Rc<Room>, connection: &Rc<Connection>) {
        let change = room.local.borrow_mut().untrack_all(connection.id);
        if let Some(change) = change {
            self.publish(room, Op::one(connection, change));
        }
        self.unwatch(room, connection.id);
        self.leave_if_done(room, connection.id);
    }

    /// A connection that is not present in a room, and does not watch, is not in it.
    fn leave_if_done(&self, room: &Rc<Room>, id: LocalId) {
        let present = !room.local.borrow().entries(id).is_empty();
        if !present && !room.watchers.borrow().contains_key(&id) {
            self.presences.leave(id, &room.group);
            self.drop_if_idle(room);
        }
    }
}
