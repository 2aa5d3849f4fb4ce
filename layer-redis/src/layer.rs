//! A node's part in a layer over Redis.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use towpath_layer_core::{
    ChannelLayer, ChannelName, ChannelStatistics, Clock, Counter, DelayKey, Delivery, Entropy,
    GroupError, GroupName, History, InboxSink, LayerError, Limits, Mailbox, MemberStream, Message,
    MessageIds, NameError, NodeId, Position, Recalled, Receiver, Reply, SendError, Statistics,
    Switchboard,
};

use crate::accounts::Accounts;
use crate::core::Core;
use crate::failure::{BACKEND, Failure};
use crate::keys::Keys;
use crate::known_nodes::KnownNodes;
use crate::lease::Tenancy;
use crate::link::{Link, News};
use crate::options::RedisOptions;
use crate::outgoing::Outgoing;
use crate::receiver::RedisReceiver;
use crate::rooms::Rooms;

/// The longest that the orderly end of a node takes.
const CLOSE_MAX: Duration = Duration::from_secs(10);

/// A [`ChannelLayer`] between processes, over Redis 7.0 or newer.
///
/// One value is one node. It keeps its connection for ever: while Redis is out
/// of reach, calls fail at once with `Unavailable`, and when it is back, maybe
/// empty, the node takes its lease and announces its members again.
///
/// Dropping it without [`close`](ChannelLayer::close) is the death of its
/// process: its memberships end when others notice.
pub struct RedisLayer {
    core: Arc<Core>,
    pumping: AtomicBool,
}

impl RedisLayer {
    /// Connects a new node. Its tasks run on the runtime that calls this; the
    /// layer itself can be used from any.
    ///
    /// # Errors
    ///
    /// [`LayerError::Name`] if the prefix is not a name,
    /// [`LayerError::Unavailable`] if the URL is not understood or Redis does
    /// not answer within the call timeout.
    ///
    /// # Cancel safety
    ///
    /// A dropped future leaves nothing but a lease that ends by itself.
    pub async fn connect(
        options: RedisOptions,
        limits: Limits,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Arc<Self>, LayerError> {
        // The rule for prefixes is that for names of groups.
        GroupName::new(&options.prefix)?;
        let layer = Arc::new(Self {
            core: Arc::new(core(options, limits, clock, entropy)?),
            pumping: AtomicBool::new(false),
        });
        let core = &layer.core;
        let supervised = Arc::clone(core);
        core.spawn(async move { supervised.link.supervise(&supervised.gone).await });
        let mut changes = core.link.changes();
        let connected =
            tokio::time::timeout(core.options.call_timeout, changes.wait_for(Option::is_some));
        let _or_the_reason_is_known = connected.await.map(|session| session.map(|_| ()));
        core.in_time(core.hold_lease()).await?;
        let tasks = Arc::clone(core);
        core.spawn(async move { tasks.write_outgoing().await });
        let tasks = Arc::clone(core);
        core.spawn(async move { tasks.keep_lease().await });
        let tasks = Arc::clone(core);
        core.spawn(async move { tasks.keep_accounts().await });
        let tasks = Arc::clone(core);
        core.spawn(async move { tasks.upkeep().await });
        let tasks = Arc::clone(core);
        core.spawn(async move { tasks.keep_delays().await });
        Ok(layer)
    }
}

fn core(
    options: RedisOptions,
    limits: Limits,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
) -> Result<Core, Failure> {
    let node = NodeId::random(&*entropy);
    let keys = Keys::new(&options.prefix);
    let rooms = Arc::new(Rooms::default());
    let known_nodes = Arc::new(KnownNodes::default());
    let link = Link::new(
        &options,
        Arc::clone(&clock),
        Arc::clone(&entropy),
        News {
            rooms: Arc::clone(&rooms),
            known_nodes: Arc::clone(&known_nodes),
        },
    )?;
    Ok(Core {
        pool: link.dialer().pool(options.administration_connections)?,
        ids: MessageIds::new(&*entropy),
        own: keys.node(node),
        options,
        limits,
        clock,
        entropy,
        node,
        keys,
        link,
        rooms,
        known_nodes,
        accounts: Accounts::default(),
        outgoing: Outgoing::new(),
        tenancy: Tenancy::default(),
        switchboard: Switchboard::new(node),
        registered: Mutex::new(HashSet::new()),
        closed: AtomicBool::new(false),
        leaving: CancellationToken::new(),
        gone: CancellationToken::new(),
        runtime: Handle::current(),
        receivers: TaskTracker::new(),
        tasks: TaskTracker::new(),
    })
}

impl RedisLayer {
    /// Ends this node as if its process had died, while others still hold it:
    /// it gives nothing back, and its lease runs out.
    pub fn abandon(&self) {
        self.core.closed.store(true, Ordering::Release);
        self.core.end();
    }

