//! Writes at the end of a turn, once a socket.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::connection::{Connection, Line};
use super::shard::Shard;
use super::signal::Signal;
use crate::transport::outbox::Progress;

/// Writing is cut into slices of this length, and whatever else is ready runs
/// in between.
const SLICE: Duration = Duration::from_micros(200);

/// A slice of a pass over large groups. An echo beside it waits for two of
/// them: it is read between slices, and its reply is written in one. Where
/// shards share a core it waits for theirs, too.
const PASS_SLICE: Duration = Duration::from_micros(100);

/// The part of a slice, of one look at the clock at least, in which replies go
/// first; after it the members of large groups do.
const URGENT_FIRST: Duration = Duration::from_micros(50);

/// After a pass over large groups that took this long ...
const LONG_PASS: Duration = Duration::from_millis(1);

/// ... the next one begins this much later, or with the timer's next tick, a
/// millisecond. What comes meanwhile leaves in the same writes, and a write is
/// nearly all that a delivery costs. At low load nothing comes so soon.
const REST: Duration = Duration::from_micros(500);

/// Writes between two looks at the clock.
const WRITES_PER_LOOK: usize = 8;

/// How soon a socket is written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// A reply: before the rest of a large group.
    Now,
    /// One member of a large group.
    Bulk,
}

/// In which lists a connection is; in each once at most.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Marks {
    /// Something waits to be written; a list may outlast that.
    dirty: bool,
    urgent: bool,
    bulk: bool,
}

/// The sockets that have something to write.
#[derive(Debug, Default)]
pub(crate) struct Flusher {
    urgent: RefCell<VecDeque<Rc<Connection>>>,
    bulk: RefCell<VecDeque<Rc<Connection>>>,
    /// When the pass over large groups began that is not at its end.
    pass_began: Cell<Option<Instant>>,
    /// Until when no such pass begins.
    rest_until: Cell<Option<Instant>>,
    signal: Signal,
    scratch: RefCell<Vec<u8>>,
}

impl Flusher {
    /// Puts a connection among those to write to at the end of the turn.
    pub(crate) fn mark(&self, connection: &Rc<Connection>, urgency: Urgency) {
        let mut marks = connection.marks.get();
        marks.dirty = true;
        let list = match urgency {
            // What waits with the rest of a group goes along.
            Urgency::Now if !marks.urgent => {
                marks.urgent = true;
                Some(&self.urgent)
            }
            Urgency::Bulk if !marks.urgent && !marks.bulk => {
                marks.bulk = true;
                Some(&self.bulk)
            }
            Urgency::Now | Urgency::Bulk => None,
        };
        connection.marks.set(marks);
        if let Some(list) = list {
            list.borrow_mut().push_back(Rc::clone(connection));
            self.signal.notify();
        }
    }

    /// Lends the room in which frames are joined.
    pub(crate) fn with_scratch<R>(&self, lend: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        lend(&mut self.scratch.borrow_mut())
    }

    fn next_urgent(&self) -> Option<Rc<Connection>> {
        let connection = self.urgent.borrow_mut().pop_front()?;
        let mut marks = connection.marks.get();
        marks.urgent = false;
        connection.marks.set(marks);
        Some(connection)
    }

    fn next_bulk(&self, now: Instant) -> Option<Rc<Connection>> {
        if self.rest_until.get().is_some_and(|until| now < until) {
            return None;
        }
        let Some(connection) = self.bulk.borrow_mut().pop_front() else {
            self.end_pass(now);
            return None;
        };
        if self.pass_began.get().is_none() {
            self.pass_began.set(Some(now));
        }
        let mut marks = connection.marks.get();
        marks.bulk = false;
        connection.marks.set(marks);
        Some(connection)
    }

    fn end_pass(&self, now: Instant) {
        let began = self.pass_began.take();
        let is_long = began.is_some_and(|began| now.duration_since(began) >= LONG_PASS);
        self.rest_until.set(is_long.then(|| now + REST));
    }

    fn next(&self, bulk_first: bool, now: Instant) -> Option<Rc<Connection>> {
        if bulk_first {
            self.next_bulk(now).or_else(|| self.next_urgent())
        } else {
            self.next_urgent().or_else(|| self.next_bulk(now))
        }
    }

    /// Writes for one slice. Returns whether there is more to write now.
    fn slice(&self) -> bool {
        let started = Instant::now();
        let mut now = started;
        let mut writes = 0;
        // Each list has its part of every slice: neither starves.
        let mut bulk_first = false;
        while let Some(connection) = self.next(bulk_first, now) {
            let mut marks = connection.marks.get();
            if std::mem::take(&mut marks.dirty) {
                connection.marks.set(marks);
                self.flush(&connection);
                writes += 1;
            }
            if writes % WRITES_PER_LOOK == 0 {
                now = Instant::now();
                let spent = now - started;
                let in_pass = self.pass_began.get().is_some();
                let length = if in_pass { PASS_SLICE } else { SLICE };
                if bulk_first && spent >= length {
                    return true;
                }
                bulk_first = spent >= URGENT_FIRST;
            }
        }
        false
    }

    /// When a pass that rests begins, if there is one.
    fn next_pass(&self) -> Option<Instant> {
        let waits = !self.bulk.borrow().is_empty();
        self.rest_until.get().filter(|_| waits)
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
            // What waits is for the next poll, if there is one to come.
            if connection.session().is_some() {
                connection.task.notify();
            }
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
    let flusher = &shard.flusher;
    loop {
        match flusher.next_pass() {
            None => flusher.signal.notified().await,
            Some(at) => tokio::select! {
                biased;
                () = flusher.signal.notified() => {}
                () = sleep_until(at) => {}
            },
        }
        while flusher.slice() {
            // A worker that was woken may wait for this core: without this it
            // waits for the kernel's time slice, some milliseconds.
            if shard.hub.woken.lately() {
                std::thread::yield_now();
            }
            tokio::task::yield_now().await;
        }
    }
}
