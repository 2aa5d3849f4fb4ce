//! The stage of a test: a worker, and connections that the test plays.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use towpath_layer_core::{
    Application, ChannelLayer, ChannelName, Completion, Content, Event, EventKind, Frame,
    GroupTable, Handshake, InboxEntry, InboxSink, Join, LayerError, Limits, LocalId, Membership,
    Outcome, Push, Reference, Refused, Reply, SeededEntropy, SystemClock, TopicReply,
};
use towpath_layer_memory::MemoryLayer;
use towpath_worker::{Router, States, Worker, WorkerConfig};

/// Longer than any wait that a passing test needs; under a paused clock it
/// passes at once when nothing else can happen.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// A layer with the node of an interface server, and workers.
pub(crate) struct Stage {
    pub(crate) layer: Arc<MemoryLayer>,
    pub(crate) shutdown: CancellationToken,
    inbox: Arc<Inbox>,
    workers: JoinSet<Result<(), LayerError>>,
    next: AtomicU64,
}

impl Stage {
    /// No worker yet.
    pub(crate) async fn empty() -> Self {
        let clock = Arc::new(SystemClock::new());
        let entropy = Arc::new(SeededEntropy::new(7));
        let layer = MemoryLayer::new(Limits::default(), clock, entropy);
        let inbox = Arc::new(Inbox::default());
        layer.attach(inbox.clone()).await.unwrap();
        Self {
            layer,
            shutdown: CancellationToken::new(),
            inbox,
            workers: JoinSet::new(),
            next: AtomicU64::new(1),
        }
    }

    /// One worker for a router.
    pub(crate) async fn new(router: Router) -> Self {
        Self::with(WorkerConfig::default(), router, States::new()).await
    }

    pub(crate) async fn with(config: WorkerConfig, router: Router, states: States) -> Self {
        let mut stage = Self::empty().await;
        let layer = stage.layer.another_node();
        stage.add(Worker::new(config, &router, layer, states).unwrap());
        stage
    }

    pub(crate) fn add(&mut self, worker: Worker) {
        self.workers.spawn(worker.run(self.shutdown.clone()));
    }

    /// How the next worker ended.
    pub(crate) async fn ended(&mut self) -> Result<(), LayerError> {
        let ended = timeout(PATIENCE, self.workers.join_next()).await;
        ended.unwrap().unwrap().unwrap()
    }

    /// A connection that sent nothing yet.
    pub(crate) fn peer(&self, path: &str) -> Peer {
        let id = LocalId(self.next.fetch_add(1, Ordering::Relaxed));
        Peer {
            layer: self.layer.clone(),
            inbox: Arc::clone(&self.inbox),
            id,
            channel: ChannelName::reply(self.layer.node(), id),
            path: path.to_owned(),
            topic: None,
            order: 0,
            attempt: 0,
            session: Bytes::new(),
        }
    }

    /// A topic of a socket, which no client has joined yet.
    pub(crate) fn topic(&self, path: &str, topic: &str) -> Peer {
        Peer {
            topic: Some(topic.into()),
            ..self.peer(path)
        }
    }

    /// Sends a message on a channel of the application.
    pub(crate) async fn send<T: Serialize + ?Sized>(&self, channel: &str, value: &T) {
        let channel = ChannelName::new(channel).unwrap();
        let message = Content::encode(value).unwrap().into();
        self.layer.send(&channel, message).await.unwrap();
    }
}

impl Stage {
    /// Ends all memberships of a connection, as its node does at its end.
    pub(crate) async fn leave_all(&self, peer: &Peer) {
        self.layer.discard_all(&peer.channel).await.unwrap();
    }

    /// How many messages wait on a channel.
    pub(crate) async fn pending(&self, channel: &ChannelName) -> u64 {
        let seen = self.layer.channel_statistics(channel).await;
        seen.unwrap().pending
    }

    /// Sends to a channel until it is full.
    pub(crate) async fn fill(&self, channel: &ChannelName) {
        let message = || Content::encode(&0).unwrap().into();
        while self.layer.send(channel, message()).await.is_ok() {}
    }
}

/// One connection, as its interface server plays it.
pub(crate) struct Peer {
    layer: Arc<MemoryLayer>,
    inbox: Arc<Inbox>,
    id: LocalId,
    pub(crate) channel: ChannelName,
    path: String,
    topic: Option<Arc<str>>,
    order: u64,
    attempt: u64,
    pub(crate) session: Bytes,
}

/// What became of one event.
#[derive(Debug)]
pub(crate) struct Turn {
    /// What came before the completion, and what came with it.
    pub(crate) replies: Vec<Reply>,
    pub(crate) completion: Completion,
}

