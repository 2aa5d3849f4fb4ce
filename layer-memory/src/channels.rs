//! The channels that are in use, by name.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;
use parking_lot::{Mutex, RwLock};
use towpath_layer_core::{
    ChannelKind, ChannelName, ChannelStatistics, Clock, Limits, Message, Statistics,
};

use crate::agenda::Agenda;
use crate::channel::{Channel, Full, Sender};
use crate::delayed::Waiting;
use crate::queue::Counts;
use crate::sharded::Sharded;

/// Shared channels not in use whose counts are kept apart; those of others are
/// kept in the total only.
const RETIRED_MAX: usize = 4096;

/// A part of the map is swept for channels whose messages have all expired
/// when it has grown to this many, or to twice what the last sweep left.
const SWEEP_MIN: usize = 64;

/// The channels with messages or receivers. A name that has neither is
/// forgotten, so their number is bounded by what is in use.
#[derive(Debug)]
pub(crate) struct Channels {
    limits: Limits,
    shards: Sharded<RwLock<Shard>>,
    retired: Mutex<Retired>,
}

#[derive(Debug, Default)]
struct Shard {
    channels: HashMap<ChannelName, Arc<Channel>, RandomState>,
    swept_to: usize,
}

/// What was counted on shared channels that are not in use now.
#[derive(Debug, Default)]
struct Retired {
    channels: HashMap<ChannelName, Counts>,
    others: Counts,
}

impl Retired {
    fn put(&mut self, name: &ChannelName, counts: Counts) {
        if name.kind() != ChannelKind::Shared {
            return;
        }
        if self.channels.len() < RETIRED_MAX {
            self.channels.insert(name.clone(), counts);
        } else {
            self.others.add(counts);
        }
    }
}

impl Channels {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            shards: Sharded::default(),
            retired: Mutex::default(),
        }
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Sends to a channel, which comes into being if it is not in use.
    pub(crate) fn push(
        &self,
        clock: &dyn Clock,
        name: &ChannelName,
        push: impl FnOnce(&mut Sender<'_>),
    ) {
        let now = clock.now();
        let wakes = self.with(clock, name, |channel| {
            let mut sender = channel.sender(now);
            push(&mut sender);
            sender.end()
        });
        wakes.tell();
    }

    /// Lets a message wait on a channel until `delay` from now.
    pub(crate) fn delay(
        &self,
        clock: &dyn Clock,
        agenda: &Agenda,
        name: &ChannelName,
        delay: Duration,
        waiting: Waiting<Message>,
    ) -> Result<(), Full> {
        let (delayed, wakes) = self.with(clock, name, |channel| {
            channel.delay(clock, agenda, delay, waiting)
        });
        wakes.tell();
        delayed
    }

    /// Runs `run` on the channel of that name; nobody can remove it meanwhile.
    fn with<T>(
        &self,
        clock: &dyn Clock,
        name: &ChannelName,
        run: impl FnOnce(&Arc<Channel>) -> T,
    ) -> T {
        let shard = self.shards.of(name.as_str()).read();
        if let Some(channel) = shard.channels.get(name) {
            return run(channel);
        }
        drop(shard);
        self.open(clock, name, run)
    }

    /// Lets in what is due on a channel, as far as there is room.
    pub(crate) fn admit_due(&self, clock: &dyn Clock, name: &ChannelName) {
        if let Some(channel) = self.find(name) {
            channel.admit_due(clock);
        }
    }

    pub(crate) fn find(&self, name: &ChannelName) -> Option<Arc<Channel>> {
        let shard = self.shards.of(name.as_str()).read();
        shard.channels.get(name).map(Arc::clone)
    }

    /// The channel of that name, made a receiver's.
    pub(crate) fn receive_from(&self, clock: &dyn Clock, name: &ChannelName) -> Arc<Channel> {
        self.open(clock, name, |channel| {
            channel.add_receiver();
            Arc::clone(channel)
        })
    }

    /// Ends what [`receive_from`](Self::receive_from) began.
    pub(crate) fn release(&self, clock: &dyn Clock, channel: &Arc<Channel>) {
        let mut shard = self.shards.of(channel.name().as_str()).write();
        channel.remove_receiver();
        if let Some(counts) = channel.if_idle(clock.now()) {
            shard.channels.remove(channel.name());
            self.retired.lock().put(channel.name(), counts);
        }
    }

    /// As [`with`](Self::with), and the channel comes into being if need be.
    fn open<T>(
        &self,
        clock: &dyn Clock,
        name: &ChannelName,
        run: impl FnOnce(&Arc<Channel>) -> T,
    ) -> T {
        let mut shard = self.shards.of(name.as_str()).write();
        if shard.channels.len() >= SWEEP_MIN.max(2 * shard.swept_to) {
            self.sweep(&mut shard, clock.now());
        }
        let channel = shard.channels.entry(name.clone()).or_insert_with(|| {
            let counts = self.retired.lock().channels.remove(name);
            Arc::new(Channel::new(
                name.clone(),
                &self.limits,
                counts.unwrap_or_default(),
            ))
        });
        run(channel)
    }

    fn sweep(&self, shard: &mut Shard, now: Duration) {
        let mut retired = self.retired.lock();
        shard
            .channels
            .retain(|name, channel| match channel.if_idle(now) {
                Some(counts) => {
                    retired.put(name, counts);
                    false
                }
                None => true,
            });
        shard.swept_to = shard.channels.len();
    }

    /// Forgets all messages and counts.
    pub(crate) fn flush(&self, clock: &dyn Clock) {
        for shard in self.shards.iter() {
            let mut shard = shard.write();
            for channel in shard.channels.values() {
                channel.flush();
            }
            self.sweep(&mut shard, clock.now());
        }
        *self.retired.lock() = Retired::default();
    }

    pub(crate) fn statistics_of(&self, clock: &dyn Clock, name: &ChannelName) -> ChannelStatistics {
        if let Some(channel) = self.find(name) {
            return channel.statistics(clock.now());
        }
        let retired = self.retired.lock();
        let counts = retired.channels.get(name).copied();
        counts.unwrap_or_default().statistics()
    }

    /// Fills in what concerns the shared channels.
    pub(crate) fn statistics(&self, clock: &dyn Clock, statistics: &mut Statistics) {
        // All at once, so that no channel is missed on its way into `retired`
        // or out of it.
        let shards: Vec<_> = self.shards.iter().map(RwLock::read).collect();
        let retired = self.retired.lock();
        let shared = |name: &ChannelName| name.kind() == ChannelKind::Shared;
        for (name, channel) in shards.iter().flat_map(|shard| &shard.channels) {
            let seen = channel.statistics(clock.now());
            statistics.delayed += seen.delayed;
            if shared(name) {
                statistics.channels.insert(name.clone(), seen);
            }
        }
        for (name, counts) in &retired.channels {
            let seen = statistics.channels.entry(name.clone());
            seen.or_insert_with(|| counts.statistics());
        }
        let mut total = retired.others.statistics();
        drop(retired);
        drop(shards);
        for one in statistics.channels.values() {
            total.sent += one.sent;
            total.received += one.received;
            total.full += one.full;
            total.expired += one.expired;
            total.pending += one.pending;
            total.delayed += one.delayed;
            total.oldest_age = total.oldest_age.max(one.oldest_age);
        }
        statistics.total = total;
    }
}