    /// Holds the lease without which nothing comes.
    async fn take_part(&self) -> Result<(), LayerError> {
        self.core.open()?;
        Ok(self.core.in_time(self.core.hold_lease()).await?)
    }

    /// Empties the inbox from now on.
    fn pump(&self) {
        if !self.pumping.swap(true, Ordering::AcqRel) {
            let core = Arc::clone(&self.core);
            self.core.spawn(async move { core.pump().await });
        }
    }

    /// Leaves in good order, as far as Redis lets it.
    async fn leave(&self) {
        let core = &self.core;
        core.leaving.cancel();
        core.receivers.close();
        core.receivers.wait().await;
        let ending = async {
            core.settle_accounts().await?;
            let _held = core.tenancy.held().await;
            core.bury(core.node).await
        };
        if let Err(error) = ending.await {
            tracing::warn!(%error, "this node's memberships end with its lease");
        }
    }
}

#[async_trait]
impl ChannelLayer for RedisLayer {
    fn backend(&self) -> &'static str {
        BACKEND
    }

    fn spans_processes(&self) -> bool {
        true
    }

    fn limits(&self) -> &Limits {
        &self.core.limits
    }

    fn node(&self) -> NodeId {
        self.core.node
    }

    fn new_channel(&self, prefix: &str) -> Result<ChannelName, NameError> {
        ChannelName::single_reader(prefix, &*self.core.entropy)
    }

    async fn send(&self, channel: &ChannelName, message: Message) -> Result<(), SendError> {
        self.core.send(channel, message).await
    }

    async fn send_many(&self, batch: Vec<(ChannelName, Message)>) -> Vec<Result<(), SendError>> {
        self.core.send_many(batch).await
    }

    async fn send_after(
        &self,
        delay: Duration,
        channel: &ChannelName,
        message: Message,
    ) -> Result<DelayKey, SendError> {
        self.core.send_after(delay, channel, message).await
    }

    async fn cancel(&self, key: &DelayKey) -> Result<bool, LayerError> {
        self.core.open()?;
        Ok(self.core.cancel(key).await?)
    }

    async fn room(&self, channel: &ChannelName) -> Result<(), LayerError> {
        self.core.open()?;
        Ok(self.core.room(channel).await?)
    }

    fn receiver(&self, channels: Vec<ChannelName>) -> Result<Box<dyn Receiver>, LayerError> {
        self.core.open()?;
        if let Some(reply) = channels.iter().find(|name| name.as_reply().is_some()) {
            let rule = "what is sent to a reply channel comes through its node's inbox";
            return Err(NameError::misplaced(reply, rule).into());
        }
        Ok(Box::new(RedisReceiver::start(&self.core, channels)))
    }

    async fn attach(&self, sink: Arc<dyn InboxSink>) -> Result<(), LayerError> {
        self.take_part().await?;
        self.core.switchboard.attach(sink);
        self.pump();
        Ok(())
    }

