//! What a channel layer does.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::Stream;
use serde::de::DeserializeOwned;

use crate::{
    ChannelName, ChannelStatistics, Content, Counter, DelayKey, GroupError, GroupName, History,
    InboxSink, LayerError, Limits, Mailbox, Message, MessageId, NodeId, Position, Recalled, Reply,
    SendError, Statistics,
};

/// A message as a receiver gets it.
#[derive(Debug, Clone, PartialEq)]
pub struct Received {
    /// The channel that it was sent to.
    pub channel: ChannelName,
    /// Its id.
    pub id: MessageId,
    /// The message.
    pub message: Message,
}

/// What became of a group send, as far as known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivery {
    /// Nodes that have members of the group.
    pub nodes: u32,
    /// Of these, the nodes whose inbox took the message.
    pub delivered: u32,
    /// Of these, the nodes whose inbox refused it or that are gone; counted.
    pub dropped: u32,
    /// Whether every member is known: false for one lease after the backend
    /// came back, while nodes still announce theirs.
    pub certain: bool,
}

/// One member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The member's reply channel.
    pub channel: ChannelName,
    /// The metadata of its membership.
    pub meta: Bytes,
}

impl Member {
    /// The metadata as a value; `None` if there is none of that type.
    #[must_use]
    pub fn meta<T: DeserializeOwned>(&self) -> Option<T> {
        Content::from_encoded(self.meta.clone()).decode().ok()
    }
}

/// The members of a group, one by one, in no order.
pub type MemberStream<'a> = Pin<Box<dyn Stream<Item = Result<Member, LayerError>> + Send + 'a>>;

