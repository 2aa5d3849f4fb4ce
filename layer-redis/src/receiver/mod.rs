//! The receiving end of shared channels.
//!
//! A task takes messages from Redis, as many as were asked for, into a buffer;
//! `receive_many` takes them from there. So a dropped call loses nothing: what
//! was taken for it waits for the next call, and after a while without one goes
//! back to the head of its channel.

mod desk;
mod taker;

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::watch;
use towpath_layer_core::metrics::LAYER_MALFORMED;
use towpath_layer_core::{ChannelName, LayerError, Received, Receiver, decode};

use crate::core::Core;
use crate::failure::Failure;
use crate::receiver::desk::{Desk, Taken};
use crate::receiver::taker::Taker;

/// The longest entry header: the deadline in front of the message.
const DEADLINE_LEN: usize = 8;

/// Takes from some channels.
#[derive(Debug)]
pub(crate) struct RedisReceiver {
    core: Arc<Core>,
    channels: Arc<[ChannelName]>,
    desk: Arc<Desk>,
    ended: watch::Receiver<Option<Result<(), Failure>>>,
}

impl RedisReceiver {
    pub(crate) fn start(core: &Arc<Core>, mut channels: Vec<ChannelName>) -> Self {
        channels.sort();
        channels.dedup();
        let channels: Arc<[ChannelName]> = channels.into();
        let desk = Arc::new(Desk::new(core.leaving.child_token()));
        let (end, ended) = watch::channel(None);
        let taker = Taker::new(Arc::clone(core), Arc::clone(&channels), Arc::clone(&desk));
        let gone = core.gone.clone();
        let over = desk.ends();
        let task = async move {
            // However the task ends, nobody waits for it any more.
            let _over = over;
            let outcome = tokio::select! {
                outcome = taker.run() => outcome,
                () = gone.cancelled() => Ok(()),
            };
            end.send_replace(Some(outcome));
        };
        core.receivers.spawn_on(task, &core.runtime);
        Self {
            core: Arc::clone(core),
            channels,
            desk,
            ended,
        }
    }

    /// Hands out what is alive of the messages taken.
    fn hand_out(&self, taken: &[Taken], buffer: &mut Vec<Received>) -> usize {
        let now = self.core.link.time.latest_ms(self.core.clock.now());
        let before = buffer.len();
        // Runs of one channel are counted together.
        for run in taken.chunk_by(|one, next| one.channel == next.channel) {
            let Some(channel) = run.first().and_then(|one| self.channels.get(one.channel)) else {
                continue;
            };
            let start = buffer.len();
            let mut expired = 0;
            for one in run {
                if one.deadline_ms() <= now {
                    expired += 1;
                } else if let Some(received) = read(channel, one) {
                    buffer.push(received);
                }
            }
            let received = (buffer.len() - start) as u64;
            self.core.accounts.received(channel, received, expired);
        }
        buffer.len() - before
    }
}

fn read(channel: &ChannelName, taken: &Taken) -> Option<Received> {
    match decode(taken.entry.get(DEADLINE_LEN..).unwrap_or_default()) {
        Ok((id, message)) => Some(Received {
            channel: channel.clone(),
            id,
            message,
        }),
        Err(error) => {
            metrics::counter!(LAYER_MALFORMED).increment(1);
            tracing::warn!(%error, %channel, "an entry was refused");
            None
        }
    }
}

#[async_trait]
impl Receiver for RedisReceiver {
    async fn receive_many(
        &mut self,
        buffer: &mut Vec<Received>,
        max: usize,
    ) -> Result<usize, LayerError> {
        if max == 0 {
            return self.core.open().map(|()| 0);
        }
        loop {
            let taken = self.desk.want(max).await.ok_or(LayerError::Closed)?;
            let count = self.hand_out(&taken, buffer);
            if count > 0 {
                return Ok(count);
            }
        }
    }

    async fn close(&mut self) -> Result<(), LayerError> {
        self.desk.end();
        let ended = self.ended.wait_for(Option::is_some).await;
        // A task that died without a word took what it held with it.
        let outcome = ended.map_or(None, |outcome| outcome.clone());
        outcome.unwrap_or_else(|| Err(Failure::timed_out()))?;
        Ok(())
    }
}

impl Drop for RedisReceiver {
    fn drop(&mut self) {
        self.desk.end();
    }
}
