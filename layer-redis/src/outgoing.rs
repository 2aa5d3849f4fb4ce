//! Sending: what many callers send at the same time goes out together.
//!
//! One task writes. While it waits for an answer, what is to be sent next
//! gathers; then all of it leaves in one pipeline, one script for each channel
//! or inbox. At low load a batch holds one message and leaves at once.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use redis::{Cmd, Value};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use towpath_layer_core::{ChannelName, GroupName, NodeId};

use crate::accounts::statistics_ttl_s;
use crate::core::Core;
use crate::failure::Failure;
use crate::scripts::{CHANNEL_SEND, INBOX_PUSH};
use crate::{LIST_GRACE, millis, value};

/// Calls whose messages wait to be written; then callers wait.
const CALLS_MAX: usize = 4_096;
/// Bytes that wait to be written or are on their way; then callers wait.
const BYTES_MAX: usize = 64 << 20;
/// What a message counts besides its bytes.
const OVERHEAD: usize = 256;
/// Calls whose messages are gathered in one go.
const GATHER_MAX: usize = 1_024;
/// Messages in one pipeline.
const BATCH_MAX: usize = 1_024;
/// Bytes in one pipeline; one message more may go with them.
const BATCH_BYTES: usize = 1 << 20;

/// The keys of an inbox itself; those of groups stand behind them.
const INBOX_KEYS: usize = 4;

/// Where a message goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Target {
    Channel(ChannelName),
    Inbox(NodeId),
}

/// How an inbox treats an entry when it is full.
#[derive(Debug, Clone)]
pub(crate) enum Class {
    /// It is refused; so is every message for a channel.
    Bounded,
    /// It is for the members of a group; it is refused, and the node learns
    /// that it misses something.
    Group(GroupName),
    /// It is taken.
    Unbounded,
}

/// What became of a message that Redis has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Taken,
    Full,
    /// The node has no lease.
    Gone,
    /// Nobody there wants it: the node has no members of the group.
    Empty,
}

/// One message on its way.
#[derive(Debug)]
pub(crate) struct Parcel {
    pub(crate) target: Target,
    pub(crate) class: Class,
    pub(crate) entry: Bytes,
}

#[derive(Debug)]
struct Job {
    parcel: Parcel,
    answer: oneshot::Sender<Result<Verdict, Failure>>,
    /// Keeps the bytes of its call counted.
    _held: Arc<OwnedSemaphorePermit>,
}

type Answer = oneshot::Receiver<Result<Verdict, Failure>>;

/// The way to the writing task; the messages of one call go together.
#[derive(Debug)]
pub(crate) struct Outgoing {
    calls: mpsc::Sender<Vec<Job>>,
    queue: Mutex<Option<mpsc::Receiver<Vec<Job>>>>,
    bytes: Arc<Semaphore>,
}

impl Outgoing {
    pub(crate) fn new() -> Self {
        let (calls, queue) = mpsc::channel(CALLS_MAX);
        Self {
            calls,
            queue: Mutex::new(Some(queue)),
            bytes: Arc::new(Semaphore::new(BYTES_MAX)),
        }
    }

    /// Waits until so many bytes may be on their way, and counts them while held.
    pub(crate) async fn hold(&self, size: usize) -> Result<OwnedSemaphorePermit, Failure> {
        let size = u32::try_from(size.min(BYTES_MAX)).unwrap_or(u32::MAX);
        let held = Arc::clone(&self.bytes).acquire_many_owned(size).await;
        held.map_err(|_| Failure::ended())
    }

    async fn submit(&self, parcels: Vec<Parcel>) -> Result<Vec<Answer>, Failure> {
        let sizes = parcels.iter().map(|parcel| parcel.entry.len() + OVERHEAD);
        let held = Arc::new(self.hold(sizes.sum()).await?);
        let mut answers = Vec::with_capacity(parcels.len());
        let jobs = parcels.into_iter().map(|parcel| {
            let (answer, receiver) = oneshot::channel();
            answers.push(receiver);
            Job {
                parcel,
                answer,
                _held: Arc::clone(&held),
            }
        });
        let sent = self.calls.send(jobs.collect()).await;
        sent.map_err(|_| Failure::ended())?;
        Ok(answers)
    }
}

