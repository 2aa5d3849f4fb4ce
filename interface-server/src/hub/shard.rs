//! One thread's connections and its part of every group.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytestring::ByteString;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use towpath_layer_core::{
    ChannelLayer, ChannelName, Counter, EventKind, Frame, GroupName, GroupTable, LocalId, Poll,
    channels,
};

use super::cleanup::Cleanup;
use super::connection::{Asking, Connection, Decision, Role};
use super::course::Course;
use super::emitter::Emitter;
use super::flusher::Flusher;
use super::ids::{IdMap, Ids};
use super::presence::Presences;
use super::seated::Seated;
use super::signal::Signal;
use super::ticker::Ticker;
use super::topic::Phoenix;
use super::watch::Watch;
use super::{Hub, Port};
use crate::HttpService;
use crate::config::ServerConfig;
use crate::conversation::{Action, Conversation, Expiry, Rules, Turn};
use crate::metrics::ShardMetrics;
use crate::protocol::phoenix::{self, Leaving};
use crate::protocol::refusal::Refusal;
use crate::protocol::request::Request;
use crate::transport::outbox::Bounds;

/// The state of one shard. It lives on its own thread: plain cells, no locks.
pub(crate) struct Shard {
    pub(crate) number: usize,
    pub(crate) hub: Arc<Hub>,
    pub(crate) layer: Arc<dyn ChannelLayer>,
    pub(crate) config: Arc<ServerConfig>,
    pub(crate) http: RefCell<Option<HttpService>>,
    pub(crate) rules: Rules,
    pub(crate) bounds: Bounds,
    pub(crate) metrics: ShardMetrics,
    pub(crate) connections: RefCell<IdMap<Rc<Connection>>>,
    pub(crate) groups: RefCell<GroupTable<LocalId, Seated>>,
    pub(crate) emitter: Emitter,
    pub(crate) flusher: Flusher,
    pub(crate) cleanup: Cleanup,
    pub(crate) ticker: Ticker,
    pub(crate) watch: Watch,
    pub(crate) presences: Presences,
    /// Groups that keep their history, as far as somebody here has resumed.
    pub(super) courses: RefCell<HashMap<GroupName, Course>>,
    /// Those of them of which something is missing.
    pub(super) fetching: RefCell<HashSet<GroupName>>,
    /// Tasks of sockets.
    pub(crate) sockets: TaskTracker,
    /// Set once the shard drains: idle HTTP connections end.
    pub(crate) draining: CancellationToken,
    /// A connection has parted, or is over.
    pub(crate) progress: Signal,
    /// Connections whose disconnect is not handed over.
    pub(crate) unparted: Cell<usize>,
    /// What all sockets are read into.
    pub(crate) read_buffer: Cell<Vec<u8>>,
    /// Requests that wait for the session that they are for.
    pub(crate) asking: RefCell<IdMap<mpsc::Sender<Poll>>>,
    ids: RefCell<Ids>,
    /// Where the next turn puts its actions: empty, its memory kept.
    spare_actions: Cell<Vec<Action>>,
    pub(super) spare_phoenix_actions: Cell<Vec<phoenix::Action>>,
    origin: Instant,
}

impl fmt::Debug for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shard")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

/// A conversation has begun, and its handshake waits.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) connection: Rc<Connection>,
    pub(crate) decision: oneshot::Receiver<Decision>,
}

fn rules(config: &ServerConfig, layer: &dyn ChannelLayer) -> Rules {
    let limits = layer.limits();
    let expiry = |name: &str| limits.expiry.get(name);
    Rules {
        connect_timeout: config.connect_timeout,
        consumer_timeout: config.consumer_timeout,
        expiry: Expiry {
            connect: expiry(channels::CONNECT),
            receive: expiry(channels::RECEIVE),
            application: expiry(channels::EVENT),
            disconnect: expiry(channels::DISCONNECT),
        },
        session_size_max: limits.session_size_max,
        queue_events_max: config.event_queue_max,
        queue_bytes_max: config.event_queue_bytes_max,
        slow_policy: config.slow_policy,
        on_lost: config.on_lost,
    }
}

impl Shard {
    pub(crate) fn new(hub: Arc<Hub>, number: usize, http: Option<HttpService>) -> Rc<Self> {
        let (layer, config) = (Arc::clone(&hub.layer), Arc::clone(&hub.config));
        let shard = u8::try_from(number).unwrap_or(u8::MAX);
        Rc::new(Self {
            number,
            http: RefCell::new(http),
            rules: rules(&config, &*layer),
            bounds: Bounds {
                frames_max: config.outbox_frames_max,
                bytes_max: config.outbox_bytes_max,
            },
            metrics: ShardMetrics::new(),
            connections: RefCell::default(),
            groups: RefCell::default(),
            emitter: Emitter::new(),
            flusher: Flusher::default(),
            cleanup: Cleanup::default(),
            ticker: Ticker::default(),
            watch: Watch::default(),
            presences: Presences::default(),
            courses: RefCell::default(),
            fetching: RefCell::default(),
            sockets: TaskTracker::new(),
            draining: CancellationToken::new(),
            progress: Signal::default(),
            unparted: Cell::new(0),
            read_buffer: Cell::default(),
            asking: RefCell::default(),
            ids: RefCell::new(Ids::new(shard)),
            spare_actions: Cell::default(),
            spare_phoenix_actions: Cell::default(),
            origin: Instant::now(),
            hub,
            layer,
            config,
        })
    }

