//! Stores what this shard's connections are, and then says so: a snapshot that
//! is read after a change was heard has that change in it.

use std::rc::Rc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::sleep;
use towpath_layer_core::presence::Change;
use towpath_layer_core::{ChannelName, GroupError, LocalId, Reply, SendError, TopicReply};

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
        let op = if room.ops.borrow().len() < OPS_MAX {
            op
        } else {
            self.forget_ops(room);
            let change = room.local.borrow_mut().announce();
            Op { change, of: None }
        };
        room.ops.borrow_mut().push_back(op);
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
            let incarnation = presences.incarnation.get();
            let change = room.local.borrow_mut().renew(incarnation);
            // Of nobody there is nothing to say; but whoever comes next comes
            // under the new incarnation.
            if !room.local.borrow().is_empty() {
                self.forget_ops(&room);
                self.publish(&room, Op { change, of: None });
            }
        }
    }

    /// Forgets what is to be said, because all there is will be; but not who is
    /// to be taken out of the store, unless the connection is gone: then its
    /// memberships end by themselves.
    fn forget_ops(&self, room: &Room) {
        let connections = self.connections.borrow();
        let mut left = room.left.borrow_mut();
        left.retain(|id, _| connections.contains_key(id));
        let local = room.local.borrow();
        let ops = room.ops.borrow_mut().drain(..).collect::<Vec<_>>();
        let of = ops.into_iter().filter_map(|op| op.of);
        left.extend(
            of.filter(|(id, _)| local.entries(*id).is_empty() && connections.contains_key(id)),
        );
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
            if !self.store_all(room, &batch).await {
                room.ops.borrow_mut().clear();
                return;
            }
            if batch.iter().any(|op| op.of.is_none()) {
                self.tell_all(room).await;
                continue;
            }
            for op in batch {
                // Beats find out who did not hear it.
                let _heard = self.tell_presence(room, op.change).await;
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
            if !self.store_all(room, &meanwhile).await {
                return;
            }
        }
        let (change, beat) = {
            let mut local = room.local.borrow_mut();
            (local.announce(), local.beat())
        };
        let told = self.tell_presence(room, change).await;
        if let Err(SendError::MessageTooLarge { size, size_max }) = told {
            if !room.is_large.replace(true) {
                let topic = &*room.topic;
                tracing::warn!(
                    topic,
                    size,
                    size_max,
                    "a topic's presences on one shard do not go into one message: \
                     the others read them instead"
                );
            }
            // Whoever hears this has missed something, and reads what is stored.
            let _heard = self.tell_presence(room, beat).await;
        }
    }

    /// Stores what is now of those whom the changes are of; false if it was
    /// given up, because the shard drains and the layer is out of reach.
    async fn store_all(&self, room: &Room, batch: &[Op]) -> bool {
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
                    whose.extend(room.left.take());
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
            if !join_all(stores).await.into_iter().all(|stored| stored) {
                return false;
            }
        }
        true
    }

    async fn store(&self, room: &Room, id: LocalId, channel: &ChannelName) -> bool {
        loop {
            let stored = room.local.borrow().stored(id);
            let meta = stored.map(|stored| stored.encode());
            let done = match meta {
                Some(Ok(meta)) => self.layer.group_add(&room.store, channel, meta).await,
                Some(Err(error)) => {
                    tracing::error!(%error, "a presence cannot be written");
                    return true;
                }
                None => self.layer.group_discard(&room.store, channel).await,
            };
            match done {
                Err(GroupError::Unavailable(_)) => tokio::select! {
                    biased;
                    // A drain waits for what is here to end.
                    () = self.draining.cancelled() => return false,
                    () = sleep(RETRY) => {}
                },
                Err(error) => {
                    tracing::debug!(%error, "a presence is left to the sweep");
                    return true;
                }
                Ok(()) => return true,
            }
        }
    }

    /// Tells the topic's group.
    pub(super) async fn tell_presence(&self, room: &Room, change: Change) -> Result<(), SendError> {
        let reply = Reply {
            topic: vec![TopicReply::Presence(Box::new(change))],
            ..Reply::default()
        };
        let sent = self.layer.group_send(&room.group, reply).await;
        sent.map(|_| ()).inspect_err(|error| {
            let topic = &*room.topic;
            tracing::debug!(topic, %error, "a change of presences was not told");
        })
    }
}
