//! Reply channels, outboxes and fan-out, sharded.
//!
//! The [`Hub`] is what the layer sees: it puts each entry into the queue of
//! the shards it concerns, and never waits. A shard owns its connections and
//! its part of every group; it is one thread with a runtime of its own, or one
//! future on a runtime that is there already.

mod broadcast;
mod cleanup;
pub(crate) mod connection;
mod course;
mod descriptors;
mod drain;
mod emitter;
pub(crate) mod flusher;
pub(crate) mod hold;
pub(crate) mod ids;
mod inbox;
mod index;
mod perform;
mod poll;
mod presence;
mod published;
mod resume;
mod seated;
pub(crate) mod shard;
pub(crate) mod signal;
mod standstill;
mod sweeper;
mod thread;
mod ticker;
pub(crate) mod topic;
mod topics;
mod watch;
mod woken;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::Full;
use hyper::upgrade::OnUpgrade;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use towpath_layer_core::{
    ChannelLayer, InboxEntry, InboxQueue, InboxSink, Limits, LocalId, Membership, Refused,
};

use crate::BoxBody;
use crate::config::ServerConfig;
use crate::drain::Phase;
use crate::protocol::request::{Ends, Request};
use crate::routes::{Entrance, Routes};
use connection::Decision;
use ids::IdSet;
use index::GroupIndex;

pub(crate) use thread::{Threads, run, start};
use woken::Woken;

/// Arrivals that wait for one shard.
const ARRIVALS_MAX: usize = 1024;

/// The fewest entries and bytes that one shard's share of the inbox holds.
const SHARE_ENTRIES_MIN: usize = 1024;
const SHARE_BYTES_MIN: usize = 1 << 20;

/// What is handed to a shard from outside.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// A connection was accepted.
    Socket {
        stream: std::net::TcpStream,
        client: SocketAddr,
        seat: Seat,
    },
    /// A request came to another server that this one is mounted in.
    Mounted {
        request: Box<Request>,
        upgrade: OnUpgrade,
        answer: oneshot::Sender<Decision>,
        seat: Seat,
    },
    /// A request of a client that polls came to that server.
    Polled {
        request: Box<http::Request<Full<Bytes>>>,
        entrance: Entrance,
        ends: Ends,
        answer: oneshot::Sender<http::Response<BoxBody>>,
    },
    /// The layer asks who is a member of what.
    Memberships(oneshot::Sender<Vec<Membership>>),
    /// Everything is to end by then.
    Drain {
        until: Instant,
        done: oneshot::Sender<()>,
    },
}

/// A socket's place in the count of its shard.
#[derive(Debug)]
pub(crate) struct Seat {
    hub: Arc<Hub>,
    shard: usize,
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(port) = self.hub.ports.get(self.shard) {
            port.load.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// One shard, as other threads see it.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) inbox: InboxQueue,
    pub(crate) live: Mutex<IdSet>,
    arrivals: mpsc::Sender<Arrival>,
    load: AtomicUsize,
}

/// All shards, as the layer and the acceptor see them.
#[derive(Debug)]
pub(crate) struct Hub {
    pub(crate) config: Arc<ServerConfig>,
    pub(crate) routes: Routes,
    pub(crate) layer: Arc<dyn ChannelLayer>,
    pub(crate) ports: Vec<Port>,
    pub(crate) index: Mutex<GroupIndex>,
    /// Conversations that are not over.
    pub(crate) open: AtomicUsize,
    pub(crate) woken: Woken,
    phase: AtomicU8,
    turn: AtomicUsize,
    /// A shard has ended that should not have.
    pub(crate) failed: CancellationToken,
}

impl Hub {
    /// A hub, and for each of its shards the end that takes arrivals.
    pub(crate) fn new(
        config: Arc<ServerConfig>,
        routes: Routes,
        layer: Arc<dyn ChannelLayer>,
    ) -> (Arc<Self>, Vec<mpsc::Receiver<Arrival>>) {
        let count = config.shard_count();
        let limits = share_of_inbox(layer.limits(), count);
        let (ports, receivers) = (0..count)
            .map(|_| {
                let (arrivals, receiver) = mpsc::channel(ARRIVALS_MAX);
                let port = Port {
                    inbox: InboxQueue::new(&limits),
                    live: Mutex::default(),
                    arrivals,
                    load: AtomicUsize::new(0),
                };
                (port, receiver)
            })
            .unzip();
        let hub = Self {
            config,
            routes,
            layer,
            ports,
            index: Mutex::default(),
            open: AtomicUsize::new(0),
            woken: Woken::new(),
            phase: AtomicU8::new(Phase::Starting as u8),
            turn: AtomicUsize::new(0),
            failed: CancellationToken::new(),
        };
        (Arc::new(hub), receivers)
    }