    /// Time since the shard began.
    pub(crate) fn now(&self) -> Duration {
        self.origin.elapsed()
    }

    pub(crate) fn port(&self) -> Option<&Port> {
        self.hub.ports.get(self.number)
    }

    pub(crate) fn connection(&self, id: LocalId) -> Option<Rc<Connection>> {
        self.connections.borrow().get(&id.connection()).cloned()
    }

    /// Begins a conversation with its connect event.
    pub(crate) fn open(self: &Rc<Self>, request: Request) -> Result<Opened, Refusal> {
        let (size, size_max) = (request.session.len(), self.rules.session_size_max);
        if size > size_max {
            tracing::error!(
                size,
                size_max,
                "the first session of a connection is too large"
            );
            return Err(Refusal::internal());
        }
        let open = self.hub.open.fetch_add(1, Ordering::Relaxed);
        if self.draining.is_cancelled() || open >= self.config.connections_max {
            self.hub.open.fetch_sub(1, Ordering::Relaxed);
            return Err(Refusal::unavailable());
        }
        let (answer, decision) = oneshot::channel();
        let asking = Asking {
            answer,
            subprotocols: request.handshake.subprotocols.clone(),
        };
        let phoenix = request
            .speech
            .map(|speech| Box::new(Phoenix::new(speech, self.now())));
        let mut actions = Vec::new();
        let connection = self.enter(&mut actions, |channel, turn| {
            let conversation = Conversation::new(
                channel,
                (request.path, None),
                EventKind::Connect(request.handshake),
                request.session,
                turn,
            );
            (conversation, Role::Socket(asking, phoenix))
        });
        self.perform(&connection, &mut actions);
        Ok(Opened {
            connection,
            decision,
        })
    }

    /// A reply channel that nobody had before.
    pub(crate) fn next_channel(&self) -> (LocalId, ChannelName) {
        let id = self.ids.borrow_mut().next();
        (id, ChannelName::reply(self.layer.node(), id))
    }

    /// Makes a connection one of the shard's. What its conversation wants done
    /// is for the caller to perform.
    pub(super) fn enter(
        &self,
        actions: &mut Vec<Action>,
        begin: impl FnOnce(ChannelName, &mut Turn<'_>) -> (Conversation, Role),
    ) -> Rc<Connection> {
        let (id, channel) = self.next_channel();
        let now = self.now();
        let mut turn = Turn {
            now,
            rules: &self.rules,
            actions,
        };
        let (conversation, role) = begin(channel.clone(), &mut turn);
        let connection = Rc::new(Connection::new(id, channel, conversation, role, now));
        if let Some(port) = self.port() {
            port.live.lock().insert(id);
        }
        self.unparted.set(self.unparted.get() + 1);
        self.connections
            .borrow_mut()
            .insert(id, Rc::clone(&connection));
        connection
    }

    /// Lets something happen to a conversation, and does what follows from it.
    pub(crate) fn turn<R>(
        self: &Rc<Self>,
        connection: &Rc<Connection>,
        happen: impl FnOnce(&mut Conversation, &mut Turn<'_>) -> R,
    ) -> R {
        self.turn_at(self.now(), connection, happen)
    }

    /// The same at a time that was read before: one look at the clock serves
    /// a batch.
    pub(crate) fn turn_at<R>(
        self: &Rc<Self>,
        now: Duration,
        connection: &Rc<Connection>,
        happen: impl FnOnce(&mut Conversation, &mut Turn<'_>) -> R,
    ) -> R {
        let mut actions = self.spare_actions.take();
        let mut turn = Turn {
            now,
            rules: &self.rules,
            actions: &mut actions,
        };
        let result = happen(&mut connection.conversation.borrow_mut(), &mut turn);
        self.perform(connection, &mut actions);
        self.spare_actions.set(actions);
        result
    }

    /// A message of the client.
    pub(crate) fn receive(self: &Rc<Self>, connection: &Rc<Connection>, frame: Frame) {
        self.metrics.frames_in.increment(1);
        if let Some(phoenix) = &connection.phoenix {
            self.received_phoenix(connection, phoenix, frame);
            return;
        }
        self.turn_at(connection.heard.get(), connection, |conversation, turn| {
            conversation.receive(frame, turn)
        });
    }

    /// The socket is gone.
    pub(crate) fn transport_ended(
        self: &Rc<Self>,
        connection: &Rc<Connection>,
        code: u16,
        reason: ByteString,
    ) {
        self.end_topics(connection, Leaving::Closed);
        self.turn(connection, |conversation, turn| {
            conversation.transport_ended(code, reason, turn);
        });
    }

    pub(crate) fn count(&self, counter: Counter) {
        match counter {
            Counter::Dropped => self.metrics.replies_dropped.increment(1),
            Counter::Stale => self.metrics.stale.increment(1),
            Counter::Lost => self.metrics.lost.increment(1),
        }
        self.layer.count(counter, 1);
    }
}
