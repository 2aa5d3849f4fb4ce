//! A layer with troubles, as a test orders them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::ready;
use futures_util::stream::{self, StreamExt};
use parking_lot::Mutex;
use tokio::sync::watch;
use towpath_layer_core::{
    ChannelLayer, ChannelName, ChannelStatistics, Counter, DelayKey, Delivery, GroupError,
    GroupName, History, InboxSink, LayerError, Limits, Mailbox, MemberStream, Message, NameError,
    NodeId, Position, Recalled, Receiver, Reply, SendError, Statistics, Unavailable, channels,
};

/// How long a late answer takes.
const LATE: Duration = Duration::from_millis(2);

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing.
    None,
    /// Nothing reaches the backend.
    Away,
    /// Messages of clients find their channel full.
    Full,
    /// Sends arrive, but their answers do not.
    Unknown,
    /// Sends arrive at once, and are answered late.
    Late,
    /// Sends arrive late.
    Slow,
    /// Messages to groups do not reach the backend; all else does.
    Mute,
    /// No other node seems to hold a lease.
    Alone,
    /// Nodes still announce their members: no message to a group is certain to
    /// have reached all of them.
    Unsettled,
}

/// Calls whose answers may be held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// A membership changes.
    Change,
    /// A group's history is read.
    History,
    /// A group's members are read.
    Members,
}

/// What is held back.
#[derive(Debug, Default)]
struct Held {
    call: Option<Call>,
    /// Calls that wait for their answers.
    waiting: usize,
}

/// One node of a layer, whose own calls have troubles; other nodes have none.
#[derive(Debug)]
pub struct Troubled {
    inner: Arc<dyn ChannelLayer>,
    trouble: Mutex<Trouble>,
    sink: Mutex<Option<Arc<dyn InboxSink>>>,
    held: watch::Sender<Held>,
}

