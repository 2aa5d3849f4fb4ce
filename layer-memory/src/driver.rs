//! The one task of a layer in memory: it sends what is due when nobody else
//! looks.
//!
//! Whoever sends to a channel or receives from it lets in what is due there
//! first. The task is for those who wait meanwhile: receivers of a channel that
//! is empty, and connections. It is there only while something is delayed or
//! was, and ends with the layer's last node.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::{BoxFuture, pending};
use futures_util::stream::FuturesUnordered;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use towpath_layer_core::{ChannelName, Clock, NodeId};

use crate::broker::Broker;

/// The longest that a reply waits between two looks for room in its inbox.
const RETRY: Duration = Duration::from_secs(1);
/// How long the end of the task is waited for: its runtime may stand still.
const END_MAX: Duration = Duration::from_secs(1);

/// The task, until it is dropped.
#[derive(Debug)]
pub(crate) struct Driver {
    task: JoinHandle<()>,
    stop: DropGuard,
}

impl Driver {
    /// Ends the task, and waits until it has ended.
    pub(crate) async fn end(self) {
        drop(self.stop);
        let _ended = tokio::time::timeout(END_MAX, self.task).await;
    }
}

impl Broker {
    /// Sees to it that somebody sends what is due.
    pub(crate) fn drive(self: &Arc<Self>) {
        if self.agenda.is_empty() && self.late_replies.waiting() == 0 {
            return;
        }
        let mut driver = self.driver.lock();
        // It ends early with the runtime that it was started on.
        if driver.as_ref().is_some_and(|one| !one.task.is_finished()) {
            return;
        }
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let stopped = CancellationToken::new();
        let work = Work::new(self);
        let stop = stopped.clone().drop_guard();
        let task = runtime.spawn(async move {
            tokio::select! {
                () = work.run() => {}
                () = stopped.cancelled() => {}
            }
        });
        *driver = Some(Driver { task, stop });
    }
}

struct Work {
    broker: Weak<Broker>,
    clock: Arc<dyn Clock>,
    /// The reply channels for which there was no room.
    blocked: BTreeMap<NodeId, BTreeSet<ChannelName>>,
    /// One wait for room in each of their inboxes.
    rooms: FuturesUnordered<BoxFuture<'static, NodeId>>,
    /// When they are all tried again, whatever the waits say.
    retry_at: Option<Duration>,
}

impl Work {
    fn new(broker: &Arc<Broker>) -> Self {
        Self {
            broker: Arc::downgrade(broker),
            clock: Arc::clone(&broker.clock),
            blocked: BTreeMap::new(),
            rooms: FuturesUnordered::new(),
            retry_at: None,
        }
    }

    async fn run(mut self) {
        let Some(broker) = self.broker.upgrade() else {
            return;
        };
        // What another task has left behind.
        for channel in broker.late_replies.channels() {
            self.send_due(&broker, channel);
        }
        drop(broker);
        while let Some(broker) = self.broker.upgrade() {
            for channel in broker.agenda.take_due(self.clock.now()) {
                self.send_due(&broker, channel);
            }
            let agenda = Arc::clone(&broker.agenda);
            drop(broker);
            let next = agenda.next().into_iter().chain(self.retry_at).min();
            let clock = Arc::clone(&self.clock);
            let turn = async {
                match next {
                    Some(at) => clock.sleep_until(at).await,
                    None => pending().await,
                }
            };
            let room = tokio::select! {
                () = turn => None,
                () = agenda.earlier.notified() => None,
                Some(node) = self.rooms.next() => Some(node),
            };
            let now = self.clock.now();
            if room.is_some() || self.retry_at.is_some_and(|at| at <= now) {
                self.try_blocked(room);
            }
        }
    }

    fn send_due(&mut self, broker: &Broker, channel: ChannelName) {
        let Some((node, local)) = channel.as_reply() else {
            broker.channels.admit_due(&*broker.clock, &channel);
            return;
        };
        if broker.deliver_due(&channel) {
            return;
        }
        let waiting = self.blocked.entry(node).or_default();
        if waiting.is_empty()
            && let Some(sink) = broker.node(node).and_then(|node| node.sink_of(local))
        {
            self.rooms.push(Box::pin(async move {
                sink.room().await;
                node
            }));
        }
        waiting.insert(channel);
        self.retry_at.get_or_insert(self.clock.now() + RETRY);
    }

    /// Tries again for a node that may have room, or for all.
    fn try_blocked(&mut self, node: Option<NodeId>) {
        let Some(broker) = self.broker.upgrade() else {
            return;
        };
        let tried = match node {
            Some(node) => self
                .blocked
                .remove_entry(&node)
                .into_iter()
                .collect::<BTreeMap<_, _>>(),
            None => {
                self.retry_at = None;
                self.rooms.clear();
                std::mem::take(&mut self.blocked)
            }
        };
        for channel in tried.into_values().flatten() {
            self.send_due(&broker, channel);
        }
    }
}