impl Core {
    /// Sends messages, in order where they have the same target. One verdict
    /// for each, in order.
    pub(crate) async fn dispatch(&self, parcels: Vec<Parcel>) -> Vec<Result<Verdict, Failure>> {
        let count = parcels.len();
        let mut verdicts = Vec::with_capacity(count);
        if let Err(failure) = self.link.session() {
            verdicts.resize(count, Err(failure));
            return verdicts;
        }
        let sending = async {
            match self.outgoing.submit(parcels).await {
                Ok(answers) => {
                    for answer in answers {
                        verdicts.push(answer.await.unwrap_or_else(|_| Err(Failure::ended())));
                    }
                }
                Err(failure) => verdicts.resize(count, Err(failure)),
            }
        };
        let _in_time = tokio::time::timeout(self.options.call_timeout, sending).await;
        verdicts.resize(count, Err(Failure::timed_out()));
        verdicts
    }

    /// Sends one message.
    pub(crate) async fn dispatch_one(&self, parcel: Parcel) -> Result<Verdict, Failure> {
        let verdicts = self.dispatch(vec![parcel]).await;
        verdicts
            .into_iter()
            .next()
            .ok_or_else(Failure::unexpected)?
    }

    /// Writes what is to be sent, for as long as this node lives.
    pub(crate) async fn write_outgoing(&self) {
        let Some(mut queue) = self.outgoing.queue.lock().take() else {
            return;
        };
        let mut calls = Vec::with_capacity(GATHER_MAX);
        while queue.recv_many(&mut calls, GATHER_MAX).await > 0 {
            let mut jobs: Vec<_> = calls.drain(..).flatten().collect();
            while !jobs.is_empty() {
                let batch = next_batch(&mut jobs);
                self.write(batch).await;
            }
        }
    }

    async fn write(&self, jobs: Vec<Job>) {
        let batches = by_target(jobs);
        let commands = batches
            .iter()
            .map(|(target, jobs)| self.command(target, jobs));
        match self.link.run(commands).await {
            Ok(answers) => {
                for ((target, jobs), answer) in batches.into_iter().zip(answers) {
                    self.settle(&target, jobs, answer);
                }
            }
            Err(failure) => {
                for job in batches.into_iter().flat_map(|(_, jobs)| jobs) {
                    tell(job, Err(failure.clone()));
                }
            }
        }
    }

    fn command(&self, target: &Target, jobs: &[Job]) -> Cmd {
        match target {
            Target::Channel(channel) => {
                let expiry = self.limits.expiry_of(channel);
                let keys = self.keys.channel(channel);
                let mut command = CHANNEL_SEND.call([
                    &*keys.list,
                    &keys.statistics,
                    &keys.delayed,
                    &keys.waiting,
                ]);
                command
                    .arg(self.limits.capacity_of(channel))
                    .arg(millis(expiry))
                    .arg(millis(expiry + LIST_GRACE))
                    .arg(statistics_ttl_s(channel));
                for job in jobs {
                    command.arg(&*job.parcel.entry);
                }
                command
            }
            Target::Inbox(node) => self.inbox_command(*node, jobs),
        }
    }

