//! The two halves of a socket, plain TCP where possible.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use rustix::net::{SendAncillaryBuffer, SendFlags, send, sendmsg};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

type Foreign = TokioIo<Upgraded>;

/// The half that is read.
#[derive(Debug)]
pub(crate) enum ReadSide {
    Tcp(OwnedReadHalf),
    Foreign(ReadHalf<Foreign>),
}

/// The half that is written.
#[derive(Debug)]
pub(crate) enum WriteSide {
    Tcp(OwnedWriteHalf),
    Foreign(WriteHalf<Foreign>),
}

/// A socket that has just changed its protocol.
#[derive(Debug)]
pub(crate) struct Upgrade {
    pub(crate) read: ReadSide,
    pub(crate) write: WriteSide,
    /// What the HTTP parser had read beyond the request.
    pub(crate) early: Bytes,
}

impl Upgrade {
    /// A socket of this runtime.
    pub(crate) fn tcp(stream: TcpStream, early: Bytes) -> Self {
        let (read, write) = stream.into_split();
        Self {
            read: ReadSide::Tcp(read),
            write: WriteSide::Tcp(write),
            early,
        }
    }

    /// A socket that another server had; it moves to this thread's runtime if
    /// it is plain TCP.
    pub(crate) fn foreign(upgraded: Upgraded, send_buffer: usize) -> io::Result<Self> {
        let (io, early) = match auto::upgrade::downcast::<TokioIo<TcpStream>>(upgraded) {
            Ok(parts) => (parts.io, parts.read_buf),
            Err(upgraded) => match upgraded.downcast::<TokioIo<TcpStream>>() {
                Ok(parts) => (parts.io, parts.read_buf),
                Err(upgraded) => return Ok(Self::boxed(upgraded)),
            },
        };
        let stream = TcpStream::from_std(io.into_inner().into_std()?)?;
        tune(&stream, send_buffer);
        Ok(Self::tcp(stream, early))
    }

    fn boxed(upgraded: Upgraded) -> Self {
        let (read, write) = tokio::io::split(TokioIo::new(upgraded));
        Self {
            read: ReadSide::Foreign(read),
            write: WriteSide::Foreign(write),
            early: Bytes::new(),
        }
    }
}

/// Writes leave at once, and the kernel holds only so much of them.
fn tune(stream: &TcpStream, send_buffer: usize) {
    let tuned = stream
        .set_nodelay(true)
        .and_then(|()| SockRef::from(stream).set_send_buffer_size(send_buffer));
    if let Err(error) = tuned {
        // The peer may be gone already; reading will tell.
        tracing::debug!(%error, "a socket could not be tuned");
    }
}

impl WriteSide {
    /// Whether writing needs no task's waker.
    pub(crate) fn is_direct(&self) -> bool {
        matches!(self, Self::Tcp(_))
    }

    /// Writes without waiting, past the runtime's account of who is ready: it
    /// finds out itself once somebody waits.
    pub(crate) fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(half) => {
                let stream: &TcpStream = half.as_ref();
                let sent = match slices {
                    [one] => send(stream, one, SendFlags::NOSIGNAL),
                    many => {
                        let mut nothing = SendAncillaryBuffer::default();
                        sendmsg(stream, many, &mut nothing, SendFlags::NOSIGNAL)
                    }
                };
                Ok(sent?)
            }
            Self::Foreign(_) => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// Writes from a task that is woken when there is room.
    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(half) => Pin::new(half).poll_write_vectored(cx, slices),
            Self::Foreign(half) => Pin::new(half).poll_write_vectored(cx, slices),
        }
    }

    /// Moves on what layers below a foreign socket have buffered.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(_) => Poll::Ready(Ok(())),
            Self::Foreign(half) => Pin::new(half).poll_flush(cx),
        }
    }

    /// Tells the peer that nothing more comes.
    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(half) => Pin::new(half).poll_shutdown(cx),
            Self::Foreign(half) => Pin::new(half).poll_shutdown(cx),
        }
    }

    /// Ends the socket with a reset, which frees what the kernel still holds
    /// for a peer that does not read.
    pub(crate) fn reset(self) {
        if let Self::Tcp(half) = self {
            let stream: &TcpStream = half.as_ref();
            if let Err(error) = SockRef::from(stream).set_linger(Some(Duration::ZERO)) {
                tracing::debug!(%error, "a socket could not be reset");
            }
            half.forget();
        }
    }
}

impl AsyncRead for ReadSide {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Tcp(half) => Pin::new(half).poll_read(cx, buffer),
            Self::Foreign(half) => Pin::new(half).poll_read(cx, buffer),
        }
    }
}
