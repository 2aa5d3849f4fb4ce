//! Waiting for room: who waits in this process, and who tells them.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::failure::Failure;
use crate::link::Session;

/// The waiters of this process, by the topic on which they are told.
#[derive(Debug, Default)]
pub(crate) struct Rooms {
    waiting: Mutex<HashMap<String, Arc<Room>>>,
}

#[derive(Debug, Default)]
struct Room {
    freed: Notify,
    waiters: Mutex<usize>,
    /// The connection on which the topic is subscribed; held while subscribing.
    subscribed: tokio::sync::Mutex<Option<u64>>,
}

/// A place among the waiters.
#[derive(Debug)]
pub(crate) struct Waiting {
    topic: String,
    room: Arc<Room>,
}

impl Rooms {
    pub(crate) fn enter(&self, topic: String) -> Waiting {
        let room = Arc::clone(self.waiting.lock().entry(topic.clone()).or_default());
        *room.waiters.lock() += 1;
        Waiting { topic, room }
    }

    /// Lets as many go on as there is room for; all, if that is not known.
    pub(crate) fn wake(&self, topic: &str, freed: usize) {
        let Some(room) = self.waiting.lock().get(topic).map(Arc::clone) else {
            return;
        };
        let waiters = *room.waiters.lock();
        let go = if freed == 0 {
            waiters
        } else {
            freed.min(waiters)
        };
        for _ in 0..go {
            room.freed.notify_one();
        }
    }

    /// Ends the subscriptions for which nobody waits any more.
    pub(crate) async fn tidy(&self, session: &Session) {
        let rooms: Vec<_> = {
            let waiting = self.waiting.lock();
            let unused = |(_, room): &(&String, &Arc<Room>)| Arc::strong_count(room) == 1;
            let unused = waiting.iter().filter(unused);
            unused
                .map(|(topic, room)| (topic.clone(), Arc::clone(room)))
                .collect()
        };
        for (topic, room) in rooms {
            // Whoever comes now waits for this, and subscribes again.
            let mut subscribed = room.subscribed.lock().await;
            if !self.is_left(&room) {
                continue;
            }
            if *subscribed == Some(session.serial())
                && let Err(error) = session.unsubscribe(&topic).await
            {
                tracing::debug!(%error, topic, "could not unsubscribe");
            }
            *subscribed = None;
            drop(subscribed);
            let mut waiting = self.waiting.lock();
            if Arc::strong_count(&room) == 2 {
                waiting.remove(&topic);
            }
        }
    }

    /// Whether only the list of rooms, and the caller, hold a room.
    fn is_left(&self, room: &Arc<Room>) -> bool {
        let _nobody_enters = self.waiting.lock();
        Arc::strong_count(room) == 2
    }
}

impl Waiting {
    /// Has the server tell this process of room.
    pub(crate) async fn subscribe(&self, session: &Session) -> Result<(), Failure> {
        let mut subscribed = self.room.subscribed.lock().await;
        if *subscribed != Some(session.serial()) {
            session.subscribe(&self.topic).await?;
            *subscribed = Some(session.serial());
        }
        Ok(())
    }

    /// Waits until there is news of room.
    pub(crate) async fn freed(&self) {
        self.room.freed.notified().await;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        *self.room.waiters.lock() -= 1;
    }
}
