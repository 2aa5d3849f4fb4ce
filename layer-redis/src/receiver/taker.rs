//! The task that takes messages for a receiver.

use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, Pipeline, Value};
use towpath_layer_core::ChannelName;

use super::desk::{Desk, Taken, Task};
use crate::accounts::statistics_ttl_s;
use crate::core::Core;
use crate::failure::Failure;
use crate::link::{BLOCK, Blocking};
use crate::scripts::CHANNEL_RETURN;
use crate::{LIST_GRACE, millis, value};

/// Messages that one step takes.
const STEP_MAX: usize = 1_024;
/// The pause between two attempts to end a wait inside Redis that may not have
/// begun yet.
const UNBLOCK_PAUSE: Duration = Duration::from_millis(5);

/// Takes messages for one receiver.
#[derive(Debug)]
pub(super) struct Taker {
    core: Arc<Core>,
    channels: Arc<[ChannelName]>,
    lists: Vec<String>,
    /// What is there while somebody waits for room on one of the channels: a
    /// sender, or a message that is due.
    marks: Vec<String>,
    /// The channels in the order in which they are looked at: the one that was
    /// served last comes last, so none starves another.
    order: Vec<usize>,
    desk: Arc<Desk>,
    connection: Option<Blocking>,
}

impl Taker {
    pub(super) fn new(core: Arc<Core>, channels: Arc<[ChannelName]>, desk: Arc<Desk>) -> Self {
        let lists = channels.iter().map(|name| core.keys.list(name)).collect();
        let keys = channels.iter().map(|name| core.keys.channel(name));
        let marks = keys.flat_map(|keys| [keys.room, keys.delayed]).collect();
        let order = (0..channels.len()).collect();
        Self {
            core,
            channels,
            lists,
            marks,
            order,
            desk,
            connection: None,
        }
    }

    /// Works until the receiver ends; says whether everything went back.
    pub(super) async fn run(mut self) -> Result<(), Failure> {
        let core = Arc::clone(&self.core);
        let mut backoff = core.link.backoff();
        loop {
            let done = match self.desk.next_task().await {
                // Without channels there is nothing to wait for.
                Task::Take(_) if self.order.is_empty() => {
                    self.desk.unwanted().await;
                    Ok(())
                }
                Task::Take(max) => self.take(max).await,
                Task::GiveBack => self.give_back().await,
                Task::End => return self.give_back_at_last().await,
            };
            match done {
                Ok(()) => backoff.reset(),
                Err(error) => {
                    tracing::debug!(%error, "a receiver waits for redis");
                    self.connection = None;
                    backoff.pause().await;
                }
            }
        }
    }