impl Troubled {
    /// A node without troubles yet.
    #[must_use]
    pub fn new(inner: Arc<dyn ChannelLayer>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            trouble: Mutex::new(Trouble::None),
            sink: Mutex::default(),
            held: watch::Sender::default(),
        })
    }

    /// Replaces what goes wrong.
    pub fn set(&self, trouble: Trouble) {
        *self.trouble.lock() = trouble;
    }

    /// Calls of this kind are done, but not answered, until
    /// [`let_go`](Self::let_go).
    pub fn hold(&self, call: Call) {
        self.held.send_modify(|held| held.call = Some(call));
    }

    /// Waits until so many calls wait for their answers.
    pub async fn held(&self, count: usize) {
        let mut held = self.held.subscribe();
        // The sender is there for as long as this is.
        drop(held.wait_for(|held| held.waiting >= count).await);
    }

    /// Answers what was held back.
    pub fn let_go(&self) {
        self.held.send_modify(|held| held.call = None);
    }

    async fn answer(&self, call: Call) {
        let mut changes = self.held.subscribe();
        let waits = self.held.send_if_modified(|held| {
            let waits = held.call == Some(call);
            held.waiting += usize::from(waits);
            waits
        });
        if waits {
            drop(changes.wait_for(|held| held.call != Some(call)).await);
            self.held.send_modify(|held| held.waiting -= 1);
        }
    }

    /// The sink that was attached.
    ///
    /// # Panics
    ///
    /// If none was.
    pub fn sink(&self) -> Arc<dyn InboxSink> {
        Arc::clone(self.sink.lock().as_ref().unwrap())
    }

    fn unavailable(outcome_unknown: bool) -> Unavailable {
        Unavailable {
            backend: "troubled",
            outcome_unknown,
            source: "the test wants it so".into(),
        }
    }

    fn reach(&self) -> Result<(), Unavailable> {
        match *self.trouble.lock() {
            Trouble::Away => Err(Self::unavailable(false)),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl ChannelLayer for Troubled {
    fn backend(&self) -> &'static str {
        "troubled"
    }

    fn spans_processes(&self) -> bool {
        self.inner.spans_processes()
    }

    fn limits(&self) -> &Limits {
        self.inner.limits()
    }

    fn node(&self) -> NodeId {
        self.inner.node()
    }

    fn new_channel(&self, prefix: &str) -> Result<ChannelName, NameError> {
        self.inner.new_channel(prefix)
    }

    async fn send(&self, channel: &ChannelName, message: Message) -> Result<(), SendError> {
        let trouble = *self.trouble.lock();
        match trouble {
            Trouble::Away => Err(Self::unavailable(false).into()),
            Trouble::Full if channel.as_str() == channels::RECEIVE => Err(SendError::ChannelFull {
                channel: channel.clone(),
            }),
            Trouble::Unknown => {
                self.inner.send(channel, message).await?;
                Err(Self::unavailable(true).into())
            }
            Trouble::Late => {
                self.inner.send(channel, message).await?;
                tokio::time::sleep(LATE).await;
                Ok(())
            }
            Trouble::Slow => {
                tokio::time::sleep(LATE).await;
                self.inner.send(channel, message).await
            }
            Trouble::None | Trouble::Full | Trouble::Mute | Trouble::Alone | Trouble::Unsettled => {
                self.inner.send(channel, message).await
            }
        }
    }

    async fn send_many(&self, batch: Vec<(ChannelName, Message)>) -> Vec<Result<(), SendError>> {
        let mut results = Vec::new();
        for (channel, message) in batch {
            results.push(self.send(&channel, message).await);
        }
        results
    }

    async fn send_after(
        &self,
        delay: Duration,
        channel: &ChannelName,
        message: Message,
    ) -> Result<DelayKey, SendError> {
        self.reach()?;
        self.inner.send_after(delay, channel, message).await
    }

    async fn cancel(&self, key: &DelayKey) -> Result<bool, LayerError> {
        self.reach()?;
        self.inner.cancel(key).await
    }

    async fn room(&self, channel: &ChannelName) -> Result<(), LayerError> {
        self.reach()?;
        self.inner.room(channel).await
    }

    fn receiver(&self, channels: Vec<ChannelName>) -> Result<Box<dyn Receiver>, LayerError> {
        self.inner.receiver(channels)
    }

    async fn attach(&self, sink: Arc<dyn InboxSink>) -> Result<(), LayerError> {
        *self.sink.lock() = Some(Arc::clone(&sink));
        self.inner.attach(sink).await
    }

    async fn mailbox(&self) -> Result<Mailbox, LayerError> {
        self.reach()?;
        self.inner.mailbox().await
    }

    async fn group_add(
        &self,
        group: &GroupName,
        channel: &ChannelName,
        meta: Bytes,
    ) -> Result<(), GroupError> {
        self.reach()?;
        let added = self.inner.group_add(group, channel, meta).await;
        self.answer(Call::Change).await;
        added
    }

    async fn group_discard(
        &self,
        group: &GroupName,
        channel: &ChannelName,
    ) -> Result<(), GroupError> {
        self.reach()?;
        let discarded = self.inner.group_discard(group, channel).await;
        self.answer(Call::Change).await;
        discarded
    }

    async fn discard_all(&self, channel: &ChannelName) -> Result<(), GroupError> {
        self.reach()?;
        self.inner.discard_all(channel).await
    }

    async fn group_send(&self, group: &GroupName, reply: Reply) -> Result<Delivery, SendError> {
        self.reach()?;
        let trouble = *self.trouble.lock();
        if trouble == Trouble::Mute {
            return Err(Self::unavailable(false).into());
        }
        let mut delivery = self.inner.group_send(group, reply).await?;
        delivery.certain &= trouble != Trouble::Unsettled;
        Ok(delivery)
    }

    async fn group_send_local(
        &self,
        group: &GroupName,
        reply: Reply,
    ) -> Result<Delivery, SendError> {
        self.reach()?;
        self.inner.group_send_local(group, reply).await
    }

    async fn group_publish(
        &self,
        group: &GroupName,
        reply: Reply,
        history: &History,
    ) -> Result<(Delivery, Position), SendError> {
        let trouble = *self.trouble.lock();
        if trouble == Trouble::Slow {
            tokio::time::sleep(LATE).await;
        }
        self.reach()?;
        let published = self.inner.group_publish(group, reply, history).await?;
        match trouble {
            Trouble::Unknown => return Err(Self::unavailable(true).into()),
            Trouble::Late => tokio::time::sleep(LATE).await,
            Trouble::None
            | Trouble::Away
            | Trouble::Full
            | Trouble::Slow
            | Trouble::Mute
            | Trouble::Alone
            | Trouble::Unsettled => {}
        }
        Ok(published)
    }

    async fn group_history(
        &self,
        group: &GroupName,
        since: Option<Position>,
        max: usize,
    ) -> Result<Recalled, LayerError> {
        self.reach()?;
        let recalled = self.inner.group_history(group, since, max).await;
        self.answer(Call::History).await;
        recalled
    }

    fn group_members<'a>(&'a self, group: &'a GroupName) -> MemberStream<'a> {
        let answered = stream::once(self.answer(Call::Members));
        let end = answered.filter_map(|()| ready(None));
        Box::pin(self.inner.group_members(group).chain(end))
    }

    async fn group_count(&self, group: &GroupName) -> Result<u64, LayerError> {
        self.inner.group_count(group).await
    }

    async fn is_member(
        &self,
        group: &GroupName,
        channel: &ChannelName,
    ) -> Result<bool, LayerError> {
        self.inner.is_member(group, channel).await
    }

    async fn channel_groups(&self, channel: &ChannelName) -> Result<Vec<GroupName>, LayerError> {
        self.inner.channel_groups(channel).await
    }

    async fn groups(&self) -> Result<Vec<GroupName>, LayerError> {
        self.inner.groups().await
    }

    async fn absent(&self, nodes: &[NodeId]) -> Result<Vec<NodeId>, LayerError> {
        self.reach()?;
        if *self.trouble.lock() == Trouble::Alone {
            let others = nodes.iter().filter(|node| **node != self.node());
            return Ok(others.copied().collect());
        }
        self.inner.absent(nodes).await
    }

    fn count(&self, counter: Counter, by: u64) {
        self.inner.count(counter, by);
    }

    async fn statistics(&self) -> Result<Statistics, LayerError> {
        self.inner.statistics().await
    }

    async fn channel_statistics(
        &self,
        channel: &ChannelName,
    ) -> Result<ChannelStatistics, LayerError> {
        self.reach()?;
        self.inner.channel_statistics(channel).await
    }

    async fn flush(&self) -> Result<(), LayerError> {
        self.inner.flush().await
    }

    async fn ping(&self) -> Result<(), LayerError> {
        self.reach()?;
        self.inner.ping().await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}
