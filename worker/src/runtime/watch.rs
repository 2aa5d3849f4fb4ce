//! A consumer that did not return at once: watched until it does.

use std::convert::Infallible;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};
use towpath_layer_core::{ChannelLayer, ChannelName, Message, Reply, Taken};

use super::Shared;
use super::conclude::conclude;
use super::deliver::Outgoing;
use super::job::{Ending, Job};
use crate::{Context, held};

/// Announcing is not repeated faster than this, whatever `taken_after` says.
const ANNOUNCE_AGAIN_MIN: Duration = Duration::from_millis(10);

/// Runs a job to its end: it returns, it is past its deadline, or the worker
/// waits no longer.
pub(super) async fn see_through(mut job: Job, shared: &Shared) -> Option<Outgoing> {
    let holder = Holder::of(&job.context);
    let announcing = timeout_at(job.deadline, announce(holder, job.taken, shared));
    let ending = tokio::select! {
        biased;
        ending = poll_fn(|task| job.poll(Instant::now(), task)) => ending,
        () = shared.give_up.cancelled() => Ending::Stopped,
        Err(_) = announcing => Ending::TimedOut,
    };
    job.cancel();
    let now = Instant::now();
    job.measure(now);
    finish(job, ending, now, shared)
}

/// What is sent for a job that has ended now.
pub(super) fn finish(
    mut job: Job,
    ending: Ending,
    now: Instant,
    shared: &Shared,
) -> Option<Outgoing> {
    let reply = held::fuse(job.take_held(), conclude(&job, ending)?);
    let channel = job.context.reply_channel().ok()?.clone();
    Some(Outgoing {
        channel,
        reply,
        deadline: now + shared.config.consumer_timeout,
        _permit: job.permit,
    })
}

/// What a node has to be told about an event in this worker's hands.
struct Holder {
    layer: Arc<dyn ChannelLayer>,
    /// Nobody waits for a message of the application.
    event: Option<(ChannelName, u64)>,
}

impl Holder {
    /// The context itself is not kept: whoever has it may still write.
    fn of(context: &Context) -> Self {
        let event = context.event();
        Self {
            layer: Arc::clone(context.layer()),
            event: event.map(|event| (event.reply_channel.clone(), event.attempt)),
        }
    }
}

/// Tells the node that waits that its event is in this worker's hands: after
/// `taken_after`, and then once a lease, in case the backend forgot.
async fn announce(holder: Holder, taken: Instant, shared: &Shared) -> Infallible {
    let Holder { layer, event } = holder;
    let Some((channel, attempt)) = event else {
        return std::future::pending().await;
    };
    let again = shared.config.taken_after.max(ANNOUNCE_AGAIN_MIN);
    let mut next = taken + shared.config.taken_after;
    loop {
        sleep_until(next).await;
        let reply = Reply {
            taken: Some(Taken {
                attempt,
                worker: layer.node(),
            }),
            ..Reply::default()
        };
        let wait = match layer.send(&channel, Message::Reply(reply)).await {
            Ok(()) => layer.limits().lease,
            Err(_) => again,
        };
        next = Instant::now() + wait;
    }
}