    /// Waits inside Redis for messages and takes up to `max` of one channel.
    async fn take(&mut self, max: usize) -> Result<(), Failure> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.core.link.dialer().blocking().await?,
        };
        let mut pipeline = Pipeline::new();
        pipeline
            .cmd("BLMPOP")
            .arg(BLOCK.as_secs())
            .arg(self.order.len());
        for index in &self.order {
            pipeline.arg(self.lists.get(*index));
        }
        pipeline.arg("LEFT").arg("COUNT").arg(max.min(STEP_MAX));
        pipeline.cmd("EXISTS").arg(&self.marks);
        let id = connection.id();
        let answers = {
            let waiting = connection.exchange(&pipeline);
            tokio::pin!(waiting);
            tokio::select! {
                answers = &mut waiting => answers?,
                () = self.unblock_when_unwanted(id) => waiting.await?,
            }
        };
        let mut answers = answers.into_iter();
        match answers.next() {
            Some(Value::ServerError(error)) => return Err(Failure::refused(error)),
            Some(Value::Nil) => {}
            Some(answer) => {
                self.took(answer)?;
                let marks = answers.next().map_or(Ok(0), |marks| value::int(&marks));
                if marks.unwrap_or(0) > 0 {
                    self.core.accounts.hurry();
                }
            }
            None => return Err(Failure::unexpected()),
        }
        self.connection = Some(connection);
        Ok(())
    }

    fn took(&mut self, answer: Value) -> Result<(), Failure> {
        let [list, entries] = value::array(answer)?;
        let list = value::text(list)?;
        let place = self
            .order
            .iter()
            .position(|index| self.lists.get(*index).is_some_and(|known| *known == list));
        let index = self.order.remove(place.ok_or_else(Failure::unexpected)?);
        self.order.push(index);
        let entries: Vec<_> = value::list(entries)?
            .into_iter()
            .filter_map(|entry| value::bytes(entry).ok())
            .collect();
        if let Some(channel) = self.channels.get(index) {
            self.core.accounts.freed(channel, entries.len() as u64);
        }
        let taken = entries.into_iter().map(|entry| Taken {
            channel: index,
            entry,
        });
        self.desk.put(taken);
        Ok(())
    }

    /// Ends the wait inside Redis when nobody wants its outcome. What it has
    /// taken all the same comes with its answer.
    async fn unblock_when_unwanted(&self, id: i64) {
        self.desk.unwanted().await;
        loop {
            let mut unblock = redis::cmd("CLIENT");
            unblock.arg("UNBLOCK").arg(id);
            match self.core.link.run_one(unblock).await {
                Ok(Value::Int(1)) => return,
                // The wait has yet to begin, or is over and its answer is near.
                Ok(_) => tokio::time::sleep(UNBLOCK_PAUSE).await,
                // The wait ends by itself, or its connection does.
                Err(_) => return,
            }
        }
    }

    /// Gives everything back before the end: what is refused for now is tried
    /// again, for as long as one call may take.
    async fn give_back_at_last(&mut self) -> Result<(), Failure> {
        let core = Arc::clone(&self.core);
        let mut backoff = core.link.backoff();
        let until = core.clock.now() + core.options.call_timeout;
        let mut lost = None;
        loop {
            let refused = match self.give_back().await {
                Ok(()) => return lost.map_or(Ok(()), Err),
                Err(failure) => failure,
            };
            if refused.outcome_unknown {
                lost = Some(refused.clone());
            }
            if self.desk.is_empty() || core.clock.now() >= until {
                return Err(lost.unwrap_or(refused));
            }
            backoff.pause().await;
        }
    }

    /// Gives everything back, at the head and in the old order.
    async fn give_back(&mut self) -> Result<(), Failure> {
        let channels = Arc::clone(&self.channels);
        let mut by_channel: Vec<_> = channels.iter().map(|name| (name, Vec::new())).collect();
        for one in self.desk.clear() {
            if let Some((_, taken)) = by_channel.get_mut(one.channel) {
                taken.push(one);
            }
        }
        by_channel.retain(|(_, taken)| !taken.is_empty());
        if by_channel.is_empty() {
            return Ok(());
        }
        let commands = by_channel
            .iter()
            .map(|(channel, taken)| self.give_back_command(channel, taken));
        let answers = match self.core.link.run(commands).await {
            Ok(answers) => answers,
            Err(failure) => by_channel.iter().map(|_| Err(failure.clone())).collect(),
        };
        let mut outcome = Ok(());
        for ((_, taken), answer) in by_channel.into_iter().zip(answers) {
            if let Err(failure) = answer {
                // What may have gone back is not kept: it would come twice.
                if !failure.outcome_unknown {
                    self.desk.restore(taken);
                }
                outcome = Err(failure);
            }
        }
        outcome
    }

    fn give_back_command(&self, channel: &ChannelName, taken: &[Taken]) -> Cmd {
        let keys = self.core.keys.channel(channel);
        let mut command = CHANNEL_RETURN.call([&*keys.list, &keys.statistics]);
        command
            .arg(millis(LIST_GRACE))
            .arg(statistics_ttl_s(channel));
        for one in taken {
            command.arg(&one.entry);
        }
        command
    }
}