    async fn mailbox(&self) -> Result<Mailbox, LayerError> {
        self.take_part().await?;
        let mailbox = self.core.switchboard.open();
        self.pump();
        Ok(mailbox)
    }

    async fn group_add(
        &self,
        group: &GroupName,
        channel: &ChannelName,
        meta: Bytes,
    ) -> Result<(), GroupError> {
        self.core.group_add(group, channel, meta).await
    }

    async fn group_discard(
        &self,
        group: &GroupName,
        channel: &ChannelName,
    ) -> Result<(), GroupError> {
        self.core.group_discard(group, channel).await
    }

    async fn discard_all(&self, channel: &ChannelName) -> Result<(), GroupError> {
        self.core.discard_all(channel).await
    }

    async fn group_send(&self, group: &GroupName, reply: Reply) -> Result<Delivery, SendError> {
        self.core.group_send(group, reply).await
    }

    async fn group_send_local(
        &self,
        group: &GroupName,
        reply: Reply,
    ) -> Result<Delivery, SendError> {
        self.core.group_send_local(group, reply).await
    }

    async fn group_publish(
        &self,
        group: &GroupName,
        reply: Reply,
        history: &History,
    ) -> Result<(Delivery, Position), SendError> {
        self.core.group_publish(group, reply, history).await
    }

    async fn group_history(
        &self,
        group: &GroupName,
        since: Option<Position>,
        max: usize,
    ) -> Result<Recalled, LayerError> {
        self.core.group_history(group, since, max).await
    }

    fn group_members<'a>(&'a self, group: &'a GroupName) -> MemberStream<'a> {
        self.core.group_members(group)
    }

    async fn group_count(&self, group: &GroupName) -> Result<u64, LayerError> {
        self.core.open()?;
        Ok(self.core.group_count(group).await?)
    }

    async fn is_member(
        &self,
        group: &GroupName,
        channel: &ChannelName,
    ) -> Result<bool, LayerError> {
        self.core.is_member(group, channel).await
    }

    async fn channel_groups(&self, channel: &ChannelName) -> Result<Vec<GroupName>, LayerError> {
        self.core.channel_groups(channel).await
    }

    async fn groups(&self) -> Result<Vec<GroupName>, LayerError> {
        self.core.open()?;
        Ok(self.core.groups().await?)
    }

    async fn absent(&self, nodes: &[NodeId]) -> Result<Vec<NodeId>, LayerError> {
        self.core.open()?;
        Ok(self.core.surely_absent(nodes).await?)
    }

    fn count(&self, counter: Counter, by: u64) {
        self.core.accounts.count(counter, by);
    }

    async fn statistics(&self) -> Result<Statistics, LayerError> {
        self.core.open()?;
        Ok(self.core.statistics().await?)
    }

    async fn channel_statistics(
        &self,
        channel: &ChannelName,
    ) -> Result<ChannelStatistics, LayerError> {
        self.core.open()?;
        Ok(self.core.channel_statistics(channel).await?)
    }

    async fn flush(&self) -> Result<(), LayerError> {
        self.core.open()?;
        Ok(self.core.flush().await?)
    }

    async fn ping(&self) -> Result<(), LayerError> {
        self.core.open()?;
        Ok(self.core.ping().await?)
    }

    async fn close(&self) {
        if self.core.closed.swap(true, Ordering::AcqRel) {
            return;
        }
        if tokio::time::timeout(CLOSE_MAX, self.leave()).await.is_err() {
            tracing::warn!("this node could not leave in good order in time");
        }
        self.core.end();
        self.core.tasks.close();
        self.core.tasks.wait().await;
    }
}

impl Drop for RedisLayer {
    fn drop(&mut self) {
        self.core.end();
    }
}

impl fmt::Debug for RedisLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisLayer")
            .field("node", &self.core.node)
            .finish_non_exhaustive()
    }
}
