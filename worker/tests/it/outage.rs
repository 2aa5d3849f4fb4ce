//! A layer whose backend goes out of reach and comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use towpath_layer_core::{
    ChannelLayer, ChannelName, ChannelStatistics, Counter, DelayKey, Delivery, GroupError,
    GroupName, InboxSink, LayerError, Limits, MemberStream, Message, NameError, NodeId, Receiver,
    Reply, SendError, Statistics, Unavailable,
};
use towpath_layer_memory::MemoryLayer;

/// Sends nothing while its backend is away; all else goes through.
#[derive(Debug)]
pub(crate) struct Outage {
    inner: Arc<MemoryLayer>,
    away: AtomicBool,
}

impl Outage {
    pub(crate) fn new(inner: Arc<MemoryLayer>) -> Arc<Self> {
        let away = AtomicBool::new(false);
        Arc::new(Self { inner, away })
    }

    pub(crate) fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::Relaxed);
    }

    fn check(&self) -> Result<(), Unavailable> {
        if !self.away.load(Ordering::Relaxed) {
            return Ok(());
        }
        Err(Unavailable {
            backend: "memory",
            outcome_unknown: false,
            source: "the test took it away".into(),
        })
    }
}

#[async_trait]
impl ChannelLayer for Outage {
    fn backend(&self) -> &'static str {
        self.inner.backend()
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
        self.check()?;
        self.inner.send(channel, message).await
    }

    async fn send_many(&self, batch: Vec<(ChannelName, Message)>) -> Vec<Result<(), SendError>> {
        if self.check().is_err() {
            return batch.iter().map(|_| Ok(self.check()?)).collect();
        }
        self.inner.send_many(batch).await
    }

    async fn send_after(
        &self,
        delay: Duration,
        channel: &ChannelName,
        message: Message,
    ) -> Result<DelayKey, SendError> {
        self.check()?;
        self.inner.send_after(delay, channel, message).await
    }

    async fn cancel(&self, key: &DelayKey) -> Result<bool, LayerError> {
        self.check()?;
        self.inner.cancel(key).await
    }

    async fn room(&self, channel: &ChannelName) -> Result<(), LayerError> {
        self.inner.room(channel).await
    }

    fn receiver(&self, channels: Vec<ChannelName>) -> Result<Box<dyn Receiver>, LayerError> {
        self.inner.receiver(channels)
    }

    async fn attach(&self, sink: Arc<dyn InboxSink>) -> Result<(), LayerError> {
        self.inner.attach(sink).await
    }

    async fn group_add(
        &self,
        group: &GroupName,
        channel: &ChannelName,
        meta: Bytes,
    ) -> Result<(), GroupError> {
        self.check()?;
        self.inner.group_add(group, channel, meta).await
    }

    async fn group_discard(
        &self,
        group: &GroupName,
        channel: &ChannelName,
    ) -> Result<(), GroupError> {
        self.inner.group_discard(group, channel).await
    }

    async fn discard_all(&self, channel: &ChannelName) -> Result<(), GroupError> {
        self.inner.discard_all(channel).await
    }

    async fn group_send(&self, group: &GroupName, reply: Reply) -> Result<Delivery, SendError> {
        self.inner.group_send(group, reply).await
    }

    fn group_members<'a>(&'a self, group: &'a GroupName) -> MemberStream<'a> {
        self.inner.group_members(group)
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
        self.inner.channel_statistics(channel).await
    }

    async fn flush(&self) -> Result<(), LayerError> {
        self.inner.flush().await
    }

    async fn ping(&self) -> Result<(), LayerError> {
        self.inner.ping().await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}
