//! Receivers between two polls of the same channels.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use towpath_layer_core::{ChannelLayer, ChannelName, LayerError, Receiver};

/// Receivers that wait for the next poll; over it the oldest ends.
const IDLE_MAX: usize = 64;

/// How long one waits.
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Receivers that no poll uses now. One may hold a connection to the backend,
/// which would otherwise be made anew for each poll; it takes nothing while it
/// lies here.
#[derive(Debug, Default)]
pub(super) struct Receivers(Mutex<VecDeque<Idle>>);

#[derive(Debug)]
struct Idle {
    channels: Vec<ChannelName>,
    receiver: Box<dyn Receiver>,
    since: Instant,
}

impl Receivers {
    /// A receiver of these channels, which are sorted.
    pub(super) fn take(
        &self,
        layer: &dyn ChannelLayer,
        channels: &[ChannelName],
    ) -> Result<Box<dyn Receiver>, LayerError> {
        let found = {
            let mut idle = self.0.lock();
            let place = idle.iter().rposition(|idle| idle.channels == channels);
            place.and_then(|place| idle.remove(place))
        };
        match found {
            Some(idle) => Ok(idle.receiver),
            None => layer.receiver(channels.to_vec()),
        }
    }

    /// Keeps a receiver for the next poll.
    pub(super) fn keep(&self, channels: Vec<ChannelName>, receiver: Box<dyn Receiver>) {
        let too_many = {
            let mut idle = self.0.lock();
            idle.push_back(Idle {
                channels,
                receiver,
                since: Instant::now(),
            });
            (idle.len() > IDLE_MAX).then(|| idle.pop_front()).flatten()
        };
        // Outside of the lock: it may have to say goodbye.
        drop(too_many);
    }

    /// Ends the receivers that have waited too long.
    pub(super) fn tidy(&self) {
        let late = {
            let mut idle = self.0.lock();
            let late = idle.partition_point(|idle| idle.since.elapsed() >= IDLE_TIMEOUT);
            idle.drain(..late).collect::<Vec<_>>()
        };
        drop(late);
    }

    /// Ends all receivers in good order.
    pub(super) async fn close(&self) {
        let all = std::mem::take(&mut *self.0.lock());
        for mut idle in all {
            if let Err(error) = idle.receiver.close().await {
                tracing::warn!(%error, "a receiver could not give back what it had taken");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use towpath_layer_core::{Limits, SystemClock, SystemEntropy};
    use towpath_layer_memory::MemoryLayer;

    use super::*;

    fn names(name: &str) -> Vec<ChannelName> {
        vec![ChannelName::new(name).unwrap()]
    }

    #[tokio::test(start_paused = true)]
    async fn receivers_are_used_again_for_a_while_and_no_more_than_some_wait() {
        let (clock, entropy) = (Arc::new(SystemClock::new()), Arc::new(SystemEntropy));
        let layer = MemoryLayer::new(Limits::default(), clock, entropy);
        let receivers = Receivers::default();
        let waiting = || receivers.0.lock().len();
        for number in 0..=IDLE_MAX {
            let channels = names(&format!("jobs.{number}"));
            let receiver = receivers.take(&*layer, &channels).unwrap();
            receivers.keep(channels, receiver);
        }
        assert_eq!(waiting(), IDLE_MAX);
        let again = receivers.take(&*layer, &names("jobs.7")).unwrap();
        assert_eq!(waiting(), IDLE_MAX - 1);
        tokio::time::advance(IDLE_TIMEOUT).await;
        receivers.keep(names("jobs.7"), again);
        receivers.tidy();
        assert_eq!(waiting(), 1);
        receivers.close().await;
        assert_eq!(waiting(), 0);
    }
}