    fn inbox_command(&self, node: NodeId, jobs: &[Job]) -> Cmd {
        let node = self.keys.node(node);
        let mut groups: Vec<&GroupName> = Vec::new();
        let mut classes = Vec::with_capacity(jobs.len());
        for job in jobs {
            classes.push(match &job.parcel.class {
                Class::Bounded => "b".to_owned(),
                Class::Unbounded => "u".to_owned(),
                Class::Group(group) => {
                    let place = groups.iter().position(|known| *known == group);
                    let place = place.unwrap_or_else(|| {
                        groups.push(group);
                        groups.len() - 1
                    });
                    (INBOX_KEYS + place + 1).to_string()
                }
            });
        }
        let members: Vec<_> = groups.iter().map(|group| node.members(group)).collect();
        let keys: [&str; INBOX_KEYS] = [&node.lease, &node.inbox, &node.bytes, &node.gap];
        let mut command =
            INBOX_PUSH.call(keys.into_iter().chain(members.iter().map(String::as_str)));
        command
            .arg(self.limits.inbox_entries_max)
            .arg(self.limits.inbox_bytes_max)
            .arg(millis(self.inbox_ttl()));
        for (job, class) in jobs.iter().zip(classes) {
            command.arg(class).arg(&*job.parcel.entry);
        }
        command
    }

    fn settle(&self, target: &Target, jobs: Vec<Job>, answer: Result<Value, Failure>) {
        let verdicts = match target {
            Target::Channel(channel) => answer.and_then(|answer| {
                let taken = usize::try_from(value::int(&answer)?).unwrap_or(0);
                if taken > 0 {
                    self.accounts.sent(channel);
                }
                let mut verdicts = vec![Verdict::Taken; taken.min(jobs.len())];
                verdicts.resize(jobs.len(), Verdict::Full);
                Ok(verdicts)
            }),
            Target::Inbox(_) => answer.and_then(inbox_verdicts),
        };
        match verdicts {
            Ok(verdicts) if verdicts.len() == jobs.len() => {
                for (job, verdict) in jobs.into_iter().zip(verdicts) {
                    tell(job, Ok(verdict));
                }
            }
            Ok(_) => jobs
                .into_iter()
                .for_each(|job| tell(job, Err(Failure::unexpected()))),
            Err(failure) => jobs
                .into_iter()
                .for_each(|job| tell(job, Err(failure.clone()))),
        }
    }
}

fn inbox_verdicts(answer: Value) -> Result<Vec<Verdict>, Failure> {
    let verdict = |value: Value| {
        Ok(match value::int(&value)? {
            0 => Verdict::Taken,
            1 => Verdict::Full,
            2 => Verdict::Gone,
            3 => Verdict::Empty,
            _ => return Err(Failure::unexpected()),
        })
    };
    value::list(answer)?.into_iter().map(verdict).collect()
}

/// Takes what goes into the next pipeline off the front.
fn next_batch(jobs: &mut Vec<Job>) -> Vec<Job> {
    let mut bytes = 0;
    let fits = |job: &&Job| {
        let fits = bytes < BATCH_BYTES;
        bytes += job.parcel.entry.len();
        fits
    };
    let count = jobs.iter().take(BATCH_MAX).take_while(fits).count();
    let rest = jobs.split_off(count);
    let mut batch = std::mem::replace(jobs, rest);
    // Nobody waits for these any more: they were given up before they left.
    batch.retain(|job| !job.answer.is_closed());
    batch
}

/// Gathers jobs with the same target, in order.
fn by_target(jobs: Vec<Job>) -> Vec<(Target, Vec<Job>)> {
    let mut places = HashMap::new();
    let mut batches: Vec<(Target, Vec<Job>)> = Vec::new();
    for job in jobs {
        let place = match places.entry(job.parcel.target.clone()) {
            Entry::Occupied(place) => *place.get(),
            Entry::Vacant(place) => {
                batches.push((job.parcel.target.clone(), Vec::new()));
                *place.insert(batches.len() - 1)
            }
        };
        if let Some((_, batch)) = batches.get_mut(place) {
            batch.push(job);
        }
    }
    batches
}

fn tell(job: Job, verdict: Result<Verdict, Failure>) {
    // A caller that has given up is not told.
    let _told = job.answer.send(verdict);
}
