//! A server on one thread, its sockets, and the worker of its events.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;
use tokio_util::sync::CancellationToken;
use towpath_interface_server::{
    InterfaceServer, PhoenixMount, Routes, ServerConfig, TopicRoute, TowpathService,
};
use towpath_layer_core::{
    Accept, ChannelLayer, ChannelName, Completion, Event, EventKind, Frame, GroupName, Limits,
    Message, Outcome, Receiver, Reply, SystemClock, SystemEntropy, channels,
};
use towpath_layer_memory::MemoryLayer;

use crate::socket::{Peer, Socket, Written};

/// Payload of a frame, in bytes.
pub(crate) const PAYLOAD: usize = 128;

const HANDSHAKE: &str = "Host: localhost\r\n\
    Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Where a socket is opened.
pub(crate) const PLAIN: &str = "/bench";
pub(crate) const PHOENIX: &str = "/socket/websocket?vsn=2.0.0";

/// A server, the sockets that were opened, and the worker of its events.
pub(crate) struct Rig {
    pub(crate) runtime: Runtime,
    pub(crate) tasks: LocalSet,
    pub(crate) layer: Arc<MemoryLayer>,
    pub(crate) receiver: Box<dyn Receiver>,
    pub(crate) written: Arc<Written>,
    pub(crate) peers: Vec<Peer>,
    service: TowpathService,
}

impl Rig {
    pub(crate) fn start() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let tasks = LocalSet::new();
        let layer = MemoryLayer::new(
            Limits::default(),
            Arc::new(SystemClock::new()),
            Arc::new(SystemEntropy),
        );
        let names = [channels::CONNECT, channels::RECEIVE];
        let names = names.map(|name| ChannelName::new(name).unwrap());
        Self {
            service: serve(&runtime, &tasks, &layer),
            receiver: layer.receiver(names.to_vec()).unwrap(),
            runtime,
            tasks,
            layer,
            written: Arc::default(),
            peers: Vec::new(),
        }
    }

    /// Opens so many sockets, and lets each into its groups.
    pub(crate) fn open<G>(&mut self, path: &str, count: usize, groups_of: impl Fn(usize) -> G)
    where
        G: Iterator<Item = GroupName>,
    {
        let handshake = format!("GET {path} HTTP/1.1\r\n{HANDSHAKE}");
        for _ in 0..count {
            let peer = Peer::default();
            peer.say(handshake.as_bytes());
            let socket = Socket::new(peer.clone(), Arc::clone(&self.written));
            let service = TowerToHyperService::new(self.service.clone());
            let connection = http1::Builder::new()
                .serve_connection(TokioIo::new(socket), service)
                .with_upgrades();
            self.tasks.spawn_local(connection);
            self.peers.push(peer);
        }
        let (layer, receiver, written) = (&self.layer, &mut self.receiver, &self.written);
        let before = written.bytes();
        self.tasks.block_on(&self.runtime, async {
            for number in 0..count {
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
            written.reach(before + count as u64).await;
        });
    }

    /// Sends replies to groups, until so many bytes are written.
    pub(crate) fn group_sends<'a>(
        &self,
        sends: impl Iterator<Item = (&'a GroupName, &'a Reply)>,
        bytes: u64,
    ) -> Duration {
        self.tasks.block_on(&self.runtime, async {
            let before = self.written.bytes();
            let begin = Instant::now();
            for (group, reply) in sends {
                self.layer.group_send(group, reply.clone()).await.unwrap();
            }
            self.written.reach(before + bytes).await;
            begin.elapsed()
        })
    }
}

fn serve(runtime: &Runtime, tasks: &LocalSet, layer: &Arc<MemoryLayer>) -> TowpathService {
    let config = ServerConfig {
        ping_interval: Duration::from_hours(1),
        ..ServerConfig::default()
    };
    let topic = TopicRoute {
        pattern: "bench:*".to_owned(),
        intercepts: Vec::new(),
    };
    let mount = PhoenixMount {
        topics: vec![topic],
        ..PhoenixMount::new("^/socket$")
    };
    let routes = Routes::new(["^/bench$".to_owned()]).unwrap();
    let routes = routes.mount(mount).unwrap();
    let layer = Arc::clone(layer) as Arc<dyn ChannelLayer>;
    let local = InterfaceServer::local(config, routes, layer);
    let (service, server) = runtime.block_on(local).unwrap();
    tasks.spawn_local(server.run(CancellationToken::new()));
    service
}

pub(crate) fn frame() -> Frame {
    Frame::Text("x".repeat(PAYLOAD).into())
}

/// Bytes of a server's frame with so many of payload.
pub(crate) fn frame_bytes(payload: usize) -> u64 {
    let header = if payload < 126 { 2 } else { 4 };
    (header + payload) as u64
}

/// A client's text frame, under a mask of zeros.
pub(crate) fn masked(text: &str) -> Vec<u8> {
    let mut bytes = vec![0x81];
    match u8::try_from(text.len()) {
        Ok(length) if length < 126 => bytes.push(0x80 | length),
        _ => {
            bytes.push(0x80 | 126);
            bytes.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
        }
    }
    bytes.extend([0; 4]);
    bytes.extend(text.as_bytes());
    bytes
}

pub(crate) async fn next(receiver: &mut dyn Receiver) -> Event {
    let mut buffer = Vec::with_capacity(1);
    receiver.receive_many(&mut buffer, 1).await.unwrap();
    match buffer.pop().unwrap().message {
        Message::Event(event) => event,
        other => panic!("an event, not {other:?}"),
    }
}

/// Replies and completes in one, as a worker does.
pub(crate) async fn answer(layer: &MemoryLayer, event: &Event, reply: Reply) {
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
