//! Sending later, and cancelling.
//!
//! What waits lies beside its target: a channel, or the inbox of a node. A
//! registry has, for all processes, the targets for which something waits and
//! when it is due; whichever process looks first sends it. The registry may
//! know of a target too early or without need, but never too late: it is told
//! before the message is put down, for the case that we end between the two,
//! and after, for the case that somebody has looked between the two.

mod keeper;
mod targets;

use std::time::Duration;

use redis::{Cmd, Value};
use towpath_layer_core::{
    ChannelName, Counter, DelayKey, InboxEntry, LocalId, Message, NodeId, Reply, SendError, encode,
};

use crate::accounts::statistics_ttl_s;
use crate::channels::written;
use crate::core::Core;
use crate::failure::Failure;
use crate::letter::Letter;
use crate::parcels::Target;
use crate::scripts::{
    CHANNEL_ADMIT, CHANNEL_DELAY, DELAY_CANCEL, DELAY_REGISTER, INBOX_DELAY, INBOX_DELIVER, Script,
};
use crate::{LIST_GRACE, millis, value};

/// How long the registry outlives what stands in it.
const REGISTRY_GRACE: Duration = Duration::from_hours(24);

/// How long to wait, in milliseconds of a clock that has no smaller unit, so
/// that nothing comes too early.
fn delay_ms(delay: Duration) -> u64 {
    if delay.is_zero() {
        return 0;
    }
    let whole = millis(delay);
    let rest = u64::from(!delay.subsec_nanos().is_multiple_of(1_000_000));
    whole + rest + 1
}

impl Core {
    pub(crate) async fn send_after(
        &self,
        delay: Duration,
        channel: &ChannelName,
        message: Message,
    ) -> Result<DelayKey, SendError> {
        self.check_size(message.payload_size(), message.envelope_size())?;
        let delay_max = self.limits.delay_max;
        if delay > delay_max {
            return Err(SendError::DelayTooLong { delay, delay_max });
        }
        let size = message.payload_size() + message.envelope_size();
        let key = DelayKey::new(channel, &*self.entropy);
        let (target, put) = match (channel.as_reply(), message) {
            (None, message) => {
                let put = self.delay_command(delay, &key, &message)?;
                (Target::Channel(channel.clone()), put)
            }
            (Some((node, to)), Message::Reply(reply)) => {
                let put = self.delay_reply_command(delay, &key, (node, to), reply)?;
                (Target::Inbox(node), put)
            }
            // A connection understands nothing else.
            (Some(_), _) => {
                self.accounts.count(Counter::Dropped, 1);
                return Ok(key);
            }
        };
        let put = async {
            self.link.session()?;
            let _held = self.outgoing.hold(size).await?;
            self.put_delayed(delay, &target, put).await
        };
        match self.in_time(put).await {
            Ok(true) => Ok(key),
            Ok(false) => Err(SendError::ChannelFull {
                channel: channel.clone(),
            }),
            Err(_) if self.is_closed() => Err(SendError::Closed),
            Err(failure) => Err(failure.into()),
        }
    }

    /// Puts a message down where it waits. Says whether it may.
    async fn put_delayed(
        &self,
        delay: Duration,
        target: &Target,
        put: Cmd,
    ) -> Result<bool, Failure> {
        let register = self.register_command(delay, target);
        let answers = self.link.run([register.clone(), put, register]).await?;
        let [_, put, registered] =
            <[_; 3]>::try_from(answers).map_err(|_| Failure::unexpected())?;
        let put = value::int(&put?)?;
        // It may be there, and nobody may know of it.
        registered.map_err(|_| Failure::unexpected())?;
        if put < 0 {
            return Ok(false);
        }
        match target {
            Target::Channel(channel) => self.accounts.sent(channel),
            Target::Inbox(_) => self
                .accounts
                .count(Counter::Dropped, u64::try_from(put).unwrap_or(0)),
        }
        Ok(true)
    }

    fn register_command(&self, delay: Duration, target: &Target) -> Cmd {
        let keys = self.keys.delays();
        let mut command = DELAY_REGISTER.call([&*keys.registry, &keys.claims]);
        command
            .arg(target.to_string())
            .arg(delay_ms(delay))
            .arg(millis(REGISTRY_GRACE))
            .arg(keys.topic);
        command
    }