/// A process's part in a channel layer: it sends, receives, and is a node.
///
/// # Contract
///
/// - **Order.** When the second send on a channel began after the first
///   returned, or both were one batch, and there is one receiver, the first is
///   received first.
/// - **At most once.** A message never reaches two receivers.
/// - **Capacity** holds exactly; the send over it fails and enqueues nothing.
/// - **Expiry** holds at receive: what is older is never delivered and does
///   not count against capacity.
/// - **Groups.** A group send that starts after an add returned, in any
///   process, reaches that member; one that starts after a discard returned
///   does not. It never fails because a member is full.
/// - **History.** The messages published to a group have offsets without holes;
///   whoever adds a member and recalls the history then has, with what the
///   member is sent, all that was published.
/// - **Deadlines.** No call waits without an end, except
///   [`Receiver::receive_many`].
///
/// `towpath-testkit` has a case for each of these and for each **must** of the
/// contract; a backend that passes it is a Towpath backend.
#[async_trait]
pub trait ChannelLayer: fmt::Debug + Send + Sync + 'static {
    /// The backend's name, as in the configuration: `memory`, `redis`.
    fn backend(&self) -> &'static str;

    /// Whether other processes can take part in this layer.
    fn spans_processes(&self) -> bool;

    /// The layer's bounds.
    fn limits(&self) -> &Limits;

    /// This process's identity.
    fn node(&self) -> NodeId;

    /// A name for a single-reader channel that no other call returns.
    ///
    /// # Errors
    ///
    /// [`NameError`](crate::NameError) if `prefix` is not a name or too long.
    fn new_channel(&self, prefix: &str) -> Result<ChannelName, crate::NameError>;

    /// Sends a message to a channel of any kind. A message for a reply channel
    /// goes to its node's inbox; if the node is gone it is dropped and counted.
    ///
    /// # Errors
    ///
    /// [`SendError`]; on `ChannelFull` and `MessageTooLarge` nothing was sent.
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have sent the message or not, never half of it.
    async fn send(&self, channel: &ChannelName, message: Message) -> Result<(), SendError>;

    /// Sends several messages in order; one result for each, in order.
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have sent the first few of them.
    async fn send_many(&self, batch: Vec<(ChannelName, Message)>) -> Vec<Result<(), SendError>>;

    /// Sends a message to a channel of any kind, `delay` from now by the
    /// backend's clock; with no delay, at once. Whoever asked may be gone then.
    ///
    /// Once due it is sent as if it had been sent just then: behind what was
    /// sent before, within the capacity, and with an expiry that counts from
    /// the due time. Of several that are due at the same time the first asked
    /// for is the first sent. While its channel is full it goes on waiting, and
    /// is sent by the receive that makes room, at the latest a second after;
    /// once its expiry has passed it is gone, and counted. A message for a
    /// reply channel that is gone when it is due is dropped and counted.
    ///
    /// # Errors
    ///
    /// [`SendError`]: `DelayTooLong` over [`Limits::delay_max`], `ChannelFull`
    /// if [`Limits::delayed_max`] messages wait for their time on the channel,
    /// `MessageTooLarge` as for a send; then nothing waits.
    ///
    /// # Cancel safety
    ///
    /// A dropped future may leave the message waiting; nobody has its key.
    async fn send_after(
        &self,
        delay: Duration,
        channel: &ChannelName,
        message: Message,
    ) -> Result<DelayKey, SendError>;

    /// Cancels a message that waits for its time. Any process that has its key
    /// can. Says true only if the message was still waiting, for its time or
    /// for room; then it never arrives. If it says false, the message was sent,
    /// has expired or was cancelled before, or there never was one.
    ///
    /// # Errors
    ///
    /// [`LayerError::Unavailable`]; if its outcome is unknown, the message may
    /// have been cancelled.
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have cancelled the message or not.
    async fn cancel(&self, key: &DelayKey) -> Result<bool, LayerError>;

    /// Waits until a full channel may have room: woken by the receive that
    /// makes it, at the latest after one second.
    ///
    /// # Errors
    ///
    /// [`LayerError`] if the backend cannot be asked.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    async fn room(&self, channel: &ChannelName) -> Result<(), LayerError>;

    /// Starts to receive from shared and single-reader channels.
    ///
    /// # Errors
    ///
    /// [`LayerError::Name`] for a reply channel: those come through the inbox.
    fn receiver(&self, channels: Vec<ChannelName>) -> Result<Box<dyn Receiver>, LayerError>;

    /// Takes what arrives for this node from now on; called once.
    ///
    /// # Errors
    ///
    /// [`LayerError::Unavailable`] if the node could not take its lease.
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have attached the sink.
    async fn attach(&self, sink: Arc<dyn InboxSink>) -> Result<(), LayerError>;

    /// Opens a reply channel of this node that the caller reads, whether a sink
    /// is attached or not. What is sent to it, and to groups that it is added to,
    /// comes in order.
    ///
    /// # Errors
    ///
    /// [`LayerError::Unavailable`] if the node could not take its lease.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    async fn mailbox(&self) -> Result<Mailbox, LayerError>;

    /// Makes a reply channel a member of a group; renews it and replaces the
    /// metadata if it is one.
    ///
    /// # Errors
    ///
    /// [`GroupError::Name`] if `channel` is not a reply channel,
    /// [`GroupError::MetaTooLarge`], [`GroupError::Unavailable`].
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have added the member or not.
    async fn group_add(
        &self,
        group: &GroupName,
        channel: &ChannelName,
        meta: Bytes,
    ) -> Result<(), GroupError>;

    /// Ends a membership; fine if there is none.
    ///
    /// # Errors
    ///
    /// As [`group_add`](Self::group_add).
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have ended the membership or not.
    async fn group_discard(
        &self,
        group: &GroupName,
        channel: &ChannelName,
    ) -> Result<(), GroupError>;

    /// Ends all memberships of a reply channel.
    ///
    /// # Errors
    ///
    /// As [`group_add`](Self::group_add).
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have ended some of them.
    async fn discard_all(&self, channel: &ChannelName) -> Result<(), GroupError>;

    /// Sends to every member of a group: one message for each node with members.
    ///
    /// # Errors
    ///
    /// [`SendError`], but never `ChannelFull`: what a node refuses is counted
    /// in [`Delivery::dropped`].
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have reached some nodes.
    async fn group_send(&self, group: &GroupName, reply: Reply) -> Result<Delivery, SendError>;

    /// Sends to those members of a group that are on this node, and to no
    /// other: in the same order as what is sent to all.
    ///
    /// # Errors
    ///
    /// As [`group_send`](Self::group_send).
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have sent the message or not.
    async fn group_send_local(
        &self,
        group: &GroupName,
        reply: Reply,
    ) -> Result<Delivery, SendError>;

    /// Sends to every member of a group, as [`group_send`](Self::group_send)
    /// does, and keeps the message for those who come later or back. It is kept
    /// and gets its offset in one step, before it is sent, and carries its
    /// position.
    ///
    /// What is published in order has offsets in that order. Two that are
    /// published at the same time may reach a node in another order than that
    /// of their offsets, over Redis; in memory they do not.
    ///
    /// # Errors
    ///
    /// As [`group_send`](Self::group_send). If the outcome is unknown, the
    /// message may be kept, and some nodes may have it; it is never repeated.
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have kept the message, and may have reached some
    /// nodes.
    async fn group_publish(
        &self,
        group: &GroupName,
        reply: Reply,
        history: &History,
    ) -> Result<(Delivery, Position), SendError>;

    /// Recalls what was published to a group behind `since`, oldest first: what
    /// is kept of it, `max` messages at most. Where something in between is not
    /// kept, the first is the oldest that is, and
    /// [`complete`](Recalled::complete) is false; so it is for a position of
    /// another epoch, or one that was never given. Without `since` the last
    /// `max` are recalled, and it is true; with a `max` of 0 only the position.
    ///
    /// A group to which nothing was published has an epoch and the offset 0
    /// from its first recall. Epoch and offset live on when no message is kept
    /// any more: for [`Limits::group_expiry`], and twice the time that messages
    /// are kept if that is longer, from the last publish or recall; while
    /// nothing was published for [`History::EMPTY_LIFE`] at most.
    ///
    /// # Errors
    ///
    /// [`LayerError::Unavailable`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    async fn group_history(
        &self,
        group: &GroupName,
        since: Option<Position>,
        max: usize,
    ) -> Result<Recalled, LayerError>;

    /// The members of a group in all nodes.
    fn group_members<'a>(&'a self, group: &'a GroupName) -> MemberStream<'a>;

    /// How many members a group has in all nodes.
    ///
    /// # Errors
    ///
    /// [`LayerError::Unavailable`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    async fn group_count(&self, group: &GroupName) -> Result<u64, LayerError>;

    /// Whether a reply channel is a member of a group.
    ///
    /// # Errors
    ///
    /// [`LayerError::Unavailable`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    async fn is_member(&self, group: &GroupName, channel: &ChannelName)
    -> Result<bool, LayerError>;

    /// The groups of a reply channel, sorted.
    ///
    /// # Errors
    ///
    /// [`LayerError::Unavailable`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    async fn channel_groups(&self, channel: &ChannelName) -> Result<Vec<GroupName>, LayerError>;

    /// The groups that have members, sorted. For operators: it reads them all.
    ///
    /// # Errors
    ///
    /// [`LayerError::Unavailable`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    async fn groups(&self) -> Result<Vec<GroupName>, LayerError>;

    /// Which of `nodes` hold no lease now.
    ///
    /// # Errors
    ///
    /// [`LayerError::Unavailable`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    async fn absent(&self, nodes: &[NodeId]) -> Result<Vec<NodeId>, LayerError>;

    /// Counts something that this node saw; never waits. What a node counted
    /// shows in [`statistics`](Self::statistics) after a second at the latest.
    fn count(&self, counter: Counter, by: u64);

    /// What happened on the layer.
    ///
    /// # Errors
    ///
    /// [`LayerError::Unavailable`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    async fn statistics(&self) -> Result<Statistics, LayerError>;

    /// What happened on one shared channel.
    ///
    /// # Errors
    ///
    /// [`LayerError::Unavailable`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    async fn channel_statistics(
        &self,
        channel: &ChannelName,
    ) -> Result<ChannelStatistics, LayerError>;

    /// Empties the layer for every observer: messages, memberships, counts,
    /// histories, which begin another epoch. Nodes stay, and take their memberships up again only by new adds.
    ///
    /// # Errors
    ///
    /// [`LayerError::Unavailable`].
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have emptied a part.
    async fn flush(&self) -> Result<(), LayerError>;

    /// Whether the backend answers, within a second.
    ///
    /// # Errors
    ///
    /// [`LayerError::Unavailable`] says why not.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    async fn ping(&self) -> Result<(), LayerError>;

    /// Leaves the layer in good order: receivers end, memberships and lease go.
    /// Later calls fail with `Closed`.
    ///
    /// # Cancel safety
    ///
    /// A dropped future leaves the rest to the lease.
    async fn close(&self);
}

/// The receiving end of some shared or single-reader channels.
#[async_trait]
pub trait Receiver: fmt::Debug + Send {
    /// Waits for a message, then moves up to `max` behind `buffer` and returns
    /// how many. None of the channels is starved by another. A backend out of
    /// reach is waited out.
    ///
    /// # Errors
    ///
    /// [`LayerError::Closed`] once the layer is closed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing that a later call could have got.
    async fn receive_many(
        &mut self,
        buffer: &mut Vec<Received>,
        max: usize,
    ) -> Result<usize, LayerError>;

    /// Stops taking, and gives back what was taken and not handed out: at the
    /// head, in the old order, with the old deadlines, over capacity if need be.
    ///
    /// # Errors
    ///
    /// [`LayerError::Unavailable`] if it could not be given back.
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have given back a part.
    async fn close(&mut self) -> Result<(), LayerError>;
}
