//! What this node counts, gathered here and told to Redis in batches.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use parking_lot::Mutex;
use redis::{Cmd, Value};
use tokio::sync::Notify;
use towpath_layer_core::{ChannelKind, ChannelName, ChannelStatistics, Counter};

use crate::core::Core;
use crate::failure::Failure;
use crate::scripts::{CHANNEL_ACCOUNT, CHANNEL_STATISTICS};
use crate::{LIST_GRACE, millis, value};

/// How long the counts of a channel outlive its last use, in seconds.
pub(crate) const STATISTICS_TTL_S: u64 = 86_400;

/// What was counted shows after this at the latest.
const FLUSH_INTERVAL: Duration = Duration::from_millis(500);
/// The pause after a flush, in which more gathers.
const FLUSH_PAUSE: Duration = Duration::from_millis(2);
/// Channels that are remembered as sent to; more than these are not listed.
const SENT_MAX: usize = 4_096;
/// Expired messages that one step drops and counts: Redis does nothing else
/// meanwhile.
const EXPIRED_STEP_MAX: usize = 512;
/// Bytes of these; one message more may go with them.
const EXPIRED_STEP_BYTES: usize = 1 << 20;
/// Steps of one look at a channel.
const EXPIRED_STEPS_MAX: usize = 1_024;
/// Channels asked about in one pipeline.
pub(crate) const CHANNELS_MAX: usize = 128;

/// Counts that Redis has yet to be told of.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    book: Mutex<Book>,
    due: Notify,
    /// Held while telling: who has it knows that nothing is on its way.
    telling: tokio::sync::Mutex<()>,
    /// When each channel was last sent to from here, by our clock.
    last_sent: Mutex<HashMap<ChannelName, Duration>>,
}

#[derive(Debug, Default)]
struct Book {
    channels: HashMap<ChannelName, Deltas>,
    sent: HashSet<ChannelName>,
    dropped: u64,
    stale: u64,
    lost: u64,
}

/// What changed on one channel.
#[derive(Debug, Default, Clone, Copy)]
struct Deltas {
    received: u64,
    expired: u64,
    freed: u64,
}

impl Book {
    fn is_empty(&self) -> bool {
        self.channels.is_empty()
            && self.sent.is_empty()
            && self.dropped + self.stale + self.lost == 0
    }

    fn add(&mut self, other: Self) {
        for (channel, deltas) in other.channels {
            let known = self.channels.entry(channel).or_default();
            known.received += deltas.received;
            known.expired += deltas.expired;
            known.freed += deltas.freed;
        }
        self.sent.extend(other.sent);
        self.dropped += other.dropped;
        self.stale += other.stale;
        self.lost += other.lost;
    }
}

/// What a script is told about the counts of a channel: their time to live in
/// seconds, or 0 if it has none. Channels with one reader come and go.
pub(crate) fn statistics_ttl_s(channel: &ChannelName) -> u64 {
    match channel.kind() {
        ChannelKind::Shared => STATISTICS_TTL_S,
        ChannelKind::SingleReader | ChannelKind::Reply { .. } => 0,
    }
}

impl Accounts {
    pub(crate) fn count(&self, counter: Counter, by: u64) {
        let mut book = self.book.lock();
        match counter {
            Counter::Dropped => book.dropped += by,
            Counter::Stale => book.stale += by,
            Counter::Lost => book.lost += by,
        }
    }

    pub(crate) fn sent(&self, channel: &ChannelName) {
        let mut book = self.book.lock();
        if book.sent.len() < SENT_MAX && !book.sent.contains(channel) {
            book.sent.insert(channel.clone());
        }
    }

    /// Messages left a channel for a receiver's buffer.
    pub(crate) fn freed(&self, channel: &ChannelName, by: u64) {
        self.change(channel, |deltas| deltas.freed += by);
    }

    /// Messages were handed out, or had expired when they should have been.
    pub(crate) fn received(&self, channel: &ChannelName, received: u64, expired: u64) {
        self.change(channel, |deltas| {
            deltas.received += received;
            deltas.expired += expired;
        });
    }

    /// Tells what has gathered soon rather than at the next turn: somebody waits
    /// for the room that it makes.
    pub(crate) fn hurry(&self) {
        self.due.notify_one();
    }

    fn change(&self, channel: &ChannelName, change: impl FnOnce(&mut Deltas)) {
        let mut book = self.book.lock();
        match book.channels.get_mut(channel) {
            Some(deltas) => change(deltas),
            None => change(book.channels.entry(channel.clone()).or_default()),
        }
    }
}

impl Core {
    /// Tells Redis what was counted, for as long as this node lives.
    pub(crate) async fn keep_accounts(&self) {
        loop {
            let _due_or_not =
                tokio::time::timeout(FLUSH_INTERVAL, self.accounts.due.notified()).await;
            if let Err(error) = self.settle_accounts().await {
                tracing::debug!(%error, "counts could not be told");
                tokio::time::sleep(FLUSH_INTERVAL).await;
            }
            tokio::time::sleep(FLUSH_PAUSE).await;
        }
    }

