//! A server, its layer, and a worker that does what a test says.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use towpath_interface_server::{
    HttpService, InterfaceServer, Operator, PhoenixMount, Routes, Serializer, ServerConfig,
    ServerHandle, TopicRoute,
};
use towpath_layer_core::{
    Accept, ChannelLayer, ChannelName, Completion, Event, EventKind, GroupChange, Limits, Message,
    Outcome, Received, Receiver, Reply, SystemClock, SystemEntropy, Taken, channels,
};
use towpath_layer_memory::MemoryLayer;

use crate::client::Client;

/// Nothing in these tests takes longer, however busy the machine is.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What comes in time.
pub(crate) async fn within<F: Future>(what: F) -> F::Output {
    timeout(PATIENCE, what).await.expect("it takes too long")
}

/// Waits until something is true.
pub(crate) async fn until(mut is_true: impl AsyncFnMut() -> bool) {
    within(async {
        while !is_true().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// Waits and deadlines short enough for a test, and two shards.
pub(crate) fn config() -> ServerConfig {
    ServerConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        shards: 2,
        close_timeout: Duration::from_millis(500),
        ..ServerConfig::default()
    }
}

pub(crate) fn routes() -> Routes {
    let topic = |pattern: &str, intercepts: &[&str]| TopicRoute {
        pattern: pattern.to_owned(),
        intercepts: intercepts.iter().map(|&event| event.to_owned()).collect(),
    };
    let socket = PhoenixMount {
        topics: vec![topic("room:*", &[]), topic("watched:*", &["secret"])],
        auth_token: true,
        longpoll: true,
        longpoll_window: Duration::from_secs(2),
        ..PhoenixMount::new("^/socket$")
    };
    let narrow = PhoenixMount {
        topics: vec![topic("room:*", &[])],
        max_topics: 1,
        ..PhoenixMount::new("^/narrow/[a-z]+$")
    };
    let short = PhoenixMount {
        topics: vec![topic("room:*", &[])],
        longpoll: true,
        longpoll_window: Duration::from_millis(300),
        ..PhoenixMount::new("^/short$")
    };
    let strict = PhoenixMount {
        topics: vec![topic("room:*", &[])],
        longpoll: true,
        serializers: vec![Serializer::V2],
        message_size_max: Some(64),
        ..PhoenixMount::new("^/strict$")
    };
    let tokens = PhoenixMount {
        topics: vec![topic("room:*", &[])],
        auth_token: true,
        subprotocols: vec!["sip".to_owned()],
        ..PhoenixMount::new("^/tokens$")
    };
    let routes = Routes::new(["^/chat$".to_owned(), "^/room/.+$".to_owned()]).unwrap();
    [socket, narrow, short, strict, tokens]
        .into_iter()
        .fold(routes, |routes, mount| routes.mount(mount).unwrap())
}

pub(crate) fn layer(limits: Limits) -> Arc<MemoryLayer> {
    let (clock, entropy) = (Arc::new(SystemClock::new()), Arc::new(SystemEntropy));
    MemoryLayer::new(limits, clock, entropy)
}

pub(crate) struct Rig {
    pub(crate) address: SocketAddr,
    pub(crate) operator: Option<SocketAddr>,
    pub(crate) layer: Arc<MemoryLayer>,
    pub(crate) handle: ServerHandle,
    pub(crate) stop: CancellationToken,
    pub(crate) running: JoinHandle<()>,
}

impl Rig {
    pub(crate) async fn start(config: ServerConfig) -> Self {
        Self::start_with(config, Limits::default(), None, None).await
    }

    pub(crate) async fn start_with(
        config: ServerConfig,
        limits: Limits,
        http: Option<HttpService>,
        operator: Option<Operator>,
    ) -> Self {
        let layer = layer(limits);
        let same = Arc::clone(&layer) as Arc<dyn ChannelLayer>;
        Self::start_on(config, layer, same, http, operator).await
    }

    /// A server on a layer of its own, over the one in memory.
    pub(crate) async fn start_on(
        config: ServerConfig,
        layer: Arc<MemoryLayer>,
        servers: Arc<dyn ChannelLayer>,
        http: Option<HttpService>,
        operator: Option<Operator>,
    ) -> Self {
        let server = InterfaceServer::bind(config, routes(), servers, http, operator)
            .await
            .unwrap();
        let stop = CancellationToken::new();
        Self {
            address: server.local_addr(),
            operator: server.operator_addr(),
            layer,
            handle: server.handle(),
            stop: stop.clone(),
            running: TaskTracker::new().spawn(server.run(stop)),
        }
    }

    /// A worker that does what the test says, one event at a time.
    pub(crate) fn worker(&self) -> Worker {
        Worker::on(self.layer.another_node())
    }

    /// A worker that accepts everybody and sends back what it gets.
    pub(crate) fn echo(&self) -> Echo {
        Echo::start(self.worker())
    }

    pub(crate) async fn connect(&self, path: &str) -> Client {
        Client::connect(self.address, path).await.unwrap()
    }

    /// Stops the server and waits for it.
    pub(crate) async fn end(self) {
        self.stop.cancel();
        within(self.running).await.unwrap();
    }
}

pub(crate) struct Worker {
    pub(crate) layer: Arc<MemoryLayer>,
    receiver: Box<dyn Receiver>,
    buffer: Vec<Received>,
}

impl Worker {
    pub(crate) fn on(layer: Arc<MemoryLayer>) -> Self {
        let names = [
            channels::CONNECT,
            channels::RECEIVE,
            channels::EVENT,
            channels::DISCONNECT,
        ];
        let names = names.map(|name| ChannelName::new(name).unwrap());
        Self {
            receiver: layer.receiver(names.to_vec()).unwrap(),
            layer,
            buffer: Vec::new(),
        }
    }

    /// The next event.
    pub(crate) async fn next(&mut self) -> Event {
        within(self.wait()).await
    }

    async fn wait(&mut self) -> Event {
        self.receiver
            .receive_many(&mut self.buffer, 1)
            .await
            .unwrap();
        match self.buffer.pop().unwrap().message {
            Message::Event(event) => event,
            other => panic!("an event, not {other:?}"),
        }
    }

    /// Whether there is nothing to do for a while.
    pub(crate) async fn is_idle(&mut self, time: Duration) -> bool {
        timeout(time, self.wait()).await.is_err()
    }

    pub(crate) async fn reply(&self, event: &Event, reply: Reply) {
        self.layer
            .send(&event.reply_channel, reply.into())
            .await
            .unwrap();
    }

    pub(crate) async fn accept(&self, event: &Event) {
        self.reply(event, accept()).await;
    }

    /// Says that it holds an event, as one does that takes long.
    pub(crate) async fn holds(&self, event: &Event) {
        let taken = Taken {
            attempt: event.attempt,
            worker: self.layer.node(),
        };
        let taken = Reply {
            taken: Some(taken),
            ..Reply::default()
        };
        self.reply(event, taken).await;
    }

    pub(crate) async fn complete(&self, event: &Event, outcome: Outcome) {
        let completion = Completion {
            attempt: event.attempt,
            outcome,
            groups: Vec::new(),
        };
        self.reply(event, Reply::completion(completion)).await;
    }

    pub(crate) async fn done(&self, event: &Event) {
        self.complete(event, Outcome::Done { session: None }).await;
    }

    pub(crate) async fn done_with_groups(&self, event: &Event, groups: Vec<GroupChange>) {
        let completion = Completion {
            attempt: event.attempt,
            outcome: Outcome::Done { session: None },
            groups,
        };
        self.reply(event, Reply::completion(completion)).await;
    }

    pub(crate) async fn done_with_session(&self, event: &Event, session: &'static str) {
        let session = Some(Bytes::from_static(session.as_bytes()));
        self.complete(event, Outcome::Done { session }).await;
    }

    /// Takes a connect, accepts and completes it.
    pub(crate) async fn welcome(&mut self) -> Event {
        let event = self.next().await;
        assert!(matches!(event.kind, EventKind::Connect(_)), "{event:?}");
        self.accept(&event).await;
        self.done(&event).await;
        event
    }

    /// Takes a disconnect and completes it; its code.
    pub(crate) async fn farewell(&mut self) -> u16 {
        let event = self.next().await;
        let EventKind::Disconnect { code, .. } = event.kind else {
            panic!("a disconnect, not {event:?}");
        };
        self.done(&event).await;
        code
    }
}

pub(crate) fn accept() -> Reply {
    Reply {
        accept: Some(Box::new(Accept::default())),
        ..Reply::default()
    }
}

/// A worker that echoes; a test may look at what it has seen.
pub(crate) struct Echo {
    pub(crate) disconnects: Arc<Mutex<Vec<(u16, String)>>>,
    task: JoinHandle<()>,
}

impl Echo {
    fn start(mut worker: Worker) -> Self {
        let disconnects = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&disconnects);
        let layer = Arc::clone(&worker.layer);
        let task = TaskTracker::new().spawn(async move {
            loop {
                let event = worker.wait().await;
                let reply = match &event.kind {
                    EventKind::Connect(_) => accept(),
                    EventKind::Receive(frame) => Reply::frame(frame.clone()),
                    EventKind::Join(_)
                    | EventKind::In(_)
                    | EventKind::Out(_)
                    | EventKind::Application(_) => Reply::default(),
                    EventKind::Disconnect { code, reason } => {
                        seen.lock().push((*code, reason.to_string()));
                        Reply::default()
                    }
                };
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
        });
        Self { disconnects, task }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.task.abort();
    }
}
