//! The nodes of groups, as the registries were last read.
//!
//! Redis tells a connection when a key changes that was read through it (client
//! tracking). What it tells stands in the stream of answers before the answer to
//! anything that was done after the change. So whoever sends to the nodes that
//! are known here, and then finds that nothing was told meanwhile, has sent to
//! every node that was in the registry when the send began.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use towpath_layer_core::NodeId;

/// Groups whose nodes are remembered; one more pushes another out.
const GROUPS_MAX: usize = 8_192;

/// A node with members of a group, and the token of its entry in the registry.
pub(crate) type Registered = (NodeId, String);

/// What is remembered, by the key of the registry.
#[derive(Debug, Default)]
pub(crate) struct KnownNodes {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    groups: HashMap<String, Known>,
    last_stamp: u64,
}

#[derive(Debug)]
struct Known {
    stamp: u64,
    /// The connection that is told of changes.
    serial: u64,
    /// Nothing while the registry is being read.
    nodes: Option<Arc<[Registered]>>,
}

/// One reading of a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reading {
    stamp: u64,
    serial: u64,
}

impl KnownNodes {
    /// The nodes of a group, if they were read through this connection and have
    /// not changed since, as far as is known yet.
    pub(crate) fn get(&self, registry: &str, serial: u64) -> Option<(Reading, Arc<[Registered]>)> {
        let state = self.state.lock();
        let known = state.groups.get(registry)?;
        let nodes = known.nodes.as_ref().filter(|_| known.serial == serial)?;
        let reading = Reading {
            stamp: known.stamp,
            serial,
        };
        Some((reading, Arc::clone(nodes)))
    }

    /// To be called before the registry is read: a change that is told between
    /// the answer and [`put`](Self::put) must not be overlooked.
    pub(crate) fn begin(&self, registry: &str, serial: u64) -> Reading {
        let mut state = self.state.lock();
        // A reading under way that nothing was told of since holds for this one
        // too: whoever is answered first puts it down.
        if let Some(known) = state.groups.get(registry)
            && known.serial == serial
            && known.nodes.is_none()
        {
            let stamp = known.stamp;
            return Reading { stamp, serial };
        }
        if state.groups.len() >= GROUPS_MAX && !state.groups.contains_key(registry) {
            let any = state.groups.keys().next().cloned();
            any.and_then(|any| state.groups.remove(&any));
        }
        state.last_stamp += 1;
        let stamp = state.last_stamp;
        let reading = Known {
            stamp,
            serial,
            nodes: None,
        };
        state.groups.insert(registry.to_owned(), reading);
        Reading { stamp, serial }
    }

    /// Remembers what was read, unless it has changed since. That a group has no
    /// nodes is not remembered: nothing is sent then, and so nothing heard.
    pub(crate) fn put(&self, registry: &str, reading: Reading, nodes: &[Registered]) {
        let mut state = self.state.lock();
        if nodes.is_empty() {
            state.groups.remove(registry);
        } else if let Some(known) = state.groups.get_mut(registry)
            && known.stamp == reading.stamp
        {
            known.nodes = Some(nodes.into());
        }
    }

    /// Whether no change was told since, on the connection that is still the one.
    pub(crate) fn stands(&self, registry: &str, reading: Reading, serial: u64) -> bool {
        let state = self.state.lock();
        let known = state.groups.get(registry);
        reading.serial == serial && known.is_some_and(|known| known.stamp == reading.stamp)
    }

    /// The registry has changed.
    pub(crate) fn forget(&self, registry: &str) {
        self.state.lock().groups.remove(registry);
    }

    /// Nothing is known any more.
    pub(crate) fn forget_all(&self) {
        self.state.lock().groups.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use towpath_layer_core::SeededEntropy;

    fn nodes() -> Vec<Registered> {
        vec![(NodeId::random(&SeededEntropy::new(1)), "token".to_owned())]
    }

    #[test]
    fn what_was_read_is_known_until_it_changes() {
        let known = KnownNodes::default();
        let reading = known.begin("g", 1);
        assert!(known.get("g", 1).is_none(), "it is being read");
        known.put("g", reading, &nodes());
        let (same, found) = known.get("g", 1).unwrap();
        assert_eq!((same, &*found), (reading, &*nodes()));
        assert!(known.stands("g", reading, 1));
        known.forget("g");
        assert!(known.get("g", 1).is_none());
        assert!(!known.stands("g", reading, 1));
    }

    #[test]
    fn a_change_between_the_reading_and_its_end_is_not_overlooked() {
        let known = KnownNodes::default();
        let reading = known.begin("g", 1);
        known.forget("g");
        known.put("g", reading, &nodes());
        assert!(known.get("g", 1).is_none());
        let (earlier, later) = (known.begin("g", 1), known.begin("g", 1));
        known.put("g", earlier, &nodes());
        assert!(known.get("g", 1).is_some(), "one of them suffices");
        known.forget("g");
        known.put("g", later, &nodes());
        assert!(known.get("g", 1).is_none(), "it changed behind the first");
    }

    #[test]
    fn another_connection_knows_nothing() {
        let known = KnownNodes::default();
        let reading = known.begin("g", 1);
        known.put("g", reading, &nodes());
        assert!(known.get("g", 2).is_none());
        assert!(!known.stands("g", reading, 2));
    }

    #[test]
    fn that_there_are_no_nodes_is_not_remembered() {
        let known = KnownNodes::default();
        let reading = known.begin("g", 1);
        known.put("g", reading, &[]);
        assert!(known.get("g", 1).is_none());
        assert!(!known.stands("g", reading, 1));
    }

    #[test]
    fn no_more_groups_are_remembered_than_may_be() {
        let known = KnownNodes::default();
        for number in 0..=GROUPS_MAX {
            let name = number.to_string();
            let reading = known.begin(&name, 1);
            known.put(&name, reading, &nodes());
        }
        assert_eq!(known.state.lock().groups.len(), GROUPS_MAX);
        assert!(known.get(&GROUPS_MAX.to_string(), 1).is_some());
    }
}
