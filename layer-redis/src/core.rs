//! What the parts of one node share.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use deadpool_redis::Pool;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use towpath_layer_core::{
    Clock, Entropy, GroupName, InboxSink, LayerError, Limits, MessageIds, NodeId, Switchboard,
};

use crate::accounts::Accounts;
use crate::failure::Failure;
use crate::keys::{Keys, NodeKeys};
use crate::known_nodes::KnownNodes;
use crate::lease::Tenancy;
use crate::link::Link;
use crate::options::RedisOptions;
use crate::outgoing::Outgoing;
use crate::rooms::Rooms;

/// One node. Its parts are methods on it, each beside its own subject.
pub(crate) struct Core {
    pub(crate) options: RedisOptions,
    pub(crate) limits: Limits,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) ids: MessageIds,
    pub(crate) node: NodeId,
    pub(crate) keys: Keys,
    /// The keys of this node.
    pub(crate) own: NodeKeys,
    pub(crate) link: Link,
    pub(crate) pool: Pool,
    pub(crate) rooms: Arc<Rooms>,
    pub(crate) known_nodes: Arc<KnownNodes>,
    pub(crate) accounts: Accounts,
    pub(crate) outgoing: Outgoing,
    pub(crate) tenancy: Tenancy,
    /// Who takes what comes for this node.
    pub(crate) switchboard: Arc<Switchboard>,
    /// The groups in whose registry this node stands, as far as it knows.
    pub(crate) registered: Mutex<HashSet<GroupName>>,
    pub(crate) closed: AtomicBool,
    /// Receivers give back what they hold, and end.
    pub(crate) leaving: CancellationToken,
    /// Everything ends, at once.
    pub(crate) gone: CancellationToken,
    /// Where all tasks run, whoever causes them.
    pub(crate) runtime: Handle,
    pub(crate) receivers: TaskTracker,
    pub(crate) tasks: TaskTracker,
}

impl Core {
    /// Runs a task until it ends or the node does.
    pub(crate) fn spawn(self: &Arc<Self>, task: impl Future<Output = ()> + Send + 'static) {
        let gone = self.gone.clone();
        let task = async move {
            tokio::select! {
                () = task => {}
                () = gone.cancelled() => {}
            }
        };
        self.tasks.spawn_on(task, &self.runtime);
    }

    /// Who takes what comes for this node, once somebody does.
    pub(crate) fn sink(&self) -> Option<Arc<dyn InboxSink>> {
        let attended = self.switchboard.is_attended();
        attended.then(|| Arc::clone(&self.switchboard) as _)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(std::sync::atomic::Ordering::Acquire)
    }

    pub(crate) fn open(&self) -> Result<(), LayerError> {
        if self.is_closed() {
            return Err(LayerError::Closed);
        }
        Ok(())
    }

    /// Ends every task and connection of the node, at once.
    pub(crate) fn end(&self) {
        self.gone.cancel();
        self.switchboard.close();
        self.link.end();
        self.pool.close();
    }

    /// A number for a registry entry that none had before.
    pub(crate) fn token(&self) -> String {
        format!("{:016x}", self.entropy.next_u64())
    }

    /// Bounds a call of several steps.
    pub(crate) async fn in_time<T>(
        &self,
        call: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        tokio::time::timeout(self.options.call_timeout, call)
            .await
            .unwrap_or_else(|_| Err(Failure::timed_out()))
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core")
            .field("node", &self.node)
            .field("link", &self.link)
            .finish_non_exhaustive()
    }
}
