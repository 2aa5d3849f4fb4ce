//! Sending: what many callers send at the same time goes out together.
//!
//! One task writes. While it waits for an answer, what is to be sent next
//! gathers; then all of it leaves in one pipeline, one script for each channel
//! or inbox. At low load a batch holds one message and leaves at once.

use std::iter::Peekable;
use std::sync::Arc;

use parking_lot::Mutex;
use redis::{Cmd, Value};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use towpath_layer_core::{GroupName, NodeId};

use crate::accounts::statistics_ttl_s;
use crate::core::Core;
use crate::failure::Failure;
use crate::parcels::{
    BATCH_BYTES, BATCH_MAX, Class, Parcel, Target, Verdict, by_target, fitting, inbox_verdicts,
};
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
/// The keys of an inbox itself; those of groups stand behind them.
const INBOX_KEYS: usize = 4;

/// Messages that go together, and who waits for them.
#[derive(Debug)]
struct Call {
    parcels: Vec<Parcel>,
    answer: oneshot::Sender<Vec<Result<Verdict, Failure>>>,
    /// Keeps the bytes of the call counted.
    held: Arc<OwnedSemaphorePermit>,
}

impl Call {
    fn bytes(&self) -> usize {
        self.parcels.iter().map(|parcel| parcel.entry.len()).sum()
    }
}

type Answer = oneshot::Receiver<Vec<Result<Verdict, Failure>>>;

/// The way to the writing task.
#[derive(Debug)]
pub(crate) struct Outgoing {
    calls: mpsc::Sender<Call>,
    queue: Mutex<Option<mpsc::Receiver<Call>>>,
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

    /// Hands messages to the writing task; what does not fit into one pipeline
    /// goes in several, with an answer for each.
    async fn submit(&self, mut parcels: Vec<Parcel>) -> Result<Vec<Answer>, Failure> {
        let sizes = parcels.iter().map(|parcel| parcel.entry.len() + OVERHEAD);
        let held = Arc::new(self.hold(sizes.sum()).await?);
        let mut answers = Vec::with_capacity(1);
        while !parcels.is_empty() {
            let rest = parcels.split_off(fitting(&parcels));
            let (answer, receiver) = oneshot::channel();
            let call = Call {
                parcels: std::mem::replace(&mut parcels, rest),
                answer,
                held: Arc::clone(&held),
            };
            if self.calls.send(call).await.is_err() {
                // Nobody sends any more.
                break;
            }
            answers.push(receiver);
        }
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
                        verdicts.extend(answer.await.unwrap_or_default());
                    }
                    verdicts.resize(count, Err(Failure::ended()));
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
        let mut gathered = Vec::with_capacity(GATHER_MAX);
        while queue.recv_many(&mut gathered, GATHER_MAX).await > 0 {
            let mut calls = gathered.drain(..).peekable();
            while calls.peek().is_some() {
                self.write(next_batch(&mut calls)).await;
            }
        }
    }

    async fn write(&self, calls: Vec<Call>) {
        let (parcels, waiting): (Vec<_>, Vec<_>) = calls
            .into_iter()
            .map(|call| {
                let waiting = (call.parcels.len(), call.answer, call.held);
                (call.parcels, waiting)
            })
            .unzip();
        let parcels: Vec<_> = parcels.into_iter().flatten().collect();
        let batches = by_target(&parcels);
        let commands = batches
            .iter()
            .map(|(target, places)| self.command(target, &parcels, places));
        let mut verdicts = vec![None; parcels.len()];
        match self.link.run(commands).await {
            Ok(answers) => {
                for ((target, places), answer) in batches.iter().zip(answers) {
                    self.settle(target, places, answer, &mut verdicts);
                }
            }
            Err(failure) => verdicts.fill(Some(Err(failure))),
        }
        let mut verdicts = verdicts
            .into_iter()
            .map(|verdict| verdict.unwrap_or_else(|| Err(Failure::unexpected())));
        for (count, answer, _held) in waiting {
            // A caller that has given up is not told.
            let _told = answer.send(verdicts.by_ref().take(count).collect());
        }
    }

    fn command(&self, target: &Target, parcels: &[Parcel], places: &[usize]) -> Cmd {
        let parcels = places.iter().filter_map(|place| parcels.get(*place));
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
                for parcel in parcels {
                    command.arg(&*parcel.entry);
                }
                command
            }
            Target::Inbox(node) => self.inbox_command(*node, &parcels.collect::<Vec<_>>()),
        }
    }

    fn inbox_command(&self, node: NodeId, parcels: &[&Parcel]) -> Cmd {
        let node = self.keys.node(node);
        let mut groups: Vec<&GroupName> = Vec::new();
        for parcel in parcels {
            if let Class::Group(group) = &parcel.class
                && !groups.contains(&group)
            {
                groups.push(group);
            }
        }
        let members: Vec<_> = groups.iter().map(|group| node.members(group)).collect();
        let keys: [&str; INBOX_KEYS] = [&node.lease, &node.inbox, &node.bytes, &node.gap];
        let mut command =
            INBOX_PUSH.call(keys.into_iter().chain(members.iter().map(String::as_str)));
        command
            .arg(self.limits.inbox_entries_max)
            .arg(self.limits.inbox_bytes_max)
            .arg(millis(self.inbox_ttl()));
        for parcel in parcels {
            match &parcel.class {
                Class::Bounded => command.arg("b"),
                Class::Unbounded => command.arg("u"),
                Class::Group(group) => {
                    let place = groups.iter().position(|known| *known == group);
                    command.arg(INBOX_KEYS + place.unwrap_or_default() + 1)
                }
            };
        }
        for parcel in parcels {
            command.arg(&*parcel.entry);
        }
        command
    }

    /// Puts down what became of the messages for one target.
    fn settle(
        &self,
        target: &Target,
        places: &[usize],
        answer: Result<Value, Failure>,
        verdicts: &mut [Option<Result<Verdict, Failure>>],
    ) {
        let answer = match target {
            Target::Channel(channel) => answer.and_then(|answer| {
                let taken = usize::try_from(value::int(&answer)?).unwrap_or(0);
                if taken > 0 {
                    self.accounts.sent(channel);
                }
                let mut verdicts = vec![Verdict::Taken; taken.min(places.len())];
                verdicts.resize(places.len(), Verdict::Full);
                Ok(verdicts)
            }),
            Target::Inbox(_) => answer.and_then(|answer| inbox_verdicts(answer, places.len())),
        };
        for (number, place) in places.iter().enumerate() {
            let verdict = match &answer {
                Ok(answer) => answer.get(number).copied().ok_or_else(Failure::unexpected),
                Err(failure) => Err(failure.clone()),
            };
            if let Some(slot) = verdicts.get_mut(*place) {
                *slot = Some(verdict);
            }
        }
    }
}

/// Takes the calls that go into the next pipeline; at least one, if there is one.
fn next_batch(calls: &mut Peekable<impl Iterator<Item = Call>>) -> Vec<Call> {
    let mut batch = Vec::new();
    let (mut messages, mut bytes) = (0, 0);
    let mut fits = |call: &Call| {
        messages += call.parcels.len();
        let fits = messages <= BATCH_MAX && bytes < BATCH_BYTES;
        bytes += call.bytes();
        fits
    };
    while let Some(call) = calls.next_if(&mut fits) {
        // Nobody waits for those that were given up before they left.
        if !call.answer.is_closed() {
            batch.push(call);
        }
    }
    batch
}
