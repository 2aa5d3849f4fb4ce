//! How the test suites make a layer in memory.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use towpath_layer_core::{ChannelLayer, Limits, ManualClock, NodeId, SystemEntropy};
use towpath_layer_memory::MemoryLayer;
use towpath_testkit::{Backend, Factory, async_trait};

/// Layers in memory with a clock that the suite moves.
pub(crate) struct Memory;

#[derive(Debug)]
struct Broker {
    clock: Arc<ManualClock>,
    origin: Arc<MemoryLayer>,
    nodes: Mutex<HashMap<NodeId, Arc<MemoryLayer>>>,
}

#[async_trait]
impl Factory for Memory {
    async fn backend(&self, limits: Limits) -> Arc<dyn Backend> {
        let clock = Arc::new(ManualClock::default());
        let origin = MemoryLayer::new(limits, clock.clone(), Arc::new(SystemEntropy));
        origin.abandon();
        Arc::new(Broker {
            clock,
            origin,
            nodes: Mutex::default(),
        })
    }
}

#[async_trait]
impl Backend for Broker {
    async fn node(&self) -> Arc<dyn ChannelLayer> {
        let node = self.origin.another_node();
        let layer: Arc<dyn ChannelLayer> = node.clone();
        self.nodes.lock().insert(layer.node(), node);
        layer
    }

    async fn crash(&self, node: NodeId) {
        if let Some(node) = self.nodes.lock().remove(&node) {
            node.abandon();
        }
    }

    async fn pass(&self, time: Duration) {
        self.clock.advance(time);
        tokio::task::yield_now().await;
    }
}
