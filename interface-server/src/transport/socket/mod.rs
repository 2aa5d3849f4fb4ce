//! A connection's second life: WebSocket.
//!
//! One task reads. Writing is the shard's business; the task writes only
//! while the socket takes less than there is.

mod reading;

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::BytesMut;
use tracing::Instrument;

use super::outbox::Progress;
use super::reader::Reader;
use super::stream::{ReadSide, Upgrade};
use crate::hub::Seat;
use crate::hub::connection::{Connection, Line};
use crate::hub::flusher::Urgency;
use crate::hub::shard::Shard;

/// What a peer may still send after it broke the protocol, in bytes.
const LINGER_BYTES_MAX: usize = 1 << 20;

/// Ends the conversation of a handshake whose connection is lost.
#[derive(Debug)]
pub(crate) struct Guard {
    shard: Rc<Shard>,
    connection: Option<Rc<Connection>>,
}

impl Guard {
    pub(crate) fn new(shard: &Rc<Shard>, connection: Rc<Connection>) -> Self {
        Self {
            shard: Rc::clone(shard),
            connection: Some(connection),
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.shard.let_go(&connection);
        }
    }
}

/// Starts to read a socket, and to write what has gathered for it.
pub(crate) fn start(shard: &Rc<Shard>, mut guard: Guard, upgrade: Upgrade, seat: Seat) {
    let Some(connection) = guard.connection.take() else {
        return;
    };
    connection.line.borrow_mut().write = Some(upgrade.write);
    connection.heard.set(shard.now());
    shard.metrics.connections.increment(1.0);
    let socket = Socket {
        shard: Rc::clone(shard),
        connection,
        side: upgrade.read,
        reader: Reader::default(),
        kept: BytesMut::from(&*upgrade.early),
        state: State::Reading,
        flushing: false,
        reset: false,
        _seat: seat,
    };
    shard.flusher.mark(&socket.connection, Urgency::Now);
    let id = socket.connection.id;
    let span = tracing::debug_span!("connection", conn_id = %id, transport = "websocket");
    shard.sockets.spawn_local(socket.instrument(span));
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Messages come.
    Reading,
    /// Both sides have closed: nothing is left but to write.
    Writing,
    /// The peer broke the protocol: what it still sends is thrown away, so
    /// that it can read why.
    Lingering { left: usize, shut: bool },
    /// Over.
    Done,
}

/// The task of one WebSocket.
#[derive(Debug)]
struct Socket {
    shard: Rc<Shard>,
    connection: Rc<Connection>,
    side: ReadSide,
    reader: Reader,
    /// What was read and not handled: the conversation has enough for now.
    kept: BytesMut,
    state: State,
    /// Layers below a foreign socket hold bytes.
    flushing: bool,
    reset: bool,
    _seat: Seat,
}

impl Future for Socket {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        // Taken signals are handled below; the last poll leaves the waker.
        while this.connection.task.poll(cx).is_ready() {}
        if this.connection.cut.get() {
            this.reset = true;
            return Poll::Ready(());
        }
        if let Err(error) = this.write(cx) {
            tracing::debug!(conn_id = %this.connection.id, %error, "the peer is gone");
            return Poll::Ready(());
        }
        this.read(cx);
        let written = this.connection.line.borrow().outbox.is_empty() && !this.flushing;
        match this.state {
            State::Done => Poll::Ready(()),
            State::Writing if written => Poll::Ready(()),
            _ => Poll::Pending,
        }
    }
}

impl Socket {
    /// Writes what the shard could not.
    fn write(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let mut line = self.connection.line.borrow_mut();
        let Line {
            write: Some(write),
            outbox,
            blocked,
            broken: false,
            ..
        } = &mut *line
        else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        if *blocked {
            let progress = self.shard.flusher.with_scratch(|scratch| {
                outbox.write_to(scratch, |slices| match write.poll_write(cx, slices) {
                    Poll::Ready(written) => written,
                    Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
                })
            })?;
            *blocked = progress == Progress::Blocked;
            self.flushing = !write.is_direct();
        }
        if self.flushing {
            self.flushing = match write.poll_flush(cx) {
                Poll::Ready(flushed) => flushed.map(|()| false)?,
                Poll::Pending => true,
            };
        }
        if let State::Lingering { shut, .. } = &mut self.state
            && !*shut
            && outbox.is_empty()
            && let Poll::Ready(closed) = write.poll_shutdown(cx)
        {
            closed?;
            *shut = true;
        }
        Ok(())
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let write = {
            let mut line = self.connection.line.borrow_mut();
            line.outbox.seal();
            line.outbox.discard();
            line.close_by = None;
            line.write.take()
        };
        if self.reset
            && let Some(write) = write
        {
            write.reset();
        }
        self.shard.metrics.connections.decrement(1.0);
        self.shard.let_go(&self.connection);
    }
}
