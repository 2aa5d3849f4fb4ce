//! Sending now, one message or many.

use std::pin::Pin;
use std::task::{Context, Poll};

use towpath_layer_core::{
    ChannelName, Counter, InboxEntry, LocalId, Message, NodeId, Refused, SendError,
};

use crate::channel::Full;
use crate::layer::MemoryLayer;

/// One message on its way. Written by hand: what an `async fn` is handed it
/// holds twice, and moves once more.
pub(crate) struct SendOne<'a> {
    layer: &'a MemoryLayer,
    channel: &'a ChannelName,
    message: Option<Message>,
}

impl<'a> SendOne<'a> {
    #[inline]
    pub(crate) fn new(layer: &'a MemoryLayer, channel: &'a ChannelName, message: Message) -> Self {
        Self {
            layer,
            channel,
            message: Some(message),
        }
    }
}

impl Future for SendOne<'_> {
    type Output = Result<(), SendError>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        match this.message.take() {
            Some(message) => Poll::Ready(this.layer.send_now(this.channel, message)),
            // It has returned already.
            None => Poll::Pending,
        }
    }
}

impl MemoryLayer {
    pub(crate) fn check(&self, payload: usize, envelope: usize) -> Result<(), SendError> {
        if self.node.is_closed() {
            return Err(SendError::Closed);
        }
        let limits = self.broker.channels.limits();
        let too_large = |size, size_max| SendError::MessageTooLarge { size, size_max };
        if payload > limits.message_size_max {
            return Err(too_large(payload, limits.message_size_max));
        }
        if envelope > limits.envelope_size_max {
            return Err(too_large(envelope, limits.envelope_size_max));
        }
        Ok(())
    }

    fn send_now(&self, channel: &ChannelName, message: Message) -> Result<(), SendError> {
        self.check(message.payload_size(), message.envelope_size())?;
        if let Some((node, local)) = channel.as_reply() {
            return self.reply(channel, node, local, message);
        }
        let mut sent = Ok(());
        let id = self.ids.next();
        let broker = &*self.broker;
        broker.channels.push(&*broker.clock, channel, |sender| {
            sent = sender.push(id, message).map_err(|full| full.of(channel));
        });
        sent
    }

    /// Sends in order; what follows each other on one channel goes there under
    /// one lock.
    pub(crate) fn send_batch(
        &self,
        batch: Vec<(ChannelName, Message)>,
    ) -> Vec<Result<(), SendError>> {
        let mut sent = Vec::with_capacity(batch.len());
        let mut batch = batch.into_iter();
        while let Some((channel, message)) = batch.next() {
            if channel.as_reply().is_some() {
                sent.push(self.send_now(&channel, message));
                continue;
            }
            let rest = batch.as_slice().iter();
            let more = rest.take_while(|(name, _)| *name == channel).count();
            let more = batch.by_ref().take(more).map(|(_, message)| message);
            self.send_run(&channel, message, more, &mut sent);
        }
        sent
    }

    fn send_run(
        &self,
        channel: &ChannelName,
        first: Message,
        more: impl Iterator<Item = Message>,
        sent: &mut Vec<Result<(), SendError>>,
    ) {
        let broker = &*self.broker;
        broker.channels.push(&*broker.clock, channel, |sender| {
            let mut push = |message: Message| {
                self.check(message.payload_size(), message.envelope_size())?;
                let pushed = sender.push(self.ids.next(), message);
                pushed.map_err(|full| full.of(channel))
            };
            sent.push(push(first));
            sent.extend(more.map(push));
        });
    }

    fn reply(
        &self,
        channel: &ChannelName,
        node: NodeId,
        to: LocalId,
        message: Message,
    ) -> Result<(), SendError> {
        // Where sockets and consumers share a process, nearly all is for itself.
        let sink = if node == self.node.id {
            self.node.sink_of(to)
        } else {
            self.broker.node(node).and_then(|node| node.sink_of(to))
        };
        let (Some(sink), Message::Reply(reply)) = (sink, message) else {
            self.broker.count(Counter::Dropped, 1);
            return Ok(());
        };
        let delivered = sink.deliver(InboxEntry::Reply { to, reply });
        delivered.map_err(|_: Refused| Full.of(channel))
    }
}

impl Full {
    fn of(self, channel: &ChannelName) -> SendError {
        let Self = self;
        SendError::ChannelFull {
            channel: channel.clone(),
        }
    }
}
