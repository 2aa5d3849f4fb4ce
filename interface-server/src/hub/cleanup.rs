//! Membership changes that the shard itself makes: the end of a connection's
//! memberships, ghosts, and what a backend has lost.

use std::cell::RefCell;
use std::collections::{HashSet, VecDeque};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use futures_util::{FutureExt, poll};
use tokio::time::{Instant, sleep};
use towpath_layer_core::{ChannelKind, ChannelLayer, ChannelName, GroupError, GroupName};

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
    /// Of a connection and so many listeners.
    DiscardAll { channel: ChannelName, listeners: u8 },
}

impl Job {
    fn channel(&self) -> &ChannelName {
        match self {
            Self::Add { channel, .. }
            | Self::Discard { channel, .. }
            | Self::DiscardAll { channel, .. } => channel,
        }
    }
}

/// The changes that wait or are on their way.
#[derive(Debug, Default)]
pub(crate) struct Cleanup {
    waiting: RefCell<VecDeque<Job>>,
    /// Whose changes are on their way.
    running: RefCell<HashSet<ChannelName>>,
    signal: Signal,
}

impl Cleanup {
    /// Adds a change; gives back one that there is no room for any more.
    fn push(&self, job: Job) -> Option<Job> {
        let mut waiting = self.waiting.borrow_mut();
        let dropped = match waiting.len() {
            WAITING_MAX.. => waiting.pop_front(),
            _ => None,
        };
        waiting.push_back(job);
        self.signal.notify();
        dropped
    }

    /// Whether nothing waits or is on its way.
    pub(crate) fn is_idle(&self) -> bool {
        self.running.borrow().is_empty() && self.waiting.borrow().is_empty()
    }

    /// The next change of a connection that has none on its way: the changes of
    /// one connection are made in their order, also when the first of them has
    /// to be tried again.
    fn next(&self) -> Option<Job> {
        let mut running = self.running.borrow_mut();
        let mut waiting = self.waiting.borrow_mut();
        let free = |job: &Job| !running.contains(job.channel());
        let job = waiting.iter().position(free)?;
        let job = waiting.remove(job)?;
        running.insert(job.channel().clone());
        Some(job)
    }
}

/// Makes changes for as long as the shard lives.
pub(crate) async fn run(shard: Rc<Shard>) {
    let cleanup = &shard.cleanup;
    let mut running: FuturesUnordered<LocalBoxFuture<'static, Job>> = FuturesUnordered::new();
    loop {
        while running.len() < RUNNING_MAX {
            let Some(job) = cleanup.next() else {
                break;
            };
            let until = Instant::now() + shard.layer.limits().lease;
            let layer = std::sync::Arc::clone(&shard.layer);
            let mut changing = async move {
                change(&*layer, &job, until).await;
                job
            }
            .boxed_local();
            match poll!(&mut changing) {
                Poll::Ready(job) => shard.repaired(&job),
                Poll::Pending => running.push(changing),
            }
        }
        if cleanup.is_idle() {
            shard.progress.notify();
        }
        tokio::select! {
            biased;
            Some(job) = running.next(), if !running.is_empty() => shard.repaired(&job),
            () = cleanup.signal.notified() => {}
        }
    }
}

impl Shard {
    /// Has a change made.
    pub(crate) fn repair(&self, job: Job) {
        if let Some(dropped) = self.cleanup.push(job) {
            self.ended(&dropped);
        }
    }

    /// A change was made, or is left to the layer's sweep.
    fn repaired(&self, job: &Job) {
        self.cleanup.running.borrow_mut().remove(job.channel());
        self.ended(job);
    }

    fn ended(&self, job: &Job) {
        if let Job::DiscardAll { channel, .. } = job
            && let ChannelKind::Reply { local, .. } = channel.kind()
            && let Some(connection) = self.connection(local)
        {
            self.has_left(&connection);
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
            Job::DiscardAll { channel, listeners } => discard_all(layer, channel, *listeners).await,
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

async fn discard_all(
    layer: &dyn ChannelLayer,
    channel: &ChannelName,
    listeners: u8,
) -> Result<(), GroupError> {
    for number in 0..=listeners {
        layer.discard_all(&channel.listener(number)).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use towpath_layer_core::{LocalId, NodeId, SeededEntropy};

    use super::*;

    #[test]
    fn the_changes_of_one_connection_are_made_in_their_order() {
        let node = NodeId::random(&SeededEntropy::new(1));
        let channel = |id| ChannelName::reply(node, LocalId(id));
        let cleanup = Cleanup::default();
        for id in [1, 1, 2] {
            let channel = channel(id);
            let listeners = 0;
            let job = Job::DiscardAll { channel, listeners };
            assert!(cleanup.push(job).is_none());
        }
        let next = || cleanup.next().map(|job| job.channel().clone());
        assert_eq!(next(), Some(channel(1)));
        assert_eq!(next(), Some(channel(2)));
        assert_eq!(next(), None);
        cleanup.running.borrow_mut().remove(&channel(1));
        assert_eq!(next(), Some(channel(1)));
    }
}