    fn delay_command(
        &self,
        delay: Duration,
        key: &DelayKey,
        message: &Message,
    ) -> Result<Cmd, SendError> {
        let channel = key.channel();
        let keys = self.keys.channel(channel);
        let mut command =
            CHANNEL_DELAY.call([&*keys.list, &keys.statistics, &keys.delayed, &keys.waiting]);
        command
            .arg(self.limits.capacity_of(channel))
            .arg(millis(self.limits.expiry_of(channel)))
            .arg(millis(LIST_GRACE))
            .arg(statistics_ttl_s(channel))
            .arg(self.limits.delayed_max)
            .arg(delay_ms(delay))
            .arg(&key.id().to_be_bytes())
            .arg(&*written(encode(self.ids.next(), message))?);
        Ok(command)
    }

    fn delay_reply_command(
        &self,
        delay: Duration,
        key: &DelayKey,
        (node, to): (NodeId, LocalId),
        reply: Reply,
    ) -> Result<Cmd, SendError> {
        let letter = Letter::Entry(InboxEntry::Reply { to, reply });
        let mut command = self.inbox_command_of(&INBOX_DELAY, node);
        command
            .arg(self.limits.delayed_max)
            .arg(delay_ms(delay))
            .arg(millis(self.limits.expiry_of(key.channel())))
            .arg(millis(LIST_GRACE))
            .arg(&key.id().to_be_bytes())
            .arg(to.to_string())
            .arg(&*written(letter.write(&self.ids))?);
        Ok(command)
    }

    /// Cancels a message. Says whether it was still waiting.
    pub(crate) async fn cancel(&self, key: &DelayKey) -> Result<bool, Failure> {
        let mut command = match key.channel().as_reply() {
            None => {
                let keys = self.keys.channel(key.channel());
                DELAY_CANCEL.call([&*keys.delayed, &keys.waiting])
            }
            Some((node, _)) => {
                let keys = self.keys.node(node);
                DELAY_CANCEL.call([&*keys.delayed, &keys.waiting, &keys.delayed_of])
            }
        };
        command.arg(&key.id().to_be_bytes());
        let cancelled = self.in_time(self.link.run_one(command)).await?;
        Ok(value::int(&cancelled)? == 1)
    }

    /// Has what is due on a channel, or in an inbox, sent.
    fn send_due_command(&self, target: &Target) -> Cmd {
        let channel = match target {
            Target::Channel(channel) => channel,
            Target::Inbox(node) => return self.inbox_command_of(&INBOX_DELIVER, *node),
        };
        let keys = self.keys.channel(channel);
        let mut command =
            CHANNEL_ADMIT.call([&*keys.list, &keys.statistics, &keys.delayed, &keys.waiting]);
        command
            .arg(self.limits.capacity_of(channel))
            .arg(millis(self.limits.expiry_of(channel)))
            .arg(millis(LIST_GRACE))
            .arg(statistics_ttl_s(channel));
        command
    }

    fn inbox_command_of(&self, script: &Script, node: NodeId) -> Cmd {
        let keys = self.keys.node(node);
        let mut command = script.call([
            &*keys.lease,
            &keys.inbox,
            &keys.bytes,
            &keys.delayed,
            &keys.waiting,
            &keys.delayed_of,
        ]);
        // A node without a lease may be on its way back.
        let holds = self.link.was_away(self.limits.lease);
        command
            .arg(self.limits.inbox_entries_max)
            .arg(self.limits.inbox_bytes_max)
            .arg(millis(self.inbox_ttl()))
            .arg(u8::from(holds));
        command
    }

    /// Counts what became of what was due on a target. Returns when to look
    /// again, in milliseconds of the server's time, or -1.
    fn settle_due(&self, target: &Target, answer: Value) -> Result<i64, Failure> {
        let [count, next] = value::array(answer)?;
        let count = value::count(&count)?;
        match target {
            Target::Channel(channel) if count > 0 => self.accounts.sent(channel),
            Target::Channel(_) => {}
            Target::Inbox(_) => self.accounts.count(Counter::Dropped, count),
        }
        value::int(&next)
    }

    /// Delivers what is due to this node's own inbox.
    pub(crate) async fn deliver_due(&self) -> Result<(), Failure> {
        let target = Target::Inbox(self.node);
        let answer = self.link.run_one(self.send_due_command(&target)).await?;
        self.settle_due(&target, answer).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_is_never_cut_short() {
        assert_eq!(delay_ms(Duration::ZERO), 0);
        assert_eq!(delay_ms(Duration::from_nanos(1)), 2);
        assert_eq!(delay_ms(Duration::from_millis(5)), 6);
        assert_eq!(delay_ms(Duration::from_micros(5_001)), 7);
    }
}