    /// Tells Redis all that was counted until now.
    pub(crate) async fn settle_accounts(&self) -> Result<(), Failure> {
        let _telling = self.accounts.telling.lock().await;
        let book = std::mem::take(&mut *self.accounts.book.lock());
        if book.is_empty() {
            return Ok(());
        }
        let told = self.link.run(self.account_commands(&book)).await;
        let now = self.clock.now();
        let mut last_sent = self.accounts.last_sent.lock();
        for channel in &book.sent {
            if last_sent.len() < SENT_MAX || last_sent.contains_key(channel) {
                last_sent.insert(channel.clone(), now);
            }
        }
        drop(last_sent);
        match told {
            // Counts that were lost on the way are not told twice.
            Err(error) if !error.outcome_unknown => {
                self.accounts.book.lock().add(book);
                Err(error)
            }
            told => told.map(drop),
        }
    }

    fn account_commands(&self, book: &Book) -> Vec<Cmd> {
        let mut commands = Vec::with_capacity(book.channels.len() + 2);
        for (channel, deltas) in &book.channels {
            let keys = self.keys.channel(channel);
            let mut command = CHANNEL_ACCOUNT.call([
                &*keys.list,
                &keys.statistics,
                &keys.delayed,
                &keys.waiting,
                &keys.room,
            ]);
            command
                .arg(statistics_ttl_s(channel))
                .arg(deltas.received)
                .arg(deltas.expired)
                .arg(deltas.freed)
                .arg(&keys.topic)
                .arg(self.limits.capacity_of(channel))
                .arg(millis(self.limits.expiry_of(channel)))
                .arg(millis(LIST_GRACE));
            commands.push(command);
        }
        let seconds = self.link.time.latest_ms(self.clock.now()) / 1_000;
        let mut listed = redis::cmd("ZADD");
        listed.arg(self.keys.channels());
        let mut any = false;
        for channel in &book.sent {
            if channel.kind() == ChannelKind::Shared {
                listed.arg(seconds).arg(channel.as_str());
                any = true;
            }
        }
        if any {
            commands.push(listed);
        }
        for (field, by) in [
            ("dropped", book.dropped),
            ("stale", book.stale),
            ("lost", book.lost),
        ] {
            if by > 0 {
                let mut command = redis::cmd("HINCRBY");
                command.arg(self.keys.totals()).arg(field).arg(by);
                commands.push(command);
            }
        }
        commands
    }

    /// Counts what has expired on channels that nobody looks at any more, and
    /// forgets channels that are out of use.
    pub(crate) async fn settle_abandoned(&self) -> Result<(), Failure> {
        let now = self.clock.now();
        let abandoned: Vec<_> = {
            let mut last_sent = self.accounts.last_sent.lock();
            let over = |(channel, at): (&ChannelName, &Duration)| {
                let expiry = self.limits.expiry_of(channel);
                (now.saturating_sub(*at) > expiry).then(|| channel.clone())
            };
            let over: Vec<_> = last_sent.iter().filter_map(over).collect();
            for channel in &over {
                last_sent.remove(channel);
            }
            over
        };
        for channels in abandoned.chunks(CHANNELS_MAX) {
            self.ask_statistics(channels).await?;
        }
        let seconds = self.link.time.latest_ms(now) / 1_000;
        let mut forget = redis::cmd("ZREMRANGEBYSCORE");
        forget
            .arg(self.keys.channels())
            .arg("-inf")
            .arg(seconds.saturating_sub(STATISTICS_TTL_S));
        self.link.run_one(forget).await.map(drop)
    }

    /// What happened on some channels, once what has expired is counted.
    pub(crate) async fn ask_statistics(
        &self,
        channels: &[ChannelName],
    ) -> Result<Vec<ChannelStatistics>, Failure> {
        let questions = channels
            .iter()
            .map(|channel| self.statistics_command(channel));
        let answers = self.link.run(questions).await?;
        let mut statistics = Vec::with_capacity(channels.len());
        for (channel, answer) in channels.iter().zip(answers) {
            let (mut one, mut all) = channel_statistics(answer?)?;
            for _ in 0..EXPIRED_STEPS_MAX {
                if all {
                    break;
                }
                let answer = self.link.run_one(self.statistics_command(channel));
                (one, all) = channel_statistics(answer.await?)?;
            }
            statistics.push(one);
        }
        Ok(statistics)
    }

    fn statistics_command(&self, channel: &ChannelName) -> Cmd {
        let keys = self.keys.channel(channel);
        let mut command =
            CHANNEL_STATISTICS.call([&*keys.list, &keys.statistics, &keys.delayed, &keys.waiting]);
        command
            .arg(millis(self.limits.expiry_of(channel)))
            .arg(statistics_ttl_s(channel))
            .arg(EXPIRED_STEP_MAX)
            .arg(EXPIRED_STEP_BYTES)
            .arg(self.limits.capacity_of(channel))
            .arg(millis(LIST_GRACE));
        command
    }
}

/// What the script says, and whether that is all.
fn channel_statistics(answer: Value) -> Result<(ChannelStatistics, bool), Failure> {
    let [sent, received, full, expired, pending, age_ms, delayed, all] = value::array(answer)?;
    let statistics = ChannelStatistics {
        sent: value::count(&sent)?,
        received: value::count(&received)?,
        full: value::count(&full)?,
        expired: value::count(&expired)?,
        pending: value::count(&pending)?,
        delayed: value::count(&delayed)?,
        oldest_age: u64::try_from(value::int(&age_ms)?)
            .ok()
            .map(Duration::from_millis),
    };
    Ok((statistics, value::int(&all)? == 1))
}
