//! A node as its broker knows it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use towpath_layer_core::{InboxSink, LocalId, Mailbox, NodeId, Switchboard};

use crate::wakes::Seat;

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) id: NodeId,
    switchboard: Arc<Switchboard>,
    closed: AtomicBool,
    seats: Mutex<HashMap<u64, Arc<Seat>>>,
    next_seat: AtomicU64,
}

impl Node {
    pub(crate) fn new(id: NodeId) -> Self {
        Self {
            id,
            switchboard: Switchboard::new(id),
            closed: AtomicBool::new(false),
            seats: Mutex::default(),
            next_seat: AtomicU64::new(0),
        }
    }

    /// Where entries for this node go, if anybody takes them.
    pub(crate) fn sink(&self) -> Option<&dyn InboxSink> {
        let attended = self.switchboard.is_attended();
        attended.then_some(&*self.switchboard as _)
    }

    /// Takes what arrives for this node into `sink`, unless the node is closed.
    pub(crate) fn attach(&self, sink: Arc<dyn InboxSink>) -> bool {
        self.switchboard.attach(sink);
        let open = !self.is_closed();
        if !open {
            self.switchboard.close();
        }
        open
    }

    /// A mailbox, unless the node is closed.
    pub(crate) fn mailbox(&self) -> Option<Mailbox> {
        let mailbox = self.switchboard.open();
        (!self.is_closed()).then_some(mailbox)
    }

    /// Who takes what is for that connection, if it is open.
    pub(crate) fn sink_of(&self, local: LocalId) -> Option<Arc<dyn InboxSink>> {
        let taker = self.switchboard.taker_of(local);
        taker.filter(|sink| sink.is_live(local))
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Ends every receiver and takes nothing more. Returns whether it was open.
    pub(crate) fn close(&self) -> bool {
        let was_closed = self.closed.swap(true, Ordering::AcqRel);
        self.switchboard.close();
        for seat in self.seats.lock().values() {
            seat.waker.wake();
        }
        !was_closed
    }

    /// A place for one receiver, and the number under which it is known.
    pub(crate) fn seat(&self) -> (u64, Arc<Seat>) {
        let number = self.next_seat.fetch_add(1, Ordering::Relaxed);
        let seat = Arc::new(Seat::default());
        self.seats.lock().insert(number, Arc::clone(&seat));
        (number, seat)
    }

    pub(crate) fn unseat(&self, number: u64) {
        self.seats.lock().remove(&number);
    }
}
