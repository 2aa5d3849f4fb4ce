//! Ends everything on a shard in good order.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};
use towpath_layer_core::{Entropy, LocalId, SystemEntropy};

use super::shard::Shard;

/// The closes of one shard are spread over this time, so that not everybody
/// comes back to the next server at once.
const SPREAD_MAX: Duration = Duration::from_secs(1);

/// Batches in which they leave.
const BATCHES: u32 = 20;

impl Shard {
    /// Finishes what is in flight, closes every socket with 1012, hands over
    /// the disconnects and writes what is left; resets what is not done by
    /// `until`.
    pub(crate) async fn drain(self: &Rc<Self>, until: Instant) {
        // From here on nothing new begins: a handshake sees this when it
        // registers, and what registered before is in the list below.
        self.draining.cancel();
        self.sockets.close();
        self.close_in_batches(until).await;
        if timeout_at(until, self.done()).await.is_err() {
            let left = self.connections.borrow().len();
            tracing::warn!(left, "connections are reset: the drain took too long");
        }
        for connection in self.connections.borrow().values() {
            connection.cut();
        }
        // A task that is cut ends when it is polled next.
        tokio::task::yield_now().await;
    }

    async fn close_in_batches(self: &Rc<Self>, until: Instant) {
        let all = self.all_sockets();
        let left = until.saturating_duration_since(Instant::now());
        let pause = SPREAD_MAX.min(left / 4) / BATCHES;
        let size = all.len().div_ceil(BATCHES as usize).max(1);
        for (number, batch) in all.chunks(size).enumerate() {
            if number > 0 {
                sleep(jittered(pause)).await;
            }
            for id in batch {
                if let Some(connection) = self.connection(*id) {
                    self.drain_one(&connection);
                }
            }
        }
    }

    fn all_sockets(&self) -> Vec<LocalId> {
        let connections = self.connections.borrow();
        let sockets = connections.values().filter(|one| one.topic().is_none());
        sockets.map(|socket| socket.id).collect()
    }

    /// Waits until every disconnect is handed over, every socket has ended and
    /// every membership is gone.
    async fn done(&self) {
        while self.unparted.get() > 0 || !self.cleanup.is_idle() {
            self.progress.notified().await;
        }
        self.sockets.wait().await;
    }
}

/// Between half and one and a half of `pause`.
fn jittered(pause: Duration) -> Duration {
    let permille = u32::try_from(SystemEntropy.next_u64() % 1000).unwrap_or_default();
    pause * (500 + permille) / 1000
}
