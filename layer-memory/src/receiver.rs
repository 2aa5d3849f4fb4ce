//! The receiving end of some channels.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use towpath_layer_core::{ChannelName, LayerError, Received, Receiver};

use crate::broker::Broker;
use crate::channel::Channel;
use crate::node::Node;
use crate::wakes::Seat;

/// Takes from some channels. It holds nothing: a message leaves its queue in
/// the same step in which it is handed out.
pub(crate) struct MemoryReceiver {
    broker: Arc<Broker>,
    node: Arc<Node>,
    /// The channels, each under a name that no other thread counts.
    channels: Vec<(ChannelName, Arc<Channel>)>,
    seat: Arc<Seat>,
    seat_number: u64,
    /// The channel that is looked at first; moves on with every call.
    start: usize,
    /// Whether the seat may stand in the queues of those who wait.
    waits: bool,
    closed: bool,
}

impl MemoryReceiver {
    pub(crate) fn new(broker: Arc<Broker>, node: Arc<Node>, mut names: Vec<ChannelName>) -> Self {
        names.sort();
        names.dedup();
        let channels = names
            .iter()
            .map(|name| {
                let channel = broker.channels.receive_from(&*broker.clock, name);
                (name.unshared(), channel)
            })
            .collect();
        let (seat_number, seat) = node.seat();
        Self {
            broker,
            node,
            channels,
            seat,
            seat_number,
            start: 0,
            waits: false,
            closed: false,
        }
    }

    fn poll(
        &mut self,
        context: &Context<'_>,
        buffer: &mut Vec<Received>,
        max: usize,
    ) -> Poll<Result<usize, LayerError>> {
        if self.closed || self.node.is_closed() {
            return Poll::Ready(Err(LayerError::Closed));
        }
        if max == 0 {
            return Poll::Ready(Ok(0));
        }
        let now = self.broker.clock.now();
        let (later, first) = self.channels.split_at(self.start.min(self.channels.len()));
        // A single channel is locked at once: to look first is to fetch the same
        // cache line twice.
        let is_one = self.channels.len() == 1;
        let mut taken = 0;
        for (name, channel) in first.iter().chain(later) {
            if !is_one && channel.is_seen_empty() {
                continue;
            }
            taken += channel.take(name, now, buffer, max - taken, None);
            if taken == max {
                break;
            }
        }
        if taken == 0 {
            // Before looking again, so that a close or a message after the look
            // wakes us.
            self.seat.waker.register(context.waker());
            self.waits = true;
            if self.node.is_closed() {
                return Poll::Ready(Err(LayerError::Closed));
            }
            for (name, channel) in first.iter().chain(later) {
                if channel.wait(&self.seat) {
                    continue;
                }
                taken = channel.take(name, now, buffer, max, Some(&self.seat));
                if taken > 0 {
                    break;
                }
            }
        }
        if taken == 0 {
            return Poll::Pending;
        }
        self.start = (self.start + 1) % self.channels.len().max(1);
        Poll::Ready(Ok(taken))
    }

    /// Stands up from every queue and wakes who is next there.
    fn leave(&mut self) {
        if std::mem::take(&mut self.waits) {
            for (_, channel) in &self.channels {
                channel.leave(&self.seat);
            }
        }
    }

    fn release(&mut self) {
        self.closed = true;
        self.leave();
        for (_, channel) in self.channels.drain(..) {
            self.broker.channels.release(&*self.broker.clock, &channel);
        }
    }
}

/// One call of `receive_many`; dropped early, it lets the next receiver have
/// what it was woken for.
struct Receive<'a> {
    receiver: &'a mut MemoryReceiver,
    buffer: &'a mut Vec<Received>,
    max: usize,
}

impl Future for Receive<'_> {
    type Output = Result<usize, LayerError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        this.receiver.poll(context, this.buffer, this.max)
    }
}

impl Drop for Receive<'_> {
    fn drop(&mut self) {
        self.receiver.leave();
    }
}

#[async_trait]
impl Receiver for MemoryReceiver {
    async fn receive_many(
        &mut self,
        buffer: &mut Vec<Received>,
        max: usize,
    ) -> Result<usize, LayerError> {
        let receive = Receive {
            receiver: self,
            buffer,
            max,
        };
        receive.await
    }

    async fn close(&mut self) -> Result<(), LayerError> {
        self.release();
        Ok(())
    }
}

impl Drop for MemoryReceiver {
    fn drop(&mut self) {
        self.release();
        self.node.unseat(self.seat_number);
    }
}

impl fmt::Debug for MemoryReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.channels.iter().map(|(name, _)| name).collect();
        f.debug_struct("MemoryReceiver")
            .field("node", &self.node.id)
            .field("channels", &names)
            .finish_non_exhaustive()
    }
}
