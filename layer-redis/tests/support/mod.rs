//! How the test suites make a layer over Redis: a server for each backend.

#![allow(dead_code, reason = "no test uses all of it")]

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use towpath_layer_core::{
    ChannelLayer, ChannelName, LayerError, Limits, LocalId, NodeId, SystemClock, SystemEntropy,
};
use towpath_layer_redis::{RedisLayer, RedisOptions};
use towpath_testkit::redis::RedisServer;
use towpath_testkit::{Backend, CollectingSink, Factory, Faults, async_trait};

/// Layers over a Redis of their own.
pub(crate) struct Redis;

/// A Redis server and the nodes on it.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) server: RedisServer,
    limits: Limits,
    nodes: Mutex<HashMap<NodeId, Arc<RedisLayer>>>,
}

impl Place {
    pub(crate) async fn new(limits: Limits) -> Self {
        Self {
            server: RedisServer::launch().await.unwrap(),
            limits,
            nodes: Mutex::default(),
        }
    }

    /// A node as its own type.
    pub(crate) async fn connect(&self) -> Arc<RedisLayer> {
        self.try_connect().await.unwrap()
    }

    pub(crate) async fn try_connect(&self) -> Result<Arc<RedisLayer>, LayerError> {
        let layer = RedisLayer::connect(
            RedisOptions::new(self.server.url()),
            self.limits.clone(),
            Arc::new(SystemClock::new()),
            Arc::new(SystemEntropy),
        );
        layer.await
    }

    /// A connection to the server itself.
    pub(crate) async fn admin(&self) -> MultiplexedConnection {
        let client = redis::Client::open(self.server.url()).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    }
}

/// A node with connections.
pub(crate) struct Peer {
    pub(crate) layer: Arc<RedisLayer>,
    pub(crate) sink: Arc<CollectingSink>,
}

impl Peer {
    pub(crate) async fn new(place: &Place) -> Self {
        let layer = place.connect().await;
        let sink = Arc::new(CollectingSink::new(layer.limits()));
        layer.attach(sink.clone()).await.unwrap();
        Self { layer, sink }
    }

    /// A connection, and where its replies go.
    pub(crate) fn open(&self) -> (LocalId, ChannelName) {
        let local = self.sink.open();
        (local, ChannelName::reply(self.layer.node(), local))
    }
}

#[async_trait]
impl Factory for Redis {
    async fn backend(&self, limits: Limits) -> Arc<dyn Backend> {
        Arc::new(Place::new(limits).await)
    }
}

#[async_trait]
impl Backend for Place {
    async fn node(&self) -> Arc<dyn ChannelLayer> {
        let layer = self.connect().await;
        self.nodes.lock().insert(layer.node(), Arc::clone(&layer));
        layer
    }

    async fn crash(&self, node: NodeId) {
        if let Some(layer) = self.nodes.lock().remove(&node) {
            layer.abandon();
        }
    }

    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    fn faults(&self) -> Option<&dyn Faults> {
        Some(self)
    }
}

#[async_trait]
impl Faults for Place {
    async fn restart_empty(&self) {
        self.server.kill().await.unwrap();
        self.server.start().await.unwrap();
    }

    async fn pause(&self, time: Duration) {
        self.server.pause().unwrap();
        tokio::time::sleep(time).await;
        self.server.resume().unwrap();
    }
}
