//! Reads who is present in a topic from what the layer keeps.

use std::rc::Rc;
use std::time::Duration;

use futures_util::TryStreamExt;
use tokio::time::sleep;
use towpath_layer_core::presence::{Applied, Reading, Snapshot, Stored};
use towpath_layer_core::{LayerError, Member, Reply};

use super::room::Room;
use crate::hub::shard::Shard;

/// Waits between tries while the layer is out of reach.
const RETRY_MIN: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(1);

impl Shard {
    /// Reads a topic's presences, after the reading that is under way.
    pub(super) fn read_presences(self: &Rc<Self>, room: &Rc<Room>, reading: Reading) {
        room.wanted.set(Some(reading));
        if !room.reads.replace(true) {
            let (shard, room) = (Rc::clone(self), Rc::clone(room));
            self.sockets.spawn_local(async move {
                tokio::select! {
                    biased;
                    () = shard.draining.cancelled() => {}
                    () = shard.read_all(&room) => {}
                }
                room.reads.set(false);
            });
        }
    }

    /// What a replica says is done.
    pub(super) fn applied(self: &Rc<Self>, room: &Rc<Room>, applied: Applied) {
        if let Some(diff) = applied.diff {
            room.pending.borrow_mut().add(diff);
        }
        if let Some(reading) = applied.reread {
            self.read_presences(room, reading);
        }
        self.announce_soon(room);
    }

    async fn read_all(self: &Rc<Self>, room: &Rc<Room>) {
        let mut pause = RETRY_MIN;
        while let Some(reading) = room.wanted.take() {
            let replica = room.replicas.get();
            let snapshot = self.snapshot(room).await;
            if room.replicas.get() != replica {
                // Another has begun since, and has asked for its own.
                continue;
            }
            let snapshot = match snapshot {
                Ok(snapshot) => snapshot,
                Err(error) => {
                    let topic = &*room.topic;
                    tracing::debug!(topic, %error, "presences cannot be read");
                    sleep(pause).await;
                    pause = (pause * 2).min(RETRY_MAX);
                    if room.wanted.get().is_none() {
                        room.wanted.set(Some(reading));
                    }
                    continue;
                }
            };
            pause = RETRY_MIN;
            for stored in &snapshot.stored {
                self.presences.nodes.note(&stored.source);
            }
            let applied = {
                let mut replica = room.replica.borrow_mut();
                let Some(replica) = replica.as_mut() else {
                    continue;
                };
                replica.loaded(reading, &snapshot)
            };
            self.applied(room, applied);
            if !snapshot.certain {
                self.read_when_certain(room);
            }
        }
    }

    /// The backend has come back empty: for one lease nodes say who their
    /// members are.
    fn read_when_certain(self: &Rc<Self>, room: &Rc<Room>) {
        if room.unsettled.replace(true) {
            return;
        }
        let (shard, room) = (Rc::clone(self), Rc::clone(room));
        let lease = self.layer.limits().lease;
        self.sockets.spawn_local(async move {
            tokio::select! {
                biased;
                () = shard.draining.cancelled() => {}
                () = sleep(lease) => {}
            }
            room.unsettled.set(false);
            let reading = room
                .replica
                .borrow_mut()
                .as_mut()
                .map(|replica| replica.reread());
            if let Some(reading) = reading {
                shard.read_presences(&room, reading);
            }
        });
    }

    async fn snapshot(&self, room: &Room) -> Result<Snapshot, LayerError> {
        // Nodes may have announced their members while these were read, or the
        // backend may have lost them all since it was asked.
        let before = self.is_certain(room).await;
        let members = self.layer.group_members(&room.store);
        let members: Vec<Member> = members.try_collect().await?;
        let certain = before && self.is_certain(room).await;
        let stored = members.iter().filter_map(stored).collect();
        Ok(Snapshot { stored, certain })
    }

    /// Whether every node has announced its members: then a message, of which
    /// nothing else matters, would reach everybody.
    async fn is_certain(&self, room: &Room) -> bool {
        let heard = self.layer.group_send(&room.group, Reply::default()).await;
        heard.is_ok_and(|delivery| delivery.certain)
    }
}

/// What a membership has stored; anybody may write that, but a presence is its
/// own node's.
fn stored(member: &Member) -> Option<Stored> {
    let (node, _) = member.channel.as_reply()?;
    match Stored::decode(&member.meta) {
        Ok(stored) if stored.source.node == node => Some(stored),
        Ok(_) => None,
        Err(error) => {
            tracing::debug!(channel = %member.channel, %error, "a presence cannot be read");
            None
        }
    }
}
