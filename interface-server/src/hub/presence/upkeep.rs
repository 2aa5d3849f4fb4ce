//! Which nodes are there whose presences are known, and beats: by them a change
//! is found that was lost with none after it.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use towpath_layer_core::NodeId;
use towpath_layer_core::presence::Source;

use super::room::Room;
use crate::hub::shard::Shard;

/// Nodes that are remembered as gone.
const GONE_MAX: usize = 64;

#[derive(Debug)]
struct Known {
    incarnation: u64,
    /// Since when its lease is absent.
    absent: Option<Duration>,
}

/// The nodes whose presences are known here.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    known: RefCell<HashMap<NodeId, Known>>,
    gone: RefCell<VecDeque<(NodeId, u64)>>,
}

impl Nodes {
    /// A source was heard of.
    pub(super) fn note(&self, source: &Source) {
        let dead = |(node, incarnation): &(NodeId, u64)| {
            *node == source.node && *incarnation >= source.incarnation
        };
        if self.gone.borrow().iter().any(dead) {
            return;
        }
        let mut known = self.known.borrow_mut();
        let known = known.entry(source.node).or_insert(Known {
            incarnation: source.incarnation,
            absent: None,
        });
        known.incarnation = known.incarnation.max(source.incarnation);
    }

    /// The nodes that are gone, and up to which incarnation.
    pub(super) fn gone(&self) -> Vec<(NodeId, u64)> {
        self.gone.borrow().iter().copied().collect()
    }

    fn others(&self, own: NodeId) -> Vec<NodeId> {
        let known = self.known.borrow();
        known.keys().copied().filter(|node| *node != own).collect()
    }

    /// Who of those that are absent has been so for a whole lease.
    fn seen(&self, absent: &[NodeId], now: Duration, lease: Duration) -> Vec<(NodeId, u64)> {
        let mut known = self.known.borrow_mut();
        let mut dead = Vec::new();
        known.retain(|node, known| {
            if !absent.contains(node) {
                known.absent = None;
                return true;
            }
            let since = *known.absent.get_or_insert(now);
            let lives = now < since + lease;
            if !lives {
                dead.push((*node, known.incarnation));
            }
            lives
        });
        drop(known);
        let mut gone = self.gone.borrow_mut();
        for one in &dead {
            gone.retain(|(node, _)| *node != one.0);
            gone.push_back(*one);
            if gone.len() > GONE_MAX {
                gone.pop_front();
            }
        }
        dead
    }

    /// Nobody can say who is there: absences do not count.
    fn unknown(&self) {
        for known in self.known.borrow_mut().values_mut() {
            known.absent = None;
        }
    }
}

/// Looks after presences for as long as the shard lives.
pub(crate) async fn run(shard: Rc<Shard>) {
    let mut ticks = interval(shard.layer.limits().lease / 3);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        shard.find_dead().await;
        for room in shard.presences.all_rooms() {
            shard.beat(&room).await;
        }
    }
}

impl Shard {
    async fn find_dead(self: &Rc<Self>) {
        let others = self.presences.nodes.others(self.layer.node());
        if others.is_empty() {
            return;
        }
        let absent = match self.layer.absent(&others).await {
            Ok(absent) => absent,
            Err(error) => {
                tracing::debug!(%error, "the layer does not say who is there");
                return self.presences.nodes.unknown();
            }
        };
        let lease = self.layer.limits().lease;
        for (node, incarnation) in self.presences.nodes.seen(&absent, self.now(), lease) {
            tracing::info!(%node, "a node is gone with those who were present on it");
            for room in self.presences.all_rooms() {
                let mut replica = room.replica.borrow_mut();
                let diff = replica
                    .as_mut()
                    .and_then(|one| one.source_gone(node, incarnation));
                drop(replica);
                if let Some(diff) = diff {
                    room.pending.borrow_mut().add(diff);
                    self.announce_soon(&room);
                }
            }
        }
    }

    async fn beat(self: &Rc<Self>, room: &Rc<Room>) {
        if room.publishes.get() || !room.changed.replace(false) {
            return;
        }
        let beat = room.local.borrow().beat();
        self.tell_presence(room, beat).await;
        self.drop_if_idle(room);
    }

    /// Forgets a topic in which nobody is present and nobody watches.
    pub(super) fn drop_if_idle(&self, room: &Rc<Room>) {
        // Whoever still holds a room that was forgotten must not have its
        // successor forgotten, too.
        let known = self.presences.room(&room.group);
        if known.is_some_and(|known| Rc::ptr_eq(&known, room)) && room.is_idle() {
            let floor = self
                .presences
                .floor
                .get()
                .max(room.local.borrow().version());
            self.presences.floor.set(floor);
            self.presences.rooms.borrow_mut().remove(&room.group);
        }
    }
}

#[cfg(test)]
mod tests {
    use towpath_layer_core::SeededEntropy;

    use super::*;

    #[test]
    fn a_node_is_gone_after_a_lease_of_absence_and_comes_back_as_another() {
        let (nodes, lease) = (Nodes::default(), Duration::from_secs(15));
        let node = NodeId::random(&SeededEntropy::new(1));
        let source = |incarnation| Source {
            node,
            incarnation,
            shard: 0,
        };
        let at = Duration::from_secs;
        nodes.note(&source(3));
        assert_eq!(nodes.seen(&[node], at(0), lease), []);
        assert_eq!(nodes.seen(&[], at(5), lease), []);
        assert_eq!(nodes.seen(&[node], at(10), lease), []);
        nodes.unknown();
        assert_eq!(nodes.seen(&[node], at(20), lease), []);
        assert_eq!(nodes.seen(&[node], at(34), lease), []);
        assert_eq!(nodes.seen(&[node], at(35), lease), [(node, 3)]);
        assert_eq!(nodes.gone(), [(node, 3)]);
        nodes.note(&source(3));
        let own = NodeId::random(&SeededEntropy::new(2));
        assert!(nodes.others(own).is_empty());
        nodes.note(&source(4));
        assert_eq!(nodes.others(own), [node]);
    }
}
