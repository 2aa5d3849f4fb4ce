//! Sending later, and cancelling.

use std::time::Duration;

use towpath_layer_core::{ChannelName, Counter, DelayKey, Message, Reply, SendError};

use crate::broker::Broker;
use crate::channel::Full;
use crate::delayed::Waiting;
use crate::layer::MemoryLayer;

impl MemoryLayer {
    pub(crate) fn send_later(
        &self,
        delay: Duration,
        channel: &ChannelName,
        message: Message,
    ) -> Result<DelayKey, SendError> {
        self.check(message.payload_size(), message.envelope_size())?;
        let delay_max = self.broker.channels.limits().delay_max;
        if delay > delay_max {
            return Err(SendError::DelayTooLong { delay, delay_max });
        }
        let key = DelayKey::new(channel, &*self.broker.entropy);
        let is_waiting = match (channel.as_reply(), message) {
            (None, message) => self.delay(delay, &key, message),
            (Some(_), Message::Reply(reply)) => self.delay_reply(delay, &key, reply),
            // A connection understands nothing else.
            (Some(_), _) => {
                self.broker.count(Counter::Dropped, 1);
                true
            }
        };
        if !is_waiting {
            let channel = channel.clone();
            return Err(SendError::ChannelFull { channel });
        }
        self.broker.drive();
        Ok(key)
    }

    fn delay(&self, delay: Duration, key: &DelayKey, message: Message) -> bool {
        let broker = &*self.broker;
        let waiting = Waiting {
            key: key.id(),
            id: self.ids.next(),
            body: message,
        };
        let (clock, channel) = (&*broker.clock, key.channel());
        let delayed = broker
            .channels
            .delay(clock, &broker.agenda, channel, delay, waiting);
        delayed.map_err(|_: Full| ()).is_ok()
    }

    fn delay_reply(&self, delay: Duration, key: &DelayKey, reply: Reply) -> bool {
        let broker = &*self.broker;
        let waiting = Waiting {
            key: key.id(),
            id: self.ids.next(),
            body: reply,
        };
        let limits = broker.channels.limits();
        let (late, channel) = (&broker.late_replies, key.channel());
        let due = broker.clock.now().saturating_add(delay);
        let is_waiting = late.put(&broker.agenda, limits, due, channel, waiting);
        if delay.is_zero() {
            broker.deliver_due(channel);
        }
        is_waiting
    }
}

impl Broker {
    /// Cancels a message. Says whether it was still waiting.
    pub(crate) fn cancel(&self, key: &DelayKey) -> bool {
        let channel = key.channel();
        let turn = if channel.as_reply().is_some() {
            self.late_replies.cancel(channel, key.id())
        } else {
            let channel = self.channels.find(channel);
            channel.and_then(|channel| channel.cancel(&*self.clock, key.id()))
        };
        if let Some(turn) = turn {
            self.agenda.cancel(turn);
        }
        turn.is_some()
    }
}
