//! Writes at the end of a turn, once a socket.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::connection::{Connection, Line};
use super::shard::Shard;
use super::signal::Signal;
use crate::transport::outbox::Progress;

/// A pass over many sockets is cut into slices of this length, and whatever
/// else is ready runs in between.
const SLICE: Duration = Duration::from_micros(500);

/// Writes between two looks at the clock.
const WRITES_PER_LOOK: usize = 16;

/// How soon a socket is written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// A reply: before the rest of a large group.
    Now,
    /// One member of a large group.
    Bulk,
}

/// The sockets that have something to write.
#[derive(Debug, Default)]
pub(crate) struct Flusher {
    urgent: RefCell<VecDeque<Rc<Connection>>>,
    bulk: RefCell<VecDeque<Rc<Connection>>>,
    bulk_first: Cell<bool>,
    signal: Signal,
    scratch: RefCell<Vec<u8>>,
}

impl Flusher {
    /// Puts a connection among those to write to at the end of the turn.
    pub(crate) fn mark(&self, connection: &Rc<Connection>, urgency: Urgency) {
        if connection.dirty.replace(true) {
            return;
        }
        let list = match urgency {
            Urgency::Now => &self.urgent,
            Urgency::Bulk => &self.bulk,
        };
        list.borrow_mut().push_back(Rc::clone(connection));
        self.signal.notify();
    }

    /// Lends the room in which frames are joined.
    pub(crate) fn with_scratch<R>(&self, lend: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        lend(&mut self.scratch.borrow_mut())
    }

    fn next(&self, bulk_first: bool) -> Option<Rc<Connection>> {
        let (one, other) = if bulk_first {
            (&self.bulk, &self.urgent)
        } else {
            (&self.urgent, &self.bulk)
        };
        let first = one.borrow_mut().pop_front();
        first.or_else(|| other.borrow_mut().pop_front())
    }

    /// Writes for one slice. Returns whether there is more to write.
    fn slice(&self) -> bool {
        // Slices take turns in what comes first: neither list starves.
        let bulk_first = self.bulk_first.get();
        self.bulk_first.set(!bulk_first);
        let started = Instant::now();
        let mut writes = 0;
        while let Some(connection) = self.next(bulk_first) {
            connection.dirty.set(false);
            self.flush(&connection);
            writes += 1;
            if writes % WRITES_PER_LOOK == 0 && started.elapsed() >= SLICE {
                return true;
            }
        }
        self.bulk_first.set(false);
        false
    }

    fn flush(&self, connection: &Connection) {
        let mut line = connection.line.borrow_mut();
        let Line {
            write,
            outbox,
            blocked,
            broken,
            ..
        } = &mut *line;
        let Some(write) = write else {
            return;
        };
        if *blocked {
            return;
        }
        if !write.is_direct() {
            *blocked = true;
            connection.task.notify();
            return;
        }
        let scratch = &mut *self.scratch.borrow_mut();
        match outbox.write_to(scratch, |slices| write.try_write(slices)) {
            // Whoever waits for the last frame to leave may go on.
            Ok(Progress::Empty) if outbox.is_sealed() => connection.task.notify(),
            Ok(Progress::Empty) => {}
            Ok(Progress::Blocked) => {
                *blocked = true;
                connection.task.notify();
            }
            Err(error) => {
                tracing::debug!(conn_id = %connection.id, %error, "writing failed");
                *broken = true;
                connection.task.notify();
            }
        }
    }
}

/// Writes for as long as the shard lives.
pub(crate) async fn run(shard: Rc<Shard>) {
    loop {
        shard.flusher.signal.notified().await;
        while shard.flusher.slice() {
            tokio::task::yield_now().await;
        }
    }
}
