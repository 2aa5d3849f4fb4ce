//! Presence: what sources, replicas and clients owe each other.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test says what it expects by unwrapping"
)]

mod client;
mod convergence;
mod local;
mod replica;
mod world;

use bytestring::ByteString;
use towpath_layer_core::presence::{Local, PresenceLimits, References, Source};
use towpath_layer_core::{NodeId, SeededEntropy};

fn node(seed: u64) -> NodeId {
    NodeId::random(&SeededEntropy::new(seed))
}

/// One source with the presences of one topic.
struct Owner {
    local: Local<u8>,
    references: References,
    source: Source,
}

impl Owner {
    fn new(seed: u64) -> Self {
        Self::on_shard(seed, 0)
    }

    fn on_shard(seed: u64, shard: u8) -> Self {
        let source = Source {
            node: node(seed),
            incarnation: 1,
            shard,
        };
        Self {
            local: Local::new(source, 0, PresenceLimits::default()),
            references: References::new(source),
            source,
        }
    }

    fn track(&mut self, connection: u8, key: &str) -> towpath_layer_core::presence::Change {
        let meta = ByteString::from_static("{\"at\":1}");
        self.local
            .track(connection, key.into(), &meta, &mut self.references)
            .unwrap()
    }
}
