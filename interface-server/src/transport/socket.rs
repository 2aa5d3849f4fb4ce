//! A connection's second life: WebSocket.
//!
//! One task reads. Writing is the shard's business; the task writes only
//! while the socket takes less than there is.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use bytestring::ByteString;
use futures_util::{FutureExt, Stream};
use tokio::io::{AsyncRead, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};
use tracing::Instrument;

use super::fragments::{FragmentCount, TooManyFragments};
use super::outbox::Progress;
use super::pipe::Pipe;
use super::stream::Upgrade;
use crate::conversation::Reading;
use crate::hub::Seat;
use crate::hub::connection::{Connection, Line};
use crate::hub::flusher::Urgency;
use crate::hub::shard::Shard;
use crate::metrics;
use crate::protocol::{close, plain};

/// The library allocates this much for each connection, up front.
const READ_BUFFER: usize = 4 << 10;

/// The library writes only control frames, each at once.
const WRITE_BUFFER_MAX: usize = 4 << 10;

/// Messages that one connection may handle before others have their turn.
const MESSAGES_PER_TURN: usize = 64;

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
    let mut fragments = FragmentCount::default();
    let counted = fragments.feed(&upgrade.early, shard.config.fragments_max);
    connection.line.borrow_mut().write = Some(upgrade.write);
    connection.heard.set(shard.now());
    shard.metrics.connections.increment(1.0);
    let pipe = Pipe {
        read: upgrade.read,
        fragments,
        overflow: false,
        connection: Rc::clone(&connection),
        shard: Rc::clone(shard),
    };
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_write_buffer_size(WRITE_BUFFER_MAX)
        .max_frame_size(Some(shard.config.frame_size_max))
        .max_message_size(Some(shard.config.message_size_max));
    let early = upgrade.early.to_vec();
    let websocket = WebSocketStream::from_partially_read(pipe, early, Role::Server, Some(config));
    let mut socket = Socket {
        shard: Rc::clone(shard),
        connection,
        // It only wraps the pipe: there is nothing that it could wait for.
        websocket: websocket.now_or_never().map(Box::new),
        state: State::Reading,
        flushing: false,
        reset: false,
        _seat: seat,
    };
    if counted.is_err() {
        socket.violated(close::TOO_BIG, "too many fragments");
    }
    shard.flusher.mark(&socket.connection, Urgency::Now);
    let id = socket.connection.id;
    let span = tracing::debug_span!("connection", conn_id = %id, transport = "websocket");
    shard.sockets.spawn_local(socket.instrument(span));
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Messages come.
    Reading,
    /// The peer has closed; the answer goes out.
    PeerClosed,
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
    websocket: Option<Box<WebSocketStream<Pipe>>>,
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

    fn read(&mut self, cx: &mut Context<'_>) {
        for _ in 0..MESSAGES_PER_TURN {
            let polled = match self.state {
                State::Reading | State::PeerClosed => self.read_message(cx),
                State::Lingering { .. } => self.read_rest(cx),
                State::Writing | State::Done => return,
            };
            if polled.is_pending() {
                return;
            }
        }
        // There may be more; others come first.
        cx.waker().wake_by_ref();
    }

    fn read_message(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let reading = self
            .connection
            .conversation
            .borrow()
            .reading(&self.shard.rules);
        if self.state == State::Reading && reading == Reading::Pause {
            self.connection.paused.set(true);
            return Poll::Pending;
        }
        if self.connection.paused.replace(false) {
            // Silence counts from here: until now nobody listened.
            self.connection.heard.set(self.shard.now());
        }
        let Some(websocket) = &mut self.websocket else {
            self.state = State::Done;
            return Poll::Ready(());
        };
        let next = ready!(Pin::new(&mut **websocket).poll_next(cx));
        if std::mem::take(&mut websocket.get_mut().overflow) {
            self.shard.overflow(&self.connection);
        }
        match next {
            Some(Ok(message)) => self.message(message, reading),
            Some(Err(error)) => self.failed(&error),
            None if self.state == State::PeerClosed => {
                self.connection.line.borrow_mut().outbox.seal();
                self.state = State::Writing;
            }
            None => self.state = State::Done,
        }
        Poll::Ready(())
    }

    fn message(&mut self, message: Message, reading: Reading) {
        let deliver = reading == Reading::Deliver;
        match message {
            Message::Text(text) if deliver => match plain::text(Bytes::from(text)) {
                Some(frame) => self.shard.receive(&self.connection, frame),
                None => self.violated(close::INVALID_TEXT, "not UTF-8"),
            },
            Message::Binary(bytes) if deliver => {
                self.shard.receive(&self.connection, plain::bytes(bytes));
            }
            Message::Close(frame) => self.peer_closed(frame),
            // The library answers pings; what came counts as life already.
            Message::Text(_)
            | Message::Binary(_)
            | Message::Ping(_)
            | Message::Pong(_)
            | Message::Frame(_) => {}
        }
    }

    fn peer_closed(&mut self, frame: Option<CloseFrame>) {
        let (code, reason) = frame.map_or((close::NO_STATUS, ByteString::new()), |frame| {
            (frame.code.into(), ByteString::from(frame.reason.as_str()))
        });
        let sealed = {
            let mut line = self.connection.line.borrow_mut();
            let by = self.shard.now() + self.shard.config.close_timeout;
            line.close_by.get_or_insert(by);
            line.outbox.is_sealed()
        };
        if !sealed {
            metrics::closed(code);
        }
        self.state = State::PeerClosed;
        self.shard.transport_ended(&self.connection, code, reason);
    }

    fn failed(&mut self, error: &Error) {
        match error {
            Error::Io(error) => {
                let inner = error.get_ref();
                if inner.is_some_and(<dyn std::error::Error + Send + Sync>::is::<TooManyFragments>)
                {
                    self.violated(close::TOO_BIG, "too many fragments");
                } else {
                    self.state = State::Done;
                }
            }
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
                self.state = State::Done;
            }
            Error::Capacity(_) => self.violated(close::TOO_BIG, "the message is too large"),
            Error::Utf8(_) => self.violated(close::INVALID_TEXT, "not UTF-8"),
            _ => self.violated(close::PROTOCOL, "protocol error"),
        }
    }

    /// The peer broke the protocol: it is told why, and read to its end.
    fn violated(&mut self, code: u16, reason: &'static str) {
        tracing::debug!(conn_id = %self.connection.id, code, reason, "the peer broke the protocol");
        self.state = State::Lingering {
            left: LINGER_BYTES_MAX,
            shut: false,
        };
        let reason = ByteString::from_static(reason);
        self.shard.turn(&self.connection, |conversation, turn| {
            conversation.close(code, reason, turn);
        });
    }

    fn read_rest(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let State::Lingering { left, .. } = &mut self.state else {
            return Poll::Pending;
        };
        let Some(websocket) = &mut self.websocket else {
            self.state = State::Done;
            return Poll::Ready(());
        };
        let mut space = [0; 1024];
        let mut buffer = ReadBuf::new(&mut space);
        let read = ready!(Pin::new(&mut websocket.get_mut().read).poll_read(cx, &mut buffer));
        let taken = buffer.filled().len();
        if read.is_err() || taken == 0 {
            self.state = State::Done;
        } else if taken > *left {
            self.reset = true;
            self.state = State::Done;
        } else {
            *left -= taken;
        }
        Poll::Ready(())
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
