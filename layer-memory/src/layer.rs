//! A node's part in a layer in memory.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream;
use towpath_layer_core::metrics::GROUP_DROPPED;
use towpath_layer_core::{
    ChannelLayer, ChannelName, ChannelStatistics, Clock, Counter, DelayKey, Delivery, Entropy,
    GroupError, GroupName, History, InboxSink, LayerError, Limits, LocalId, Mailbox, Member,
    MemberStream, Message, MessageIds, NameError, NodeId, Position, Recalled, Receiver, Reply,
    SendError, Statistics,
};

use crate::broker::Broker;
use crate::groups::Sent;
use crate::node::Node;
use crate::receiver::MemoryReceiver;
use crate::send::SendOne;

/// The longest wait for room, whoever makes it.
const ROOM_WAIT_MAX: Duration = Duration::from_secs(1);

/// A [`ChannelLayer`] inside one process.
///
/// One value is one node. Dropping the last reference without
/// [`close`](ChannelLayer::close) is the death of its process: its memberships
/// and its receivers end at once, and what it had not received stays for others.
pub struct MemoryLayer {
    pub(crate) broker: Arc<Broker>,
    pub(crate) node: Arc<Node>,
    pub(crate) ids: MessageIds,
}

impl MemoryLayer {
    /// A new, empty layer with one node.
    #[must_use]
    pub fn new(limits: Limits, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Arc<Self> {
        Self::on(Arc::new(Broker::new(limits, clock, entropy)))
    }

    fn on(broker: Arc<Broker>) -> Arc<Self> {
        Arc::new(Self {
            node: broker.join(),
            ids: MessageIds::new(&*broker.entropy),
            broker,
        })
    }

    /// Another node on the same layer.
    #[must_use]
    pub fn another_node(&self) -> Arc<Self> {
        Self::on(Arc::clone(&self.broker))
    }

    /// Ends this node as if its process had died, while others still hold it.
    pub fn abandon(&self) {
        drop(self.broker.leave(&self.node));
    }

    fn open(&self) -> Result<&Broker, LayerError> {
        if self.node.is_closed() {
            return Err(LayerError::Closed);
        }
        Ok(&self.broker)
    }

    /// The broker, for a question about groups: ghosts are gone.
    fn swept(&self) -> Result<&Broker, LayerError> {
        let broker = self.open()?;
        broker.groups.sweep_if_due(broker.clock.now());
        Ok(broker)
    }

    /// The broker, for a message to a group.
    fn sends(&self, reply: &Reply) -> Result<&Broker, SendError> {
        self.check(reply.payload_size(), reply.envelope_size())?;
        let broker = &*self.broker;
        broker.groups.sweep_if_due(broker.clock.now());
        Ok(broker)
    }

    /// Counts what was dropped.
    fn delivery(&self, sent: Sent) -> Delivery {
        if sent.dropped > 0 {
            self.broker.count(Counter::Dropped, sent.dropped.into());
            metrics::counter!(GROUP_DROPPED).increment(sent.dropped.into());
        }
        Delivery {
            nodes: sent.delivered + sent.dropped,
            delivered: sent.delivered,
            dropped: sent.dropped,
            certain: true,
        }
    }

    fn member(channel: &ChannelName) -> Result<(NodeId, LocalId), NameError> {
        channel
            .as_reply()
            .ok_or_else(|| NameError::misplaced(channel, "a member of a group is a reply channel"))
    }

    /// The broker, and the member's node if it is alive.
    fn change(
        &self,
        channel: &ChannelName,
    ) -> Result<(&Broker, Option<Arc<Node>>, LocalId), GroupError> {
        let (node, local) = Self::member(channel)?;
        if self.node.is_closed() {
            return Err(GroupError::Closed);
        }
        Ok((&self.broker, self.broker.node(node), local))
    }
}

#[async_trait]
impl ChannelLayer for MemoryLayer {
    fn backend(&self) -> &'static str {
        "memory"
    }

