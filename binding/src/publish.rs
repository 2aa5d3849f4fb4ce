//! Publishes changes on the layer, one after the other.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use towpath_layer_core::{ChannelLayer, GroupName, Reply, SendError};

use crate::bound::{Plan, Told};
use crate::change::Change;
use crate::feed::Feed;
use crate::pace::{Backoff, Pace};
use crate::{BindingError, meter};

const AGAIN_LEAST: Duration = Duration::from_millis(50);
const AGAIN_MOST: Duration = Duration::from_secs(2);
const MEMBERS_INTERVAL: Duration = Duration::from_millis(100);

/// A group that nobody joins.
const NOBODY: &str = "towpath.binding.nobody";

/// Why publishing ended.
#[derive(Debug)]
pub(crate) enum Interrupted {
    /// It was asked to, or the layer is closed.
    Stopped,
    /// This process is no longer the taker, as far as it knows.
    Lost(BindingError),
}

impl From<BindingError> for Interrupted {
    fn from(error: BindingError) -> Self {
        Self::Lost(error)
    }
}

pub(crate) struct Publisher {
    layer: Arc<dyn ChannelLayer>,
    plan: Arc<Plan>,
    pace: Pace,
}

impl Publisher {
    pub(crate) fn new(
        layer: Arc<dyn ChannelLayer>,
        plan: Arc<Plan>,
        changes_per_second_max: u32,
    ) -> Self {
        Self {
            layer,
            plan,
            pace: Pace::new(changes_per_second_max),
        }
    }

    /// Publishes a change as a whole, however long the layer is out of reach.
    /// What fits no model is logged, counted and passed over.
    pub(crate) async fn publish<F: Feed>(
        &mut self,
        feed: &mut F,
        change: &Change,
        stop: &CancellationToken,
    ) -> Result<(), Interrupted> {
        let passed = stop.run_until_cancelled(self.pace.pass()).await;
        if passed.is_none() {
            return Err(Interrupted::Stopped);
        }
        feed.hold().await?;
        for told in self.told(change) {
            for group in &told.groups {
                self.send(feed, &change.table, group, &told, stop).await?;
            }
        }
        meter::published(&change.table);
        Ok(())
    }

    fn told(&self, change: &Change) -> Vec<Told> {
        let table = change.table.as_str();
        let Some((known, bound)) = self.plan.bound(table) else {
            meter::dropped(table, "not_bound");
            tracing::debug!(
                table,
                "a change of a table that nothing binds is passed over"
            );
            return Vec::new();
        };
        let mut all = Vec::new();
        for bound in bound {
            match bound.tell(known, change) {
                Ok(told) => all.extend(told),
                Err(misfit) => {
                    meter::dropped(table, "misfit");
                    tracing::error!(table, stream = bound.stream(), %misfit, "a change is passed over");
                }
            }
        }
        all
    }

    async fn send<F: Feed>(
        &self,
        feed: &mut F,
        table: &str,
        group: &GroupName,
        told: &Told,
        stop: &CancellationToken,
    ) -> Result<(), Interrupted> {
        let mut again = Backoff::new(AGAIN_LEAST, AGAIN_MOST);
        let mut down = false;
        loop {
            // After an outage the backend may know no members yet.
            let sent = match down {
                false => Ok(()),
                true => self.wait_for_members(feed, stop).await?,
            };
            let sent = match sent {
                Ok(()) => {
                    self.layer
                        .group_send(group, Reply::text(told.text.clone()))
                        .await
                }
                Err(error) => Err(error),
            };
            match sent {
                Ok(_) => return Ok(()),
                Err(SendError::Closed) => return Err(Interrupted::Stopped),
                // Also when the outcome is not known: better twice than never.
                Err(error) if error.is_transient() => {
                    if !std::mem::replace(&mut down, true) {
                        tracing::warn!(%error, "the layer takes no changes; they wait");
                    }
                }
                Err(error) => {
                    meter::dropped(table, "refused");
                    tracing::error!(table, %group, %error, "a change is passed over");
                    return Ok(());
                }
            }
            pause(feed, stop, again.next()).await?;
        }
    }

    /// Waits until the nodes have had the time to announce their members; asks
    /// by sending nothing to a group that has none.
    async fn wait_for_members<F: Feed>(
        &self,
        feed: &mut F,
        stop: &CancellationToken,
    ) -> Result<Result<(), SendError>, Interrupted> {
        let Ok(nobody) = GroupName::new(NOBODY) else {
            return Ok(Ok(()));
        };
        loop {
            match self.layer.group_send(&nobody, Reply::default()).await {
                Ok(delivery) if delivery.certain => return Ok(Ok(())),
                Ok(_) => pause(feed, stop, MEMBERS_INTERVAL).await?,
                Err(error) => return Ok(Err(error)),
            }
        }
    }
}

/// Waits for a while, as the taker.
async fn pause<F: Feed>(
    feed: &mut F,
    stop: &CancellationToken,
    time: Duration,
) -> Result<(), Interrupted> {
    if stop.run_until_cancelled(sleep(time)).await.is_none() {
        return Err(Interrupted::Stopped);
    }
    feed.endure().await?;
    Ok(())
}
