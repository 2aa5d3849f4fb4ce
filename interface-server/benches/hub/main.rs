//! What a frame costs inside the hub: a group's for each member, and an event
//! from its frame to the layer with the reply back.
//!
//! One shard and the memory layer on one thread, and sockets in memory, which
//! only count what is written to them: no kernel takes part. A socket that is
//! not TCP is written by a task of its own, woken once a turn, so "1 frame"
//! bears a wake-up for each member that TCP does not; with 32 frames in a turn
//! it is shared.

#![expect(clippy::unwrap_used, reason = "a bench that cannot run says so")]

mod socket;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;
use tokio_util::sync::CancellationToken;
use towpath_interface_server::{InterfaceServer, Routes, ServerConfig, TowpathService};
use towpath_layer_core::{
    Accept, ChannelLayer, ChannelName, Completion, Event, EventKind, Frame, GroupName, Limits,
    Message, Outcome, Receiver, Reply, SystemClock, SystemEntropy, channels,
};
use towpath_layer_memory::MemoryLayer;

use crate::socket::{Peer, Socket, Written};

/// Payload of a frame, in bytes.
const PAYLOAD: usize = 128;
/// Bytes of such a frame from the server: two of header, two of length.
const FRAME_BYTES: u64 = 4 + PAYLOAD as u64;
const SOCKETS: usize = 1000;
/// Members of a large group, and frames in a turn.
const MEMBERS: [usize; 2] = [100, SOCKETS];
const FRAMES: [u64; 2] = [1, 32];
/// Members of a room; the rooms take turns with the sockets.
const ROOM: usize = 10;
const ROOMS: usize = 10_000;
/// So many rooms at once, and frames to each: a socket gets 100 in both cases.
const SPREADS: [(usize, u64); 2] = [(10, 100), (ROOMS, 1)];

const HANDSHAKE: &[u8] = b"GET /bench HTTP/1.1\r\nHost: localhost\r\n\
    Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// A server with open sockets, and the worker of its events.
struct Rig {
    runtime: Runtime,
    tasks: LocalSet,
    layer: Arc<MemoryLayer>,
    receiver: Box<dyn Receiver>,
    written: Arc<Written>,
    peers: Vec<Peer>,
}

impl Rig {
    fn start() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let layer = MemoryLayer::new(
            Limits::default(),
            Arc::new(SystemClock::new()),
            Arc::new(SystemEntropy),
        );
        let names = [channels::CONNECT, channels::RECEIVE];
        let names = names.map(|name| ChannelName::new(name).unwrap());
        let mut rig = Self {
            runtime,
            tasks: LocalSet::new(),
            receiver: layer.receiver(names.to_vec()).unwrap(),
            layer,
            written: Arc::default(),
            peers: Vec::new(),
        };
        let service = rig.serve();
        rig.open(&service);
        rig
    }

    fn serve(&self) -> TowpathService {
        let config = ServerConfig {
            ping_interval: Duration::from_hours(1),
            ..ServerConfig::default()
        };
        let routes = Routes::new(["^/bench$".to_owned()]).unwrap();
        let layer = Arc::clone(&self.layer) as Arc<dyn ChannelLayer>;
        let local = InterfaceServer::local(config, routes, layer);
        let (service, server) = self.runtime.block_on(local).unwrap();
        self.tasks.spawn_local(server.run(CancellationToken::new()));
        service
    }

    /// Opens all sockets, and lets them join their groups.
    fn open(&mut self, service: &TowpathService) {
        for _ in 0..SOCKETS {
            let peer = Peer::default();
            peer.say(HANDSHAKE);
            let socket = Socket::new(peer.clone(), Arc::clone(&self.written));
            let service = TowerToHyperService::new(service.clone());
            let connection = http1::Builder::new()
                .serve_connection(TokioIo::new(socket), service)
                .with_upgrades();
            self.tasks.spawn_local(connection);
            self.peers.push(peer);
        }
        let (layer, receiver, written) = (&self.layer, &mut self.receiver, &self.written);
        self.tasks.block_on(&self.runtime, async {
            for number in 0..SOCKETS {
                let event = next(&mut **receiver).await;
                assert!(matches!(event.kind, EventKind::Connect(_)), "{event:?}");
                for group in groups_of(number) {
                    let added = layer.group_add(&group, &event.reply_channel, Bytes::new());
                    added.await.unwrap();
                }
                let accept = Reply {
                    accept: Some(Box::new(Accept::default())),
                    ..Reply::default()
                };
                answer(layer, &event, accept).await;
            }
            written.reach(SOCKETS as u64).await;
        });
    }

    /// Sends frames to groups of so many members at once, until all are written.
    fn broadcast(&self, groups: &[GroupName], members: usize, frames: u64) -> Duration {
        let reply = Reply::frame(frame());
        let expected = deliveries(groups.len(), members, frames) * FRAME_BYTES;
        self.tasks.block_on(&self.runtime, async {
            let before = self.written.bytes();
            let begin = Instant::now();
            for group in (0..frames).flat_map(|_| groups) {
                self.layer.group_send(group, reply.clone()).await.unwrap();
            }
            self.written.reach(before + expected).await;
            begin.elapsed()
        })
    }

    /// One frame in, its event out of the layer, a reply back, its frame out.
    fn echoes(&mut self, count: u64) -> Duration {
        let (layer, receiver) = (&self.layer, &mut self.receiver);
        let (peer, written) = (self.peers.first().unwrap(), &self.written);
        let message = masked();
        self.tasks.block_on(&self.runtime, async {
            let begin = Instant::now();
            for _ in 0..count {
                let before = written.bytes();
                peer.say(&message);
                let event = next(&mut **receiver).await;
                let EventKind::Receive(frame) = &event.kind else {
                    panic!("{event:?}");
                };
                answer(layer, &event, Reply::frame(frame.clone())).await;
                written.reach(before + FRAME_BYTES).await;
            }
            begin.elapsed()
        })
    }
}