    fn spans_processes(&self) -> bool {
        false
    }

    fn limits(&self) -> &Limits {
        self.broker.channels.limits()
    }

    fn node(&self) -> NodeId {
        self.node.id
    }

    fn new_channel(&self, prefix: &str) -> Result<ChannelName, NameError> {
        ChannelName::single_reader(prefix, &*self.broker.entropy)
    }

    fn send<'a, 'b, 'f>(
        &'a self,
        channel: &'b ChannelName,
        message: Message,
    ) -> BoxFuture<'f, Result<(), SendError>>
    where
        'a: 'f,
        'b: 'f,
        Self: 'f,
    {
        Box::pin(SendOne::new(self, channel, message))
    }

    async fn send_many(&self, batch: Vec<(ChannelName, Message)>) -> Vec<Result<(), SendError>> {
        self.send_batch(batch)
    }

    async fn send_after(
        &self,
        delay: Duration,
        channel: &ChannelName,
        message: Message,
    ) -> Result<DelayKey, SendError> {
        self.send_later(delay, channel, message)
    }

    async fn cancel(&self, key: &DelayKey) -> Result<bool, LayerError> {
        self.open()?;
        Ok(self.broker.cancel(key))
    }

    async fn room(&self, channel: &ChannelName) -> Result<(), LayerError> {
        let broker = self.open()?;
        let room = async {
            if let Some((node, local)) = channel.as_reply() {
                let node = broker.node(node);
                if let Some(sink) = node.and_then(|node| node.sink_of(local)) {
                    sink.room().await;
                }
            } else if let Some(channel) = broker.channels.find(channel) {
                channel.room(&*broker.clock).await;
            }
        };
        // Nobody receives what expires: then the end of the wait is the signal.
        let _room_or_not = tokio::time::timeout(ROOM_WAIT_MAX, room).await;
        Ok(())
    }

    fn receiver(&self, channels: Vec<ChannelName>) -> Result<Box<dyn Receiver>, LayerError> {
        self.open()?;
        self.broker.drive();
        if let Some(reply) = channels.iter().find(|name| name.as_reply().is_some()) {
            let rule = "what is sent to a reply channel comes through its node's inbox";
            return Err(NameError::misplaced(reply, rule).into());
        }
        let (broker, node) = (Arc::clone(&self.broker), Arc::clone(&self.node));
        Ok(Box::new(MemoryReceiver::new(broker, node, channels)))
    }

    async fn attach(&self, sink: Arc<dyn InboxSink>) -> Result<(), LayerError> {
        if self.node.attach(sink) {
            self.broker.drive();
            Ok(())
        } else {
            Err(LayerError::Closed)
        }
    }

    async fn mailbox(&self) -> Result<Mailbox, LayerError> {
        let mailbox = self.node.mailbox().ok_or(LayerError::Closed)?;
        self.broker.drive();
        Ok(mailbox)
    }

    async fn group_add(
        &self,
        group: &GroupName,
        channel: &ChannelName,
        meta: Bytes,
    ) -> Result<(), GroupError> {
        let (broker, node, local) = self.change(channel)?;
        let (size, size_max) = (meta.len(), self.limits().group_meta_size_max);
        if size > size_max {
            return Err(GroupError::MetaTooLarge { size, size_max });
        }
        if let Some(node) = node {
            broker.groups.add(&node, group, local, meta);
        }
        Ok(())
    }

    async fn group_discard(
        &self,
        group: &GroupName,
        channel: &ChannelName,
    ) -> Result<(), GroupError> {
        let (broker, node, local) = self.change(channel)?;
        if let Some(node) = node {
            broker.groups.discard(&node, group, local);
        }
        Ok(())
    }

    async fn discard_all(&self, channel: &ChannelName) -> Result<(), GroupError> {
        let (broker, node, local) = self.change(channel)?;
        if let Some(node) = node {
            broker.groups.discard_all(&node, local);
        }
        Ok(())
    }

    async fn group_send(&self, group: &GroupName, reply: Reply) -> Result<Delivery, SendError> {
        let sent = self.sends(&reply)?.groups.send(group, &reply);
        Ok(self.delivery(sent))
    }

    async fn group_send_local(
        &self,
        group: &GroupName,
        reply: Reply,
    ) -> Result<Delivery, SendError> {
        let groups = &self.sends(&reply)?.groups;
        let sent = groups.send_local(self.node.id, group, &reply);
        Ok(self.delivery(sent))
    }

    async fn group_publish(
        &self,
        group: &GroupName,
        reply: Reply,
        history: &History,
    ) -> Result<(Delivery, Position), SendError> {
        let broker = self.sends(&reply)?;
        let now = broker.clock.now();
        let published = broker
            .groups
            .publish(group, reply, history, now, &*broker.entropy);
        let (sent, position) = published;
        Ok((self.delivery(sent), position))
    }

    async fn group_history(
        &self,
        group: &GroupName,
        since: Option<Position>,
        max: usize,
    ) -> Result<Recalled, LayerError> {
        let broker = self.swept()?;
        let (now, entropy) = (broker.clock.now(), &*broker.entropy);
        Ok(broker.groups.recall(group, since, max, now, entropy))
    }

    fn group_members<'a>(&'a self, group: &'a GroupName) -> MemberStream<'a> {
        match self.swept() {
            Ok(broker) => {
                let members = broker.groups.members(group).into_iter();
                Box::pin(stream::iter(members.map(|(node, local, meta)| {
                    let channel = ChannelName::reply(node, local);
                    Ok(Member { channel, meta })
                })))
            }
            Err(error) => Box::pin(stream::iter([Err(error)])),
        }
    }

    async fn group_count(&self, group: &GroupName) -> Result<u64, LayerError> {
        Ok(self.swept()?.groups.count(group))
    }

    async fn is_member(
        &self,
        group: &GroupName,
        channel: &ChannelName,
    ) -> Result<bool, LayerError> {
        let (node, local) = Self::member(channel)?;
        Ok(self.swept()?.groups.is_member(group, node, local))
    }

    async fn channel_groups(&self, channel: &ChannelName) -> Result<Vec<GroupName>, LayerError> {
        let (node, local) = Self::member(channel)?;
        Ok(self.swept()?.groups.groups_of(node, local))
    }

    async fn groups(&self) -> Result<Vec<GroupName>, LayerError> {
        Ok(self.swept()?.groups.names())
    }

    async fn absent(&self, nodes: &[NodeId]) -> Result<Vec<NodeId>, LayerError> {
        let broker = self.open()?;
        let absent = nodes.iter().filter(|node| broker.node(**node).is_none());
        Ok(absent.copied().collect())
    }

    fn count(&self, counter: Counter, by: u64) {
        self.broker.count(counter, by);
    }

    async fn statistics(&self) -> Result<Statistics, LayerError> {
        Ok(self.open()?.statistics())
    }

    async fn channel_statistics(
        &self,
        channel: &ChannelName,
    ) -> Result<ChannelStatistics, LayerError> {
        let broker = self.open()?;
        let mut statistics = broker.channels.statistics_of(&*broker.clock, channel);
        statistics.delayed += broker.late_replies.waiting_for(channel) as u64;
        Ok(statistics)
    }

    async fn flush(&self) -> Result<(), LayerError> {
        self.open()?.flush();
        Ok(())
    }

    async fn ping(&self) -> Result<(), LayerError> {
        self.open().map(|_| ())
    }

    async fn close(&self) {
        if let Some(driver) = self.broker.leave(&self.node) {
            driver.end().await;
        }
    }
}

impl Drop for MemoryLayer {
    fn drop(&mut self) {
        drop(self.broker.leave(&self.node));
    }
}

impl fmt::Debug for MemoryLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryLayer")
            .field("node", &self.node.id)
            .finish_non_exhaustive()
    }
}
