//! What the nodes of one layer share.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};
use towpath_layer_core::{Clock, Counter, Entropy, Limits, NodeId, Statistics};

use crate::agenda::Agenda;
use crate::channels::Channels;
use crate::driver::Driver;
use crate::groups::Groups;
use crate::late_replies::LateReplies;
use crate::node::Node;

#[derive(Debug)]
pub(crate) struct Broker {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) channels: Channels,
    pub(crate) groups: Groups,
    pub(crate) agenda: Arc<Agenda>,
    pub(crate) late_replies: LateReplies,
    pub(crate) driver: Mutex<Option<Driver>>,
    nodes: RwLock<HashMap<NodeId, Arc<Node>>>,
    dropped: AtomicU64,
    stale: AtomicU64,
    lost: AtomicU64,
}

impl Broker {
    pub(crate) fn new(limits: Limits, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self {
            clock,
            entropy,
            groups: Groups::new(&limits),
            channels: Channels::new(limits),
            agenda: Arc::default(),
            late_replies: LateReplies::default(),
            driver: Mutex::default(),
            nodes: RwLock::default(),
            dropped: AtomicU64::new(0),
            stale: AtomicU64::new(0),
            lost: AtomicU64::new(0),
        }
    }

    /// A new node, alive until [`leave`](Self::leave).
    pub(crate) fn join(&self) -> Arc<Node> {
        let node = Arc::new(Node::new(NodeId::random(&*self.entropy)));
        self.nodes.write().insert(node.id, Arc::clone(&node));
        node
    }

    /// Ends a node, its receivers and its memberships; after the last one,
    /// nobody needs the driver that it returns.
    pub(crate) fn leave(&self, node: &Node) -> Option<Driver> {
        if !node.close() {
            return None;
        }
        let mut driver = self.driver.lock();
        let mut nodes = self.nodes.write();
        nodes.remove(&node.id);
        let driver = if nodes.is_empty() {
            driver.take()
        } else {
            None
        };
        drop(nodes);
        self.groups.forget(node.id);
        driver
    }

    pub(crate) fn node(&self, id: NodeId) -> Option<Arc<Node>> {
        self.nodes.read().get(&id).map(Arc::clone)
    }

    fn counter(&self, counter: Counter) -> &AtomicU64 {
        match counter {
            Counter::Dropped => &self.dropped,
            Counter::Stale => &self.stale,
            Counter::Lost => &self.lost,
        }
    }

    pub(crate) fn count(&self, counter: Counter, by: u64) {
        self.counter(counter).fetch_add(by, Ordering::Relaxed);
    }

    pub(crate) fn statistics(&self) -> Statistics {
        let mut statistics = Statistics {
            dropped: self.dropped.load(Ordering::Relaxed),
            stale: self.stale.load(Ordering::Relaxed),
            lost: self.lost.load(Ordering::Relaxed),
            nodes: self.nodes.read().len() as u64,
            ..Statistics::default()
        };
        self.channels.statistics(&*self.clock, &mut statistics);
        statistics.delayed += self.late_replies.waiting() as u64;
        statistics
    }

    pub(crate) fn flush(&self) {
        // The agenda first: a turn without a message does no harm.
        self.agenda.clear();
        self.late_replies.clear();
        self.channels.flush(&*self.clock);
        self.groups.flush();
        for counter in [Counter::Dropped, Counter::Stale, Counter::Lost] {
            self.counter(counter).store(0, Ordering::Relaxed);
        }
    }
}