fn group(members: usize) -> GroupName {
    GroupName::new(format!("members.{members}")).unwrap()
}

fn room(number: usize) -> GroupName {
    GroupName::new(format!("room.{number}")).unwrap()
}

/// The first hundred sockets are in the small group, all in the large. The first ten are
/// in room 0, the next ten in room 1, and so on; after the last ten it begins again.
fn groups_of(socket: usize) -> impl Iterator<Item = GroupName> {
    let large = MEMBERS.into_iter().filter(move |members| socket < *members);
    let rooms = (socket / ROOM..ROOMS).step_by(SOCKETS / ROOM);
    large.map(group).chain(rooms.map(room))
}

fn deliveries(groups: usize, members: usize, frames: u64) -> u64 {
    (groups * members) as u64 * frames
}

fn frame() -> Frame {
    Frame::Text("x".repeat(PAYLOAD).into())
}

/// A client's frame, under a mask of zeros.
fn masked() -> Vec<u8> {
    let length = u16::try_from(PAYLOAD).unwrap().to_be_bytes();
    let mut bytes = vec![0x81, 0x80 | 126];
    bytes.extend(length);
    bytes.extend([0; 4]);
    bytes.extend(frame().as_bytes());
    bytes
}

async fn next(receiver: &mut dyn Receiver) -> Event {
    let mut buffer = Vec::with_capacity(1);
    receiver.receive_many(&mut buffer, 1).await.unwrap();
    match buffer.pop().unwrap().message {
        Message::Event(event) => event,
        other => panic!("an event, not {other:?}"),
    }
}

/// Replies and completes in one, as a worker does.
async fn answer(layer: &MemoryLayer, event: &Event, reply: Reply) {
    let completion = Completion {
        attempt: event.attempt,
        outcome: Outcome::Done { session: None },
        groups: Vec::new(),
    };
    let reply = Reply {
        completion: Some(Box::new(completion)),
        ..reply
    };
    layer
        .send(&event.reply_channel, reply.into())
        .await
        .unwrap();
}

fn hub(criterion: &mut Criterion) {
    let mut rig = Rig::start();
    let mut bench = criterion.benchmark_group("hub");
    for members in MEMBERS {
        for frames in FRAMES {
            let groups = [group(members)];
            bench.throughput(Throughput::Elements(deliveries(1, members, frames)));
            let name = BenchmarkId::new(format!("{frames} frames at once"), members);
            bench.bench_function(name, |bencher| {
                let once = |_| rig.broadcast(&groups, members, frames);
                bencher.iter_custom(|count| (0..count).map(once).sum());
            });
        }
    }
    for (rooms, frames) in SPREADS {
        let groups: Vec<GroupName> = (0..rooms).map(room).collect();
        bench.throughput(Throughput::Elements(deliveries(rooms, ROOM, frames)));
        let name = BenchmarkId::new("100 frames at once, rooms of 10", rooms);
        bench.bench_function(name, |bencher| {
            let once = |_| rig.broadcast(&groups, ROOM, frames);
            bencher.iter_custom(|count| (0..count).map(once).sum());
        });
    }
    bench.throughput(Throughput::Elements(1));
    bench.bench_function("frame to event, reply to frame", |bencher| {
        bencher.iter_custom(|count| rig.echoes(count));
    });
    bench.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    hub(&mut criterion);
    criterion.final_summary();
}
