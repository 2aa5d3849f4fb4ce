//! Membership changes that the shard itself makes: the end of a connection's
//! memberships, ghosts, and what a backend has lost.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use futures_util::{FutureExt, poll};
use tokio::time::{Instant, sleep};
use towpath_layer_core::{ChannelLayer, ChannelName, GroupError, GroupName};

use super::shard::Shard;
use super::signal::Signal;

/// Changes on their way at one time.
const RUNNING_MAX: usize = 64;

/// Changes that wait. Beyond it the oldest is left to the layer's own sweep,
/// which compares the stored members with the real ones each lease.
const WAITING_MAX: usize = 65_536;

/// Wait between tries while the layer is out of reach.
const RETRY: Duration = Duration::from_millis(200);

/// One change.
#[derive(Debug)]
pub(crate) enum Job {
    Add {
        group: GroupName,
        channel: ChannelName,
        meta: Bytes,
    },
    Discard {
        group: GroupName,
        channel: ChannelName,
    },
    DiscardAll {
        channel: ChannelName,
    },
}

/// The changes that wait or are on their way.
#[derive(Debug, Default)]
pub(crate) struct Cleanup {
    waiting: RefCell<VecDeque<Job>>,
    running: Cell<usize>,
    signal: Signal,
}

impl Cleanup {
    pub(crate) fn push(&self, job: Job) {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.len() >= WAITING_MAX {
            waiting.pop_front();
        }
        waiting.push_back(job);
        self.signal.notify();
    }

    /// Whether nothing waits or is on its way.
    pub(crate) fn is_idle(&self) -> bool {
        self.running.get() == 0 && self.waiting.borrow().is_empty()
    }
}

/// Makes changes for as long as the shard lives.
pub(crate) async fn run(shard: Rc<Shard>) {
    let cleanup = &shard.cleanup;
    let mut running: FuturesUnordered<LocalBoxFuture<'static, ()>> = FuturesUnordered::new();
    loop {
        while running.len() < RUNNING_MAX {
            let Some(job) = cleanup.waiting.borrow_mut().pop_front() else {
                break;
            };
            let until = Instant::now() + shard.layer.limits().lease;
            let layer = std::sync::Arc::clone(&shard.layer);
            let mut change = async move { change(&*layer, &job, until).await }.boxed_local();
            if poll!(&mut change).is_pending() {
                running.push(change);
            }
        }
        cleanup.running.set(running.len());
        if running.is_empty() {
            shard.progress.notify();
        }
        tokio::select! {
            biased;
            Some(()) = running.next(), if !running.is_empty() => {}
            () = cleanup.signal.notified() => {}
        }
    }
}

async fn change(layer: &dyn ChannelLayer, job: &Job, until: Instant) {
    loop {
        let changed = match job {
            Job::Add {
                group,
                channel,
                meta,
            } => layer.group_add(group, channel, meta.clone()).await,
            Job::Discard { group, channel } => layer.group_discard(group, channel).await,
            Job::DiscardAll { channel } => layer.discard_all(channel).await,
        };
        match changed {
            Err(GroupError::Unavailable(_)) if Instant::now() < until => sleep(RETRY).await,
            Err(error) => {
                tracing::debug!(%error, "a membership is left to the sweep");
                return;
            }
            Ok(()) => return,
        }
    }
}