    pub(crate) fn phase(&self) -> Phase {
        Phase::from_number(self.phase.load(Ordering::Acquire))
    }

    pub(crate) fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Release);
    }

    /// A place on the shard with the fewest sockets, and the way to it.
    pub(crate) fn seat(self: &Arc<Self>) -> Option<(Seat, &mpsc::Sender<Arrival>)> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let count = self.ports.len();
        let numbers = (0..count).map(|step| (turn + step) % count);
        let (shard, port) = numbers
            .filter_map(|shard| Some((shard, self.ports.get(shard)?)))
            .min_by_key(|(_, port)| port.load.load(Ordering::Relaxed))?;
        port.load.fetch_add(1, Ordering::Relaxed);
        let seat = Seat {
            hub: Arc::clone(self),
            shard,
        };
        Some((seat, &port.arrivals))
    }

    /// Sockets of all shards, with and without a conversation.
    pub(crate) fn sockets(&self) -> usize {
        let loads = self
            .ports
            .iter()
            .map(|port| port.load.load(Ordering::Relaxed));
        loads.sum()
    }

    /// Tells every shard to end by `until`, and waits until they have.
    pub(crate) async fn drain(&self, until: Instant) {
        let mut waiting = Vec::with_capacity(self.ports.len());
        for port in &self.ports {
            let (done, drained) = oneshot::channel();
            let told = port.arrivals.send(Arrival::Drain { until, done }).await;
            if told.is_ok() {
                waiting.push(drained);
            }
        }
        for drained in waiting {
            // A shard that is gone has nothing left to end.
            drained.await.unwrap_or_default();
        }
    }

    fn port_of(&self, id: LocalId) -> Option<&Port> {
        self.ports.get(ids::shard_of(id))
    }

    fn push_to_group(&self, entry: &InboxEntry, shards: &[usize]) -> Result<(), Refused> {
        let mut taken = false;
        let mut refused: Option<(Refused, &Port)> = None;
        for shard in shards {
            let Some(port) = self.ports.get(*shard) else {
                continue;
            };
            match port.inbox.push(entry.clone()) {
                Ok(()) => taken = true,
                Err(entry) => {
                    // Once a shard took it, giving it back would double it
                    // there: the others know that they missed it.
                    if let Some((_, earlier)) = refused.replace((entry, port)) {
                        earlier.inbox.mark_gap();
                    }
                }
            }
        }
        match refused {
            Some((entry, _)) if !taken => Err(entry),
            Some((_, port)) => {
                port.inbox.mark_gap();
                Ok(())
            }
            None => Ok(()),
        }
    }
}

fn share_of_inbox(limits: &Limits, shards: usize) -> Limits {
    Limits {
        inbox_entries_max: (limits.inbox_entries_max / shards).max(SHARE_ENTRIES_MIN),
        inbox_bytes_max: (limits.inbox_bytes_max / shards).max(SHARE_BYTES_MIN),
        ..limits.clone()
    }
}

