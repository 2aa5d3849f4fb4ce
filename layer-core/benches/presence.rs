//! What a presence costs a replica: a change, a snapshot, the state.
//!
//! The figure to look at is the one for a change: it must hardly grow with the
//! entries of the topic.

#![expect(clippy::unwrap_used, reason = "a bench that cannot run says so")]

use std::hint::black_box;

use bytestring::ByteString;
use criterion::{BatchSize, BenchmarkId, Criterion};
use towpath_layer_core::presence::{
    Change, Local, PresenceLimits, References, Replica, Snapshot, Source,
};
use towpath_layer_core::{NodeId, SeededEntropy};

const HELD_MAX: usize = 16_384;
const SIZES: [u32; 2] = [100, 10_000];

struct Topic {
    local: Local<u32>,
    references: References,
}

impl Topic {
    fn new(entries: u32) -> Self {
        let source = Source {
            node: NodeId::random(&SeededEntropy::new(1)),
            incarnation: 1,
            shard: 0,
        };
        let mut topic = Self {
            local: Local::new(source, 0, PresenceLimits::default()),
            references: References::new(source),
        };
        for connection in 0..entries {
            topic.track(connection);
        }
        topic
    }

    fn track(&mut self, connection: u32) -> Change {
        let meta = ByteString::from_static("{\"online_at\":1700000000,\"device\":\"phone\"}");
        let key = format!("user:{connection}").into();
        let references = &mut self.references;
        self.local
            .track(connection, key, &meta, references)
            .unwrap()
    }

    fn snapshot(&self) -> Snapshot {
        let connections = self.local.connections();
        let stored = connections.filter_map(|connection| self.local.stored(connection));
        Snapshot {
            stored: stored.collect(),
            certain: true,
        }
    }

    fn replica(&self) -> Replica {
        let (mut replica, reading) = Replica::new(HELD_MAX);
        drop(replica.loaded(reading, &self.snapshot()));
        replica
    }
}

fn presence(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("presence");
    for entries in SIZES {
        let mut topic = Topic::new(entries);
        let mut replica = topic.replica();
        group.bench_function(BenchmarkId::new("join and leave", entries), |bencher| {
            bencher.iter_batched(
                || {
                    [
                        topic.track(entries),
                        topic.local.untrack_all(entries).unwrap(),
                    ]
                },
                |changes| changes.map(|change| replica.apply(&change)),
                BatchSize::NumIterations(1),
            );
        });
        group.bench_function(BenchmarkId::new("track and untrack", entries), |bencher| {
            bencher.iter(|| (topic.track(entries), topic.local.untrack_all(entries)));
        });
        let snapshot = topic.snapshot();
        group.bench_function(BenchmarkId::new("snapshot", entries), |bencher| {
            bencher.iter_with_large_drop(|| {
                let (mut replica, reading) = Replica::new(HELD_MAX);
                (replica.loaded(reading, &snapshot), replica)
            });
        });
        group.bench_function(BenchmarkId::new("state", entries), |bencher| {
            bencher.iter(|| black_box(&replica).state());
        });
    }
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    presence(&mut criterion);
    criterion.final_summary();
}
