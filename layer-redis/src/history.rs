//! What groups keep of what is published to them.
//!
//! One script, with its keys in the group's slot, gives a message its offset,
//! keeps it and reads which nodes have members. So whoever is not among those
//! nodes yet finds the message when it recalls the history after it has joined.
//!
//! Offsets belong to one life of the server: one that comes back with old data
//! may have lost the end of it, and would give the same offsets again.

use std::time::Duration;

use redis::{Cmd, Value};
use towpath_layer_core::{
    Delivery, GroupName, History, LayerError, Position, Recalled, Reply, SendError, decode, encode,
};

use crate::channels::written;
use crate::core::Core;
use crate::failure::Failure;
use crate::known_nodes::Registered;
use crate::link::Session;
use crate::registry::registered;
use crate::scripts::{GROUP_PUBLISH, GROUP_RECALL, Script};
use crate::{millis, value};

/// What stands in front of a kept message: its deadline.
const DEADLINE_LEN: usize = 8;
/// The most that a script is asked to count up to.
const COUNT_MAX: usize = u32::MAX as usize;

impl Core {
    pub(crate) async fn group_publish(
        &self,
        group: &GroupName,
        mut reply: Reply,
        history: &History,
    ) -> Result<(Delivery, Position), SendError> {
        self.check_size(reply.payload_size(), reply.envelope_size())?;
        // Where it is kept its place says where it stands.
        reply.position = None;
        let message = written(encode(self.ids.next(), &reply))?;
        let keeping = async {
            let _held = self.outgoing.hold(message.len()).await?;
            self.keep(group, &message, history).await
        };
        let (position, nodes) = match self.in_time(keeping).await {
            Ok(kept) => kept,
            Err(_) if self.is_closed() => return Err(SendError::Closed),
            Err(failure) => return Err(failure.into()),
        };
        reply.position = Some(Box::new(position));
        let mut sending = self.sending(group, reply)?;
        self.send_to(&nodes, &mut sending).await;
        // Kept it is, whatever became of it besides.
        let delivery = self.conclude(sending, None, true).await?;
        Ok((delivery, position))
    }

    async fn keep(
        &self,
        group: &GroupName,
        message: &[u8],
        history: &History,
    ) -> Result<(Position, Vec<Registered>), Failure> {
        let session = self.link.session()?;
        let registry = self.keys.registry(group);
        let mut command = self.history_command(&GROUP_PUBLISH, &session, group, &[&registry]);
        command
            .arg(history.size.min(COUNT_MAX))
            .arg(self.limits.history_bytes_max)
            .arg(millis(history.ttl))
            .arg(millis(self.history_life(history.ttl)))
            .arg(message);
        let answer = self.run_history(&session, command).await?;
        let [epoch, offset, nodes] = value::array(answer)?;
        Ok((position(epoch, &offset)?, registered(nodes)?))
    }

    pub(crate) async fn group_history(
        &self,
        group: &GroupName,
        since: Option<Position>,
        max: usize,
    ) -> Result<Recalled, LayerError> {
        self.open()?;
        Ok(self.in_time(self.recall(group, since, max)).await?)
    }

    async fn recall(
        &self,
        group: &GroupName,
        since: Option<Position>,
        max: usize,
    ) -> Result<Recalled, Failure> {
        let session = self.link.session()?;
        let mut command = self.history_command(&GROUP_RECALL, &session, group, &[]);
        command
            .arg(millis(self.history_life(Duration::ZERO)))
            .arg(millis(self.limits.group_expiry.min(History::EMPTY_LIFE)))
            .arg(since.map_or_else(String::new, |since| epoch_text(since.epoch)))
            .arg(since.map_or(0, |since| since.offset))
            .arg(max.min(COUNT_MAX));
        let answer = self.run_history(&session, command).await?;
        let [epoch, offset, complete, from, entries] = value::array(answer)?;
        let position = position(epoch, &offset)?;
        let mut recalled = Recalled {
            position,
            complete: value::int(&complete)? == 1,
            messages: Vec::new(),
        };
        for (offset, entry) in (value::count(&from)?..).zip(value::list(entries)?) {
            match message(&value::bytes(entry)?) {
                Some(mut reply) => {
                    reply.position = Some(Box::new(Position { offset, ..position }));
                    recalled.messages.push(reply);
                }
                // Of another version, say: whoever asked has to know.
                None => recalled.complete = false,
            }
        }
        Ok(recalled)
    }

    /// How long a history is known after it was used: what is kept never lives
    /// for longer.
    fn history_life(&self, ttl: Duration) -> Duration {
        self.limits.group_expiry.max(ttl.saturating_mul(2))
    }

    /// What both scripts begin with.
    fn history_command(
        &self,
        script: &Script,
        session: &Session,
        group: &GroupName,
        more: &[&str],
    ) -> Cmd {
        let keys = self.keys.history(group);
        let keys = [&*keys.state, &keys.kept]
            .into_iter()
            .chain(more.iter().copied());
        let mut command = script.call(keys);
        command
            .arg(session.run_id())
            .arg(epoch_text(self.entropy.next_u64()));
        command
    }

    /// Runs a script on the connection whose server it names.
    async fn run_history(&self, session: &Session, command: Cmd) -> Result<Value, Failure> {
        let answers = self.link.run_on(session, [command]).await?;
        answers.into_iter().next().ok_or_else(Failure::unexpected)?
    }
}

fn epoch_text(epoch: u64) -> String {
    format!("{epoch:016x}")
}

fn position(epoch: Value, offset: &Value) -> Result<Position, Failure> {
    let epoch = u64::from_str_radix(&value::text(epoch)?, 16);
    Ok(Position {
        epoch: epoch.map_err(|_| Failure::unexpected())?,
        offset: value::count(offset)?,
    })
}

/// A message as it was kept, if it can be read.
fn message(entry: &[u8]) -> Option<Reply> {
    let read = decode::<Reply>(entry.get(DEADLINE_LEN..)?);
    read.inspect_err(|error| tracing::warn!(%error, "a kept message cannot be read"))
        .map(|(_, reply)| reply)
        .ok()
}
