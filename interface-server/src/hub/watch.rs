//! Finds events whose worker is gone.
//!
//! A worker that holds an event says so, and its lease is watched. Before it
//! could say so, the age of the oldest message on the channel tells whether
//! the event was handed out at all.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use towpath_layer_core::{ChannelName, LocalId, NodeId};

use super::connection::Connection;
use super::shard::Shard;
use super::signal::Signal;
use crate::conversation::Conversation;

/// Two clocks that tell ages may differ by this much.
const MARGIN: Duration = Duration::from_millis(50);

/// How soon the layer is asked again about an event that does not wait, or if
/// it could not say: too soon for a sweep, as a client waits meanwhile.
const ASK_AGAIN: Duration = Duration::from_millis(200);

#[derive(Debug, Clone, Copy)]
struct Suspect {
    id: LocalId,
    attempt: u64,
    age: Duration,
}

/// What there is to ask the layer about.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    workers: RefCell<HashSet<NodeId>>,
    /// Connections with an event that nobody says to hold.
    suspects: RefCell<HashSet<LocalId>>,
    /// Whether a sweep was completed.
    swept: Cell<bool>,
    signal: Signal,
}

impl Watch {
    /// Notes what has to be asked about a conversation with an event in flight.
    pub(crate) fn note(&self, id: LocalId, conversation: &Conversation, now: Duration) {
        if let Some(worker) = conversation.worker() {
            self.workers.borrow_mut().insert(worker);
        } else if conversation.suspect(now).is_some() {
            self.suspects.borrow_mut().insert(id);
        }
    }

    /// Has the layer asked about an event that it may not have.
    pub(crate) fn doubt(&self, id: LocalId) {
        self.suspects.borrow_mut().insert(id);
        self.signal.notify();
    }

    /// A sweep is complete.
    pub(crate) fn look(&self) {
        if !self.workers.borrow().is_empty() || !self.suspects.borrow().is_empty() {
            self.swept.set(true);
            self.signal.notify();
        }
    }

    /// Waits until there is something to ask about.
    async fn due(&self) {
        let asks_again = !self.suspects.borrow().is_empty();
        let signal = self.signal.notified();
        if asks_again {
            let _either = timeout(ASK_AGAIN, signal).await;
        } else {
            signal.await;
        }
    }
}

/// Watches for as long as the shard lives.
pub(crate) async fn run(shard: Rc<Shard>) {
    let lease_period = shard.layer.limits().lease / 3;
    let mut next_leases = Instant::now();
    loop {
        shard.watch.due().await;
        for (channel, suspects) in shard.suspects() {
            shard.ask_channel(channel, suspects).await;
        }
        // Part of a sweep says nothing of the workers that the rest would.
        if shard.watch.swept.take() {
            let workers = shard.watch.workers.take();
            if !workers.is_empty() && Instant::now() >= next_leases {
                next_leases = Instant::now() + lease_period;
                shard.ask_leases(workers.into_iter().collect()).await;
            }
        }
    }
}

impl Shard {
    /// The suspects by channel; those that are above suspicion by now are let go.
    fn suspects(&self) -> HashMap<&'static str, Vec<Suspect>> {
        let now = self.now();
        let mut by_channel: HashMap<_, Vec<_>> = HashMap::new();
        self.watch.suspects.borrow_mut().retain(|id| {
            let connection = self.connection(*id);
            let suspect = connection.and_then(|one| one.conversation.borrow().suspect(now));
            if let Some((channel, attempt, age)) = suspect {
                let suspect = Suspect {
                    id: *id,
                    attempt,
                    age,
                };
                by_channel.entry(channel).or_default().push(suspect);
            }
            suspect.is_some()
        });
        by_channel
    }

    async fn ask_channel(self: &Rc<Self>, channel: &'static str, suspects: Vec<Suspect>) {
        let Ok(channel) = ChannelName::new(channel) else {
            return;
        };
        let statistics = match self.layer.channel_statistics(&channel).await {
            Ok(statistics) => statistics,
            Err(error) => {
                tracing::debug!(%error, "the layer does not say what waits");
                return;
            }
        };
        for suspect in suspects {
            let oldest = statistics.oldest_age;
            let may_wait = oldest.is_some_and(|oldest| oldest + MARGIN >= suspect.age);
            if may_wait {
                // The next sweep asks about it again.
                self.watch.suspects.borrow_mut().remove(&suspect.id);
            }
            if let Some(connection) = self.connection(suspect.id) {
                self.turn(&connection, |conversation, turn| {
                    conversation.whereabouts(suspect.attempt, may_wait, turn);
                });
            }
        }
    }

    async fn ask_leases(self: &Rc<Self>, workers: Vec<NodeId>) {
        let absent = match self.layer.absent(&workers).await {
            Ok(absent) => absent,
            Err(error) => {
                tracing::debug!(%error, "the layer does not say who is alive");
                return;
            }
        };
        for worker in absent {
            let holds = |connection: &&Rc<Connection>| {
                connection.conversation.borrow().worker() == Some(worker)
            };
            let waiting: Vec<Rc<Connection>> = self
                .connections
                .borrow()
                .values()
                .filter(holds)
                .cloned()
                .collect();
            tracing::warn!(%worker, events = waiting.len(), "a worker is gone with its events");
            for connection in waiting {
                self.turn(&connection, |conversation, turn| {
                    conversation.worker_gone(worker, turn);
                });
            }
        }
    }
}
