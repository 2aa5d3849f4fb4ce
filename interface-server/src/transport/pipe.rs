//! What the WebSocket library reads from and writes to.
//!
//! It reads the socket; what it writes by itself (pongs, the echo of a close)
//! goes through the outbox, bounded and in order with everything else.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::fragments::FragmentCount;
use super::outbox::NotTaken;
use super::stream::ReadSide;
use crate::hub::connection::Connection;
use crate::hub::flusher::Urgency;
use crate::hub::shard::Shard;
use crate::protocol::frame::OutFrame;

/// The two ways of the library.
#[derive(Debug)]
pub(crate) struct Pipe {
    pub(crate) read: ReadSide,
    pub(crate) fragments: FragmentCount,
    /// What the library wrote found no room.
    pub(crate) overflow: bool,
    pub(crate) connection: Rc<Connection>,
    pub(crate) shard: Rc<Shard>,
}

impl AsyncRead for Pipe {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        std::task::ready!(Pin::new(&mut self.read).poll_read(cx, buffer))?;
        let new = buffer.filled().get(before..).unwrap_or_default();
        if !new.is_empty() {
            self.connection.heard.set(self.shard.now());
            let fragments_max = self.shard.config.fragments_max;
            self.fragments
                .feed(new, fragments_max)
                .map_err(io::Error::other)?;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let frame = OutFrame::encoded(bytes);
        let put = self.shard.put(&self.connection, frame, Urgency::Now);
        // After our own close frame nothing is written: not even an echo.
        self.overflow |= put == Err(NotTaken::Full);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
