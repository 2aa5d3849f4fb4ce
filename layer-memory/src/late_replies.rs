//! Replies that wait for their time, and for room in the inbox they are for.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use towpath_layer_core::{ChannelName, Counter, InboxEntry, Limits, Refused, Reply};

use crate::agenda::Agenda;
use crate::broker::Broker;
use crate::delayed::{Delayed, Turn, Waiting};

/// The waiting replies of all reply channels. A channel without any is
/// forgotten.
#[derive(Debug, Default)]
pub(crate) struct LateReplies {
    channels: Mutex<HashMap<ChannelName, Delayed<Reply>>>,
}

impl LateReplies {
    /// Lets a reply wait; `false` if as many as may wait do.
    pub(crate) fn put(
        &self,
        agenda: &Agenda,
        limits: &Limits,
        due: Duration,
        channel: &ChannelName,
        waiting: Waiting<Reply>,
    ) -> bool {
        let mut channels = self.channels.lock();
        let delayed = channels.entry(channel.clone()).or_default();
        if delayed.len() >= usize::try_from(limits.delayed_max).unwrap_or(usize::MAX) {
            return false;
        }
        delayed.put(agenda.book(due, channel), waiting);
        true
    }

    pub(crate) fn cancel(&self, channel: &ChannelName, key: u128) -> Option<Turn> {
        let mut channels = self.channels.lock();
        let delayed = channels.get_mut(channel)?;
        let turn = delayed.cancel(key);
        if delayed.is_empty() {
            channels.remove(channel);
        }
        turn
    }

    pub(crate) fn waiting_for(&self, channel: &ChannelName) -> usize {
        self.channels.lock().get(channel).map_or(0, Delayed::len)
    }

    pub(crate) fn waiting(&self) -> usize {
        self.channels.lock().values().map(Delayed::len).sum()
    }

    pub(crate) fn channels(&self) -> Vec<ChannelName> {
        self.channels.lock().keys().cloned().collect()
    }

    pub(crate) fn clear(&self) {
        self.channels.lock().clear();
    }
}

impl Broker {
    /// Delivers the replies of a channel that are due, in order. Says whether
    /// there was room for all of them.
    pub(crate) fn deliver_due(&self, channel: &ChannelName) -> bool {
        let Some((node, to)) = channel.as_reply() else {
            return true;
        };
        // Held while delivering: who cancels is told the truth.
        let mut channels = self.late_replies.channels.lock();
        let Some(delayed) = channels.get_mut(channel) else {
            return true;
        };
        let now = self.clock.now();
        let limits = self.channels.limits();
        while let Some((turn, waiting)) = delayed.pop_due(now) {
            let Waiting { key, id, body } = waiting;
            let Some(sink) = self.node(node).and_then(|node| node.sink_of(to)) else {
                self.drop_one();
                continue;
            };
            let Err(Refused(entry)) = sink.deliver(InboxEntry::Reply { to, reply: body }) else {
                continue;
            };
            let expired = now.saturating_sub(turn.0) >= limits.expiry_of(channel);
            match *entry {
                InboxEntry::Reply { reply, .. } if !expired => {
                    delayed.put(
                        turn,
                        Waiting {
                            key,
                            id,
                            body: reply,
                        },
                    );
                    return false;
                }
                _ => self.drop_one(),
            }
        }
        if delayed.is_empty() {
            channels.remove(channel);
        }
        true
    }

    fn drop_one(&self) {
        self.count(Counter::Dropped, 1);
    }
}
