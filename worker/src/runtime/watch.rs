//! A consumer that did not return at once: watched until it does.

use std::convert::Infallible;
use std::future::poll_fn;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};
use towpath_layer_core::{ChannelName, Message, Reply, Taken};

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
    let context = job.context.clone();
    let announcing = timeout_at(job.deadline, announce(&context, job.taken, shared));
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

/// Tells the node that waits that its event is in this worker's hands: after
/// `taken_after`, and then once a lease, in case the backend forgot.
async fn announce(context: &Context, taken: Instant, shared: &Shared) -> Infallible {
    let Some(event) = context.event() else {
        return std::future::pending().await;
    };
    let layer = context.layer();
    let again = shared.config.taken_after.max(ANNOUNCE_AGAIN_MIN);
    let mut next = taken + shared.config.taken_after;
    loop {
        sleep_until(next).await;
        let channel: &ChannelName = &event.reply_channel;
        let reply = Reply {
            taken: Some(Taken {
                attempt: event.attempt,
                worker: layer.node(),
            }),
            ..Reply::default()
        };
        let wait = match layer.send(channel, Message::Reply(reply)).await {
            Ok(()) => layer.limits().lease,
            Err(_) => again,
        };
        next = Instant::now() + wait;
    }
}