#[async_trait]
impl InboxSink for Hub {
    fn deliver(&self, entry: InboxEntry) -> Result<(), Refused> {
        match &entry {
            InboxEntry::Group { group, .. } => {
                let shards = self.index.lock().shards(group);
                if let [shard] = *shards {
                    return self
                        .ports
                        .get(shard)
                        .map_or(Ok(()), |port| port.inbox.push(entry));
                }
                self.push_to_group(&entry, &shards)
            }
            InboxEntry::Join { group, to, .. } => {
                let Some(port) = self.port_of(*to) else {
                    return Ok(());
                };
                self.index.lock().joining(group, ids::shard_of(*to));
                port.inbox.push(entry)
            }
            InboxEntry::Reply { to, .. }
            | InboxEntry::Leave { to, .. }
            | InboxEntry::LeaveAll { to } => self
                .port_of(*to)
                .map_or(Ok(()), |port| port.inbox.push(entry)),
        }
    }

    async fn room(&self) {
        for port in &self.ports {
            port.inbox.room().await;
        }
    }

    fn mark_gap(&self) {
        for port in &self.ports {
            port.inbox.mark_gap();
        }
    }

    fn is_live(&self, member: LocalId) -> bool {
        self.port_of(member)
            .is_some_and(|port| port.live.lock().contains(&member.connection()))
    }

    async fn memberships(&self) -> Vec<Membership> {
        let mut all = Vec::new();
        for port in &self.ports {
            let (answer, memberships) = oneshot::channel();
            if port
                .arrivals
                .send(Arrival::Memberships(answer))
                .await
                .is_ok()
            {
                all.extend(memberships.await.unwrap_or_default());
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use towpath_layer_core::{GroupName, Reply, SystemClock, SystemEntropy};
    use towpath_layer_memory::MemoryLayer;

    fn hub() -> (Arc<Hub>, Vec<mpsc::Receiver<Arrival>>) {
        let (clock, entropy) = (Arc::new(SystemClock::new()), Arc::new(SystemEntropy));
        let layer = MemoryLayer::new(Limits::default(), clock, entropy);
        let config = ServerConfig {
            shards: 2,
            ..ServerConfig::default()
        };
        Hub::new(Arc::new(config), Routes::new([]).unwrap(), layer)
    }

    fn fill(port: &Port) {
        let reply = Reply::default();
        let to = LocalId(0);
        while port
            .inbox
            .push(InboxEntry::Reply {
                to,
                reply: reply.clone(),
            })
            .is_ok()
        {}
    }

    #[tokio::test]
    async fn a_group_message_that_one_shard_refuses_is_a_gap_there_and_not_doubled_elsewhere() {
        let (hub, _receivers) = hub();
        let group = GroupName::new("room").unwrap();
        for shard in [0, 1] {
            let (to, meta) = (LocalId(256 + shard), bytes::Bytes::new());
            let group = group.clone();
            hub.deliver(InboxEntry::Join { group, to, meta }).unwrap();
        }
        fill(&hub.ports[0]);
        let message = InboxEntry::Group {
            group,
            reply: Reply::text("hi"),
        };
        hub.deliver(message.clone()).unwrap();
        let mut taken = Vec::new();
        assert!(!hub.ports[1].inbox.take(&mut taken));
        assert_eq!(taken.last(), Some(&message));
        fill(&hub.ports[1]);
        let Refused(back) = hub.deliver(message.clone()).unwrap_err();
        assert_eq!(*back, message);
        assert!(hub.ports[0].inbox.take(&mut Vec::new()));
        assert!(!hub.ports[1].inbox.take(&mut Vec::new()));
    }

    #[test]
    fn sockets_are_dealt_out_evenly() {
        let (hub, _receivers) = hub();
        let mut seats: Vec<Seat> = (0..10).map(|_| hub.seat().unwrap().0).collect();
        assert_eq!(hub.sockets(), 10);
        let on_first = |seats: &[Seat]| seats.iter().filter(|seat| seat.shard == 0).count();
        assert_eq!(on_first(&seats), 5);
        seats.retain(|seat| seat.shard == 0);
        seats.extend((0..5).map(|_| hub.seat().unwrap().0));
        assert_eq!(on_first(&seats), 5);
        drop(seats);
        assert_eq!(hub.sockets(), 0);
    }
}
