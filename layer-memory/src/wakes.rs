//! Who has to be told that something has changed.

use std::sync::Arc;

use futures_util::task::AtomicWaker;

use crate::channel::Channel;

/// Where one receiver waits.
#[derive(Debug, Default)]
pub(crate) struct Seat {
    pub(crate) waker: AtomicWaker,
}

/// Who is told once all locks are given back: a waker may run anything.
#[derive(Debug, Default)]
#[must_use]
pub(crate) struct Wakes {
    /// A receiver for which there is a message.
    pub(crate) seat: Option<Arc<Seat>>,
    /// A channel with places for which somebody waits, and how many.
    pub(crate) places: Option<(Arc<Channel>, usize)>,
}

impl Wakes {
    pub(crate) fn tell(self) {
        if let Some(seat) = self.seat {
            seat.waker.wake();
        }
        if let Some((channel, places)) = self.places {
            channel.signal_room(places);
        }
    }
}
