//! Completions, on their way back.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep};
use towpath_layer_core::{
    ChannelLayer, ChannelName, Completion, Message, Outcome, Reply, SendError,
};

use super::conclude::error_id;

const PAUSE_MIN: Duration = Duration::from_millis(20);
/// Shorter than a node waits for a word about an event that was handed out.
const PAUSE_MAX: Duration = Duration::from_millis(250);

/// A completion that was not yet sent. It counts as an event in the worker's
/// hands, so there are never more of them than that.
pub(super) struct Outgoing {
    pub(super) channel: ChannelName,
    pub(super) reply: Reply,
    /// Until when it is sent again if the backend is out of reach.
    pub(super) deadline: Instant,
    pub(super) _permit: OwnedSemaphorePermit,
}

/// Sends completions, and those that the backend could not take again, until
/// their deadlines. A second arrival does no harm: its attempt is stale by then.
pub(super) async fn deliver(layer: Arc<dyn ChannelLayer>, mut held: Vec<Outgoing>) {
    let mut pause = PAUSE_MIN;
    loop {
        let batch = held
            .iter()
            .map(|one| (one.channel.clone(), Message::Reply(one.reply.clone())))
            .collect();
        let results = layer.send_many(batch).await;
        let now = Instant::now();
        held = held
            .into_iter()
            .zip(results)
            .filter_map(|(one, result)| hold(one, result.err()?, now))
            .collect();
        if held.is_empty() {
            return;
        }
        sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// What is sent in place of a completion that was refused, if anything.
fn hold(mut one: Outgoing, error: SendError, now: Instant) -> Option<Outgoing> {
    if error.is_transient() {
        if now < one.deadline {
            return Some(one);
        }
        tracing::warn!(%error, "a completion was not sent before its deadline");
        return None;
    }
    let completion = one.reply.completion.take();
    match (error, completion) {
        (SendError::MessageTooLarge { size, size_max }, Some(completion))
            if !matches!(completion.outcome, Outcome::Failed { .. }) =>
        {
            let error_id = error_id();
            tracing::error!(%error_id, size, size_max, "a completion is too large to be sent");
            one.reply.completion = Some(Box::new(Completion {
                attempt: completion.attempt,
                outcome: Outcome::Failed { error_id },
                groups: Vec::new(),
            }));
            Some(one)
        }
        (error, _) => {
            tracing::warn!(%error, "a completion was not sent");
            None
        }
    }
}
