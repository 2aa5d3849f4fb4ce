//! Reads a socket, through a buffer that all sockets of a shard share.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use bytestring::ByteString;
use tokio::io::{AsyncRead, ReadBuf};

use super::{LINGER_BYTES_MAX, Socket, State};
use crate::conversation::Reading;
use crate::hub::flusher::Urgency;
use crate::metrics;
use crate::protocol::frame::OutFrame;
use crate::transport::outbox::NotTaken;
use crate::transport::reader::{Input, Limits, Received, Violation};

/// A shard's read buffer, in bytes.
const BUFFER: usize = 64 << 10;

/// Bytes that are read while it is not known what comes. What a connection
/// may not handle yet of them it keeps, so this bounds what it keeps.
const AHEAD: usize = 16 << 10;

/// Messages that one connection may handle before others have their turn.
const MESSAGES_PER_TURN: usize = 64;

impl Socket {
    /// Reads for one turn.
    pub(super) fn read(&mut self, cx: &mut Context<'_>) {
        let mut buffer = self.shard.read_buffer.take();
        buffer.resize(BUFFER, 0);
        let mut budget = MESSAGES_PER_TURN;
        loop {
            let polled = match self.state {
                State::Reading => self.read_messages(cx, &mut buffer, &mut budget),
                State::Lingering { .. } => self.read_rest(cx, &mut buffer),
                State::Writing | State::Done => break,
            };
            if polled.is_pending() {
                break;
            }
            budget = budget.saturating_sub(1);
            if budget == 0 {
                // There may be more; others come first.
                cx.waker().wake_by_ref();
                break;
            }
        }
        self.shard.read_buffer.set(buffer);
    }

    /// Handles what was kept; if there is nothing, what the next read brings.
    fn read_messages(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
        budget: &mut usize,
    ) -> Poll<()> {
        if self.listening().is_none() {
            return Poll::Pending;
        }
        if !self.kept.is_empty() {
            let mut kept = std::mem::take(&mut self.kept);
            let left = self.handle(&mut kept, budget);
            kept.advance(kept.len() - left);
            if left > 0 {
                self.kept = kept;
            }
            return Poll::Ready(());
        }
        let len = self.reader.expected().clamp(AHEAD, BUFFER);
        let mut space = ReadBuf::new(buffer.get_mut(..len).unwrap_or_default());
        let read = ready!(Pin::new(&mut self.side).poll_read(cx, &mut space));
        let bytes = space.filled_mut();
        if read.is_err() || bytes.is_empty() {
            self.state = State::Done;
            return Poll::Ready(());
        }
        self.connection.heard.set(self.shard.now());
        let left = self.handle(bytes, budget);
        if let Some(rest) = bytes
            .get(bytes.len() - left..)
            .filter(|rest| !rest.is_empty())
        {
            self.kept = BytesMut::from(rest);
        }
        Poll::Ready(())
    }

    /// Handles messages. Returns how many bytes are left for another time.
    fn handle(&mut self, bytes: &mut [u8], budget: &mut usize) -> usize {
        let config = &self.shard.config;
        let mount = self
            .connection
            .phoenix
            .as_ref()
            .map(|one| &one.speech.mount);
        let limits = Limits {
            frame_size_max: config.frame_size_max,
            message_size_max: mount.map_or(config.message_size_max, |mount| {
                mount.message_size_max(config.message_size_max)
            }),
            fragments_max: config.fragments_max,
        };
        let mut input = Input::new(bytes);
        while *budget > 0
            && let Some(reading) = self.listening()
        {
            match self.reader.next(&mut input, &limits) {
                Ok(Some(received)) => self.received(received, reading),
                Ok(None) => return 0,
                Err(violation) => self.violated(violation),
            }
            if self.state != State::Reading {
                return 0;
            }
            *budget -= 1;
        }
        input.len()
    }

    /// What to do with the next message; none if it has to wait.
    fn listening(&self) -> Option<Reading> {
        let connection = &*self.connection;
        let reading = self.shard.reading(connection);
        if reading == Reading::Pause {
            connection.paused.set(true);
            return None;
        }
        if connection.paused.replace(false) {
            // Silence counts from here: until now nobody listened.
            connection.heard.set(self.shard.now());
        }
        Some(reading)
    }

    fn received(&mut self, received: Received, reading: Reading) {
        match received {
            Received::Data(frame) if reading == Reading::Deliver => {
                self.shard.receive(&self.connection, frame);
            }
            Received::Ping(payload) => {
                let pong = OutFrame::pong(payload);
                let put = self.shard.put(&self.connection, pong, Urgency::Now);
                // After our own close frame nothing is written.
                if put == Err(NotTaken::Full) {
                    self.shard.overflow(&self.connection);
                }
            }
            Received::Close { code, reason } => self.peer_closed(code, reason),
            // What came counts as life already.
            Received::Data(_) | Received::Pong => {}
        }
    }

    /// Answers the peer's close, unless it is the answer to ours.
    fn peer_closed(&mut self, code: u16, reason: ByteString) {
        {
            let mut line = self.connection.line.borrow_mut();
            let by = self.shard.now() + self.shard.config.close_timeout;
            line.close_by.get_or_insert(by);
            if !line.outbox.is_sealed() {
                metrics::closed(code);
                line.outbox.push_last(OutFrame::close(code, &reason));
            }
        }
        self.shard.flusher.mark(&self.connection, Urgency::Now);
        self.state = State::Writing;
        self.shard.transport_ended(&self.connection, code, reason);
    }

    /// The peer broke the protocol: it is told why, and read to its end.
    fn violated(&mut self, violation: Violation) {
        let (code, reason) = violation.close();
        let id = self.connection.id;
        tracing::debug!(conn_id = %id, code, %violation, "the peer broke the protocol");
        self.state = State::Lingering {
            left: LINGER_BYTES_MAX,
            shut: false,
        };
        let reason = ByteString::from_static(reason);
        self.shard.turn(&self.connection, |conversation, turn| {
            conversation.close(code, reason, turn);
        });
    }

    /// Throws away what comes.
    fn read_rest(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<()> {
        let State::Lingering { left, .. } = &mut self.state else {
            return Poll::Pending;
        };
        let mut space = ReadBuf::new(buffer);
        let read = ready!(Pin::new(&mut self.side).poll_read(cx, &mut space));
        let taken = space.filled().len();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::connection::Connection;

    #[test]
    fn an_idle_socket_has_little_to_keep() {
        let sizes = (size_of::<Socket>(), size_of::<Connection>());
        assert!(sizes.0 <= 112 && sizes.1 <= 864, "{sizes:?}");
    }
}