impl Turn {
    pub(crate) fn text(&self) -> &str {
        match self.replies.iter().find_map(|reply| reply.frame.as_ref()) {
            Some(Frame::Text(text)) => text,
            other => panic!("no text frame but {other:?}"),
        }
    }

    /// All text frames, in order.
    pub(crate) fn texts(&self) -> Vec<&str> {
        let frames = self.replies.iter().filter_map(|reply| reply.frame.as_ref());
        let texts = frames.filter_map(|frame| match frame {
            Frame::Text(text) => Some(&**text),
            Frame::Bytes(_) => None,
        });
        texts.collect()
    }

    /// What the topic's client was told, in order.
    pub(crate) fn said(&self) -> Vec<&TopicReply> {
        self.replies.iter().flat_map(|reply| &reply.topic).collect()
    }

    /// The status of the answer, if the handshake was denied.
    pub(crate) fn denied(&self) -> Option<(u16, String)> {
        let deny = self.replies.iter().find_map(|reply| reply.deny.as_ref())?;
        Some((
            deny.status,
            String::from_utf8_lossy(&deny.body).into_owned(),
        ))
    }

    pub(crate) fn accepted(&self) -> bool {
        self.replies.iter().any(|reply| reply.accept.is_some())
    }

    pub(crate) fn closed(&self) -> Option<(u16, String)> {
        let close = self.replies.iter().find_map(|reply| reply.close.as_ref())?;
        Some((close.code, close.reason.to_string()))
    }

    #[track_caller]
    pub(crate) fn done(self) -> Self {
        let outcome = &self.completion.outcome;
        assert!(matches!(outcome, Outcome::Done { .. }), "{outcome:?}");
        self
    }

    #[track_caller]
    pub(crate) fn failed(self) -> Self {
        let outcome = &self.completion.outcome;
        assert!(matches!(outcome, Outcome::Failed { .. }), "{outcome:?}");
        self
    }
}

impl Peer {
    /// Emits an event, without waiting for what becomes of it.
    pub(crate) async fn emit(&mut self, kind: EventKind) {
        let channel = ChannelName::new(kind.channel()).unwrap();
        self.attempt += 1;
        let event = Event {
            reply_channel: self.channel.clone(),
            path: self.path.as_str().into(),
            topic: self.topic.clone(),
            order: self.order,
            attempt: self.attempt,
            session: self.session.clone(),
            kind,
        };
        self.order += 1;
        self.layer.send(&channel, event.into()).await.unwrap();
    }

    /// The next reply, whatever it is.
    pub(crate) async fn reply(&self) -> Reply {
        let next = timeout(PATIENCE, self.inbox.next(self.id)).await;
        next.unwrap_or_else(|_| panic!("no reply for {} came", self.path))
    }

    /// Waits until the event that was emitted last has ended.
    pub(crate) async fn turn(&mut self) -> Turn {
        let mut replies = Vec::new();
        loop {
            let mut reply = self.reply().await;
            let completion = reply.completion.take();
            replies.push(reply);
            let Some(completion) = completion else {
                continue;
            };
            assert_eq!(completion.attempt, self.attempt);
            if let Outcome::Done {
                session: Some(session),
            } = &completion.outcome
            {
                self.session = session.clone();
            }
            return Turn {
                replies,
                completion: *completion,
            };
        }
    }

    pub(crate) async fn event(&mut self, kind: EventKind) -> Turn {
        self.emit(kind).await;
        self.turn().await
    }

    /// Emits the event of the last turn once more, as after a retry.
    pub(crate) async fn again(&mut self, kind: EventKind) -> Turn {
        self.order -= 1;
        self.event(kind).await
    }

