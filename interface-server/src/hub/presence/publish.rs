//! Stores what this shard's connections are, and then says so: a snapshot that
//! is read after a change was heard has that change in it.

use std::rc::Rc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::sleep;
use towpath_layer_core::presence::Change;
use towpath_layer_core::{ChannelName, GroupError, LocalId, Reply, TopicReply};

use super::room::{Op, Room};
use crate::hub::shard::Shard;

/// Changes of one topic that wait. Over it they are forgotten, and everything
/// there is, is said instead.
const OPS_MAX: usize = 4096;

/// Changes that are stored at one time.
const BATCH_MAX: usize = 64;

/// How often what changed while everybody was stored is stored before all is
/// said; what changes after that is stored behind it.
const MEANWHILE_MAX: usize = 8;

/// Wait between tries while the layer is out of reach.
const RETRY: Duration = Duration::from_millis(200);

impl Shard {
    /// Stores and publishes a change, after those before it.
    pub(super) fn publish(self: &Rc<Self>, room: &Rc<Room>, op: Op) {
        {
            let mut ops = room.ops.borrow_mut();
            if ops.len() >= OPS_MAX {
                ops.clear();
                let change = room.local.borrow_mut().announce();
                ops.push_back(Op { change, of: None });
            } else {
                ops.push_back(op);
            }
        }
        room.changed.set(true);
        if !room.publishes.replace(true) {
            let (shard, room) = (Rc::clone(self), Rc::clone(room));
            self.sockets.spawn_local(async move {
                shard.publish_all(&room).await;
                room.publishes.set(false);
                shard.drop_if_idle(&room);
            });
        }
    }

    /// Says everything anew, after this node may have been taken for dead.
    pub(crate) fn renew_presences(self: &Rc<Self>) {
        let presences = &self.presences;
        presences.incarnation.set(presences.incarnation.get() + 1);
        for room in presences.all_rooms() {
            if room.local.borrow().is_empty() {
                continue;
            }
            room.ops.borrow_mut().clear();
            let incarnation = presences.incarnation.get();
            let change = room.local.borrow_mut().renew(incarnation);
            self.publish(&room, Op { change, of: None });
        }
    }

    async fn publish_all(&self, room: &Room) {
        loop {
            let batch: Vec<Op> = {
                let mut ops = room.ops.borrow_mut();
                let len = ops.len().min(BATCH_MAX);
                ops.drain(..len).collect()
            };
            if batch.is_empty() {
                return;
            }
            self.store_all(room, &batch).await;
            if batch.iter().any(|op| op.of.is_none()) {
                self.tell_all(room).await;
                continue;
            }
            for op in batch {
                self.tell_presence(room, op.change).await;
            }
        }
    }

    /// Says all there is, as it is now: to store everybody takes its time, and
    /// whoever has read what was stored would take back what changed meanwhile.
    async fn tell_all(&self, room: &Room) {
        for _ in 0..MEANWHILE_MAX {
            let meanwhile: Vec<Op> = room.ops.borrow_mut().drain(..).collect();
            if meanwhile.is_empty() {
                break;
            }
            self.store_all(room, &meanwhile).await;
        }
        let change = room.local.borrow_mut().announce();
        self.tell_presence(room, change).await;
    }

    async fn store_all(&self, room: &Room, batch: &[Op]) {
        let mut whose: Vec<(LocalId, ChannelName)> = Vec::new();
        for op in batch {
            match &op.of {
                Some(one) => whose.push(one.clone()),
                None => {
                    let local = room.local.borrow();
                    let node = self.layer.node();
                    let all = local
                        .connections()
                        .map(|id| (id, ChannelName::reply(node, id)));
                    whose.extend(all);
                }
            }
        }
        // What is stored is what is now: once for each is enough.
        whose.sort_unstable_by_key(|(id, _)| *id);
        whose.dedup_by_key(|(id, _)| *id);
        for some in whose.chunks(BATCH_MAX) {
            let stores = some
                .iter()
                .map(|(id, channel)| self.store(room, *id, channel));
            join_all(stores).await;
        }
    }

    async fn store(&self, room: &Room, id: LocalId, channel: &ChannelName) {
        loop {
            let stored = room.local.borrow().stored(id);
            let meta = stored.map(|stored| stored.encode());
            let done = match meta {
                Some(Ok(meta)) => self.layer.group_add(&room.store, channel, meta).await,
                Some(Err(error)) => {
                    tracing::error!(%error, "a presence cannot be written");
                    return;
                }
                None => self.layer.group_discard(&room.store, channel).await,
            };
            match done {
                Err(GroupError::Unavailable(_)) => sleep(RETRY).await,
                Err(error) => {
                    tracing::debug!(%error, "a presence is left to the sweep");
                    return;
                }
                Ok(()) => return,
            }
        }
    }

    /// Tells the topic's group; beats find out if it does not hear.
    pub(super) async fn tell_presence(&self, room: &Room, change: Change) {
        let reply = Reply {
            topic: vec![TopicReply::Presence(Box::new(change))],
            ..Reply::default()
        };
        if let Err(error) = self.layer.group_send(&room.group, reply).await {
            let topic = &*room.topic;
            tracing::debug!(topic, %error, "a change of presences was not told");
        }
    }
}
