//! The layer over Redis does what the plain model does, and what the layer in
//! memory does.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what it expects by unwrapping"
)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use support::Redis;
use towpath_layer_core::{ChannelLayer, ManualClock, NodeId, SystemEntropy};
use towpath_layer_memory::MemoryLayer;
use towpath_testkit::model::{self, Step};
use towpath_testkit::{Backend, Factory, async_trait};

/// Rows of steps that are compared; each has a server of its own.
const ROWS: usize = 24;

/// A layer in memory, for the comparison.
#[derive(Debug)]
struct Memory {
    clock: Arc<ManualClock>,
    nodes: Mutex<Vec<Arc<MemoryLayer>>>,
}

#[async_trait]
impl Backend for Memory {
    async fn node(&self) -> Arc<dyn ChannelLayer> {
        let mut nodes = self.nodes.lock();
        let node = match nodes.first() {
            Some(first) => first.another_node(),
            None => MemoryLayer::new(model::limits(), self.clock.clone(), Arc::new(SystemEntropy)),
        };
        nodes.push(Arc::clone(&node));
        node
    }

    async fn crash(&self, node: NodeId) {
        let nodes = self.nodes.lock();
        let dies = nodes.iter().find(|layer| layer.node() == node);
        dies.unwrap().abandon();
    }

    async fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_operations_show_the_same_as_in_memory() {
    let mut runner = TestRunner::default();
    for _ in 0..ROWS {
        let row: Vec<Step> = model::steps().new_tree(&mut runner).unwrap().current();
        let memory = Memory {
            clock: Arc::new(ManualClock::default()),
            nodes: Mutex::default(),
        };
        let redis = Redis.backend(model::limits()).await;
        model::same_observations(&*redis, &memory, &row).await;
    }
}

#[test]
fn random_operations_show_what_the_plain_model_shows() {
    model::check(&Redis, 24);
}