    /// What came for this connection so far: joins, leaves and replies, in
    /// their order.
    pub(crate) fn arrivals(&self) -> Vec<&'static str> {
        let state = self.inbox.state.lock();
        state.arrivals.get(&self.id).cloned().unwrap_or_default()
    }

    /// Whether nothing came that no turn has taken.
    pub(crate) fn is_silent(&self) -> bool {
        let state = self.inbox.state.lock();
        state.replies.get(&self.id).is_none_or(VecDeque::is_empty)
    }

    pub(crate) async fn connect(&mut self) -> Turn {
        self.connect_with(Handshake::default()).await
    }

    pub(crate) async fn connect_with(&mut self, handshake: Handshake) -> Turn {
        self.event(EventKind::Connect(Box::new(handshake))).await
    }

    pub(crate) async fn text(&mut self, text: &str) -> Turn {
        self.event(receive(text)).await
    }

    pub(crate) async fn bytes(&mut self, bytes: &'static [u8]) -> Turn {
        let frame = Frame::Bytes(Bytes::from_static(bytes));
        self.event(EventKind::Receive(frame)).await
    }

    pub(crate) async fn application<T: Serialize + ?Sized>(
        &mut self,
        name: &str,
        value: &T,
    ) -> Turn {
        let event = Application::new(name, Content::encode(value).unwrap());
        self.event(EventKind::Application(Box::new(event))).await
    }

    /// Asks to join the topic on a socket that has this session.
    pub(crate) async fn join(&mut self, socket: &Peer, payload: &str) -> Turn {
        let join = Join {
            payload: Frame::Text(payload.into()),
            socket: socket.session.clone(),
        };
        self.event(EventKind::Join(Box::new(join))).await
    }

    /// A message of the client to the topic.
    pub(crate) async fn push(&mut self, event: &str, payload: &str) -> Turn {
        self.event(EventKind::In(message(event, payload))).await
    }

    /// A broadcast that the topic's consumer intercepts.
    pub(crate) async fn out(&mut self, event: &str, payload: &str) -> Turn {
        let mut push = message(event, payload);
        push.reference = None;
        self.event(EventKind::Out(push)).await
    }

    pub(crate) async fn left(&mut self, reason: &str) -> Turn {
        let (code, reason) = (1000, reason.into());
        self.event(EventKind::Disconnect { code, reason }).await
    }

    pub(crate) async fn disconnect(&mut self, code: u16) -> Turn {
        let reason = "bye".into();
        self.event(EventKind::Disconnect { code, reason }).await
    }
}

pub(crate) fn receive(text: &str) -> EventKind {
    EventKind::Receive(Frame::Text(text.into()))
}

/// A message that waits for an answer, by the number 7.
pub(crate) fn message(event: &str, payload: &str) -> Box<Push> {
    Box::new(Push {
        event: event.into(),
        payload: Frame::Text(payload.into()),
        reference: Some(Reference::Text("7".into())),
        stream: None,
    })
}

/// The inbox of the interface server: replies by connection.
#[derive(Debug, Default)]
struct Inbox {
    state: Mutex<State>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct State {
    replies: HashMap<LocalId, VecDeque<Reply>>,
    arrivals: HashMap<LocalId, Vec<&'static str>>,
    groups: GroupTable<LocalId>,
}

impl Inbox {
    async fn next(&self, id: LocalId) -> Reply {
        loop {
            let filled = self.filled.notified();
            tokio::pin!(filled);
            filled.as_mut().enable();
            let next = self.state.lock().replies.entry(id).or_default().pop_front();
            if let Some(reply) = next {
                return reply;
            }
            filled.await;
        }
    }
}

#[async_trait]
impl InboxSink for Inbox {
    fn deliver(&self, entry: InboxEntry) -> Result<(), Refused> {
        let state = &mut *self.state.lock();
        match entry {
            InboxEntry::Reply { to, reply } => {
                state.arrivals.entry(to).or_default().push("reply");
                state.replies.entry(to).or_default().push_back(reply);
            }
            InboxEntry::Group { group, reply } => {
                for (to, _) in state.groups.members(&group) {
                    let replies = state.replies.entry(*to).or_default();
                    replies.push_back(reply.clone());
                }
            }
            InboxEntry::Join { group, to, meta } => {
                state.arrivals.entry(to).or_default().push("join");
                state.groups.join(&group, to, meta);
            }
            InboxEntry::Leave { group, to } => {
                state.arrivals.entry(to).or_default().push("leave");
                state.groups.leave(&group, to);
            }
            InboxEntry::LeaveAll { to } => {
                state.groups.leave_all(to);
            }
        }
        self.filled.notify_waiters();
        Ok(())
    }

    async fn room(&self) {}

    fn mark_gap(&self) {}

    fn is_live(&self, _: LocalId) -> bool {
        true
    }

    async fn memberships(&self) -> Vec<Membership> {
        let state = self.state.lock();
        let all = state.groups.iter().map(|(group, member, meta)| Membership {
            group: group.clone(),
            member,
            meta: meta.clone(),
        });
        all.collect()
    }
}

/// Waits until nothing waits on a channel.
pub(crate) async fn until_empty(layer: &MemoryLayer, channel: &str) {
    let channel = ChannelName::new(channel).unwrap();
    timeout(PATIENCE, async {
        while layer.channel_statistics(&channel).await.unwrap().pending > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
}
