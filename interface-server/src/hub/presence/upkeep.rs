//! Which nodes are there whose presences are known, and beats: by them a change
//! is found that was lost with none after it.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, sleep};
use towpath_layer_core::NodeId;
use towpath_layer_core::presence::Source;

use super::room::Room;
use crate::hub::shard::Shard;

/// Nodes that are remembered as gone.
const GONE_MAX: usize = 64;

#[derive(Debug)]
struct Known {
    incarnation: u64,
    /// When its lease was last looked for and there, or first and absent.
    seen: Option<Duration>,
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
            seen: None,
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

    /// Who of those that are absent has not been seen for [`patience`].
    fn look(&self, absent: &[NodeId], now: Duration, lease: Duration) -> Vec<(NodeId, u64)> {
        let mut known = self.known.borrow_mut();
        let mut dead = Vec::new();
        known.retain(|node, known| {
            if !absent.contains(node) {
                known.seen = Some(now);
                return true;
            }
            let seen = *known.seen.get_or_insert(now);
            let lives = now < seen + patience(lease);
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
            known.seen = None;
        }
    }
}

/// How soon it is looked again which nodes are there.
fn pause(lease: Duration, is_one_absent: bool) -> Duration {
    if is_one_absent { lease / 15 } else { lease / 3 }
}

/// How long a node may be out of sight. Its lease ends within one after its
/// death, and was in sight before; so with a look's delay and an announcement's
/// its presences are gone within two.
fn patience(lease: Duration) -> Duration {
    lease.saturating_sub(2 * pause(lease, true))
}

/// Looks after presences for as long as the shard lives.
pub(crate) async fn run(shard: Rc<Shard>) {
    // Beats of many topics take their time; the dead do not wait for them.
    tokio::join!(look(&shard), beat(&shard));
}

async fn look(shard: &Rc<Shard>) {
    loop {
        let is_one_absent = shard.find_dead().await;
        sleep(pause(shard.layer.limits().lease, is_one_absent)).await;
    }
}

async fn beat(shard: &Rc<Shard>) {
    let mut ticks = interval(shard.layer.limits().lease / 3);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        for room in shard.presences.all_rooms() {
            shard.beat(&room).await;
        }
    }
}

impl Shard {
    /// Lets those leave who were present on nodes that are gone; whether a node
    /// is absent.
    async fn find_dead(self: &Rc<Self>) -> bool {
        let others = self.presences.nodes.others(self.layer.node());
        if others.is_empty() {
            return false;
        }
        let absent = match self.layer.absent(&others).await {
            Ok(absent) => absent,
            Err(error) => {
                tracing::debug!(%error, "the layer does not say who is there");
                self.presences.nodes.unknown();
                return false;
            }
        };
        let lease = self.layer.limits().lease;
        for (node, incarnation) in self.presences.nodes.look(&absent, self.now(), lease) {
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
        !absent.is_empty()
    }

    async fn beat(self: &Rc<Self>, room: &Rc<Room>) {
        if room.publishes.get() || !room.changed.replace(false) {
            return;
        }
        let beat = room.local.borrow().beat();
        if self.tell_presence(room, beat).await.is_err() {
            // The next one says it.
            room.changed.set(true);
        }
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

    const LEASE: Duration = Duration::from_secs(15);

    fn source(node: NodeId, incarnation: u64) -> Source {
        Source {
            node,
            incarnation,
            shard: 0,
        }
    }

    #[test]
    fn a_node_is_gone_that_was_out_of_sight_and_comes_back_as_another() {
        let nodes = Nodes::default();
        let node = NodeId::random(&SeededEntropy::new(1));
        let source = |incarnation| source(node, incarnation);
        let at = Duration::from_secs;
        nodes.note(&source(3));
        assert_eq!(nodes.look(&[node], at(0), LEASE), []);
        assert_eq!(nodes.look(&[], at(5), LEASE), []);
        assert_eq!(nodes.look(&[node], at(10), LEASE), []);
        nodes.unknown();
        assert_eq!(nodes.look(&[node], at(20), LEASE), []);
        assert_eq!(nodes.look(&[node], at(32), LEASE), []);
        assert_eq!(nodes.look(&[node], at(33), LEASE), [(node, 3)]);
        assert_eq!(nodes.gone(), [(node, 3)]);
        nodes.note(&source(3));
        let own = NodeId::random(&SeededEntropy::new(2));
        assert!(nodes.others(own).is_empty());
        nodes.note(&source(4));
        assert_eq!(nodes.others(own), [node]);
    }

    /// When a node is known to be gone that dies at 60 s, after it renewed its
    /// lease, among others that begin to look at a time.
    fn gone_at(first_look: Duration) -> Duration {
        let nodes = Nodes::default();
        let node = NodeId::random(&SeededEntropy::new(1));
        nodes.note(&source(node, 0));
        let (mut now, ends) = (first_look, Duration::from_mins(1) + LEASE);
        loop {
            let absent: &[NodeId] = if now < ends { &[] } else { &[node] };
            if !nodes.look(absent, now, LEASE).is_empty() {
                return now;
            }
            now += pause(LEASE, !absent.is_empty());
        }
    }

    #[test]
    fn a_killed_node_is_known_to_be_gone_within_two_leases_but_not_as_soon_as_its_lease_ends() {
        for tenth in 0..50 {
            let gone = gone_at(Duration::from_millis(100 * tenth)) - Duration::from_mins(1);
            let announced = gone + Duration::from_secs(1);
            assert!(announced <= 2 * LEASE, "{gone:?}");
            assert!(gone >= LEASE + LEASE / 2, "{gone:?}");
        }
    }
}
