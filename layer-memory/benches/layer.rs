//! What a message costs in memory from send to receive, and a group send.

#![expect(clippy::unwrap_used, reason = "a bench that cannot run says so")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use criterion::{Criterion, Throughput};
use tokio::runtime::{Builder, Runtime};
use tokio_util::task::TaskTracker;
use towpath_layer_core::{
    ChannelLayer, ChannelName, Content, GroupName, InboxEntry, InboxQueue, InboxSink, Limits,
    LocalId, Membership, Message, Refused, Reply, SendError, SystemClock, SystemEntropy,
};
use towpath_layer_memory::MemoryLayer;

/// A channel with the capacity of an interface server's.
const CHANNEL: &str = "websocket.bench";
/// Payload of a message, in bytes.
const PAYLOAD: usize = 100;
const BATCH: usize = 128;
const MEMBERS: u64 = 1000;

fn layer() -> Arc<MemoryLayer> {
    MemoryLayer::new(
        Limits::default(),
        Arc::new(SystemClock::new()),
        Arc::new(SystemEntropy),
    )
}

fn channel() -> ChannelName {
    ChannelName::new(CHANNEL).unwrap()
}

fn message() -> Message {
    Content::encode(&"x".repeat(PAYLOAD)).unwrap().into()
}

/// One thread for the producer, one for the consumer.
fn two_threads() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Sends `count` messages in batches, waiting for room.
async fn produce(layer: Arc<MemoryLayer>, count: usize, batch: usize) {
    let (channel, message) = (channel(), message());
    let mut left = count;
    while left > 0 {
        let batch = vec![(channel.clone(), message.clone()); batch.min(left)];
        let mut full = false;
        for sent in layer.send_many(batch).await {
            match sent {
                Ok(()) => left -= 1,
                Err(SendError::ChannelFull { .. }) => full = true,
                Err(error) => panic!("{error}"),
            }
        }
        if full {
            layer.room(&channel).await.unwrap();
        }
    }
}

/// Sends `count` messages one by one, waiting for room.
async fn produce_singly(layer: Arc<MemoryLayer>, count: usize) {
    let (channel, message) = (channel(), message());
    for _ in 0..count {
        while let Err(error) = layer.send(&channel, message.clone()).await {
            assert!(matches!(error, SendError::ChannelFull { .. }), "{error}");
            layer.room(&channel).await.unwrap();
        }
    }
}

async fn consume(layer: Arc<MemoryLayer>, count: usize, batch: usize) {
    let mut receiver = layer.receiver(vec![channel()]).unwrap();
    let mut buffer = Vec::with_capacity(batch);
    let mut left = count;
    while left > 0 {
        left -= receiver
            .receive_many(&mut buffer, batch.min(left))
            .await
            .unwrap();
        buffer.clear();
    }
    receiver.close().await.unwrap();
}

/// One producer and one consumer beside it.
fn transfer(runtime: &Runtime, count: u64, batch: usize) -> Duration {
    let layer = layer();
    let count = usize::try_from(count).unwrap();
    runtime.block_on(async move {
        let tracker = TaskTracker::new();
        let begin = Instant::now();
        let consumer = tracker.spawn(consume(Arc::clone(&layer), count, batch));
        let producer = match batch {
            1 => tracker.spawn(produce_singly(layer, count)),
            _ => tracker.spawn(produce(layer, count, batch)),
        };
        producer.await.unwrap();
        consumer.await.unwrap();
        begin.elapsed()
    })
}

/// Each message is received before the next is sent.
async fn turns(count: u64) -> Duration {
    let (layer, channel, message) = (layer(), channel(), message());
    let mut receiver = layer.receiver(vec![channel.clone()]).unwrap();
    let mut buffer = Vec::with_capacity(1);
    let begin = Instant::now();
    for _ in 0..count {
        layer.send(&channel, message.clone()).await.unwrap();
        receiver.receive_many(&mut buffer, 1).await.unwrap();
        buffer.clear();
    }
    begin.elapsed()
}

/// An inbox that is emptied by the bench.
#[derive(Debug)]
struct Inbox(InboxQueue);

#[async_trait]
impl InboxSink for Inbox {
    fn deliver(&self, entry: InboxEntry) -> Result<(), Refused> {
        self.0.push(entry)
    }

    async fn room(&self) {
        self.0.room().await;
    }

    fn mark_gap(&self) {
        self.0.mark_gap();
    }

    fn is_live(&self, _member: LocalId) -> bool {
        true
    }

    async fn memberships(&self) -> Vec<Membership> {
        Vec::new()
    }
}

/// A group of [`MEMBERS`] on one node, which takes its inbox after each send.
async fn group_sends(count: u64) -> Duration {
    let layer = layer();
    let inbox = Arc::new(Inbox(InboxQueue::new(layer.limits())));
    layer.attach(Arc::clone(&inbox) as _).await.unwrap();
    let group = GroupName::new("room").unwrap();
    for member in 0..MEMBERS {
        let channel = ChannelName::reply(layer.node(), LocalId(member));
        let added = layer.group_add(&group, &channel, Bytes::new()).await;
        added.unwrap();
    }
    let mut taken = Vec::new();
    inbox.0.take(&mut taken);
    let reply = Reply::bytes(vec![7; PAYLOAD]);
    let begin = Instant::now();
    for _ in 0..count {
        taken.clear();
        let delivery = layer.group_send(&group, reply.clone()).await.unwrap();
        inbox.0.take(&mut taken);
        assert_eq!((delivery.delivered, taken.len()), (1, 1));
    }
    begin.elapsed()
}

fn channels(criterion: &mut Criterion) {
    let (two, one) = (two_threads(), one_thread());
    let mut group = criterion.benchmark_group("memory layer");
    group.throughput(Throughput::Elements(1));
    group.bench_function("send to receive, in batches of 128", |bencher| {
        bencher.iter_custom(|count| transfer(&two, count, BATCH));
    });
    group.bench_function("send to receive, one by one", |bencher| {
        bencher.iter_custom(|count| transfer(&two, count, 1));
    });
    group.bench_function("send, then receive, on one thread", |bencher| {
        bencher.iter_custom(|count| one.block_on(turns(count)));
    });
    group.bench_function("group send to 1000 members", |bencher| {
        bencher.iter_custom(|count| one.block_on(group_sends(count)));
    });
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    channels(&mut criterion);
    criterion.final_summary();
}
