//! A socket without a kernel: reads come from the bench, writes are counted.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker, ready};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

/// The bytes that all sockets together were given.
#[derive(Default)]
pub(crate) struct Written {
    bytes: AtomicU64,
    awaited: AtomicU64,
    reached: Notify,
}

impl Written {
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    fn count(&self, bytes: usize) {
        let bytes = bytes as u64;
        let all = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if all >= self.awaited.load(Ordering::Relaxed) {
            self.reached.notify_one();
        }
    }

    /// Waits until that many were written since the beginning.
    pub(crate) async fn reach(&self, bytes: u64) {
        self.awaited.store(bytes, Ordering::Relaxed);
        while self.bytes() < bytes {
            self.reached.notified().await;
        }
    }
}

#[derive(Default)]
struct Input {
    bytes: VecDeque<u8>,
    reader: Option<Waker>,
}

/// The bench's end: what is said here, the server reads.
#[derive(Clone, Default)]
pub(crate) struct Peer(Arc<Mutex<Input>>);

impl Peer {
    pub(crate) fn say(&self, bytes: &[u8]) {
        let mut input = self.0.lock();
        input.bytes.extend(bytes);
        if let Some(reader) = input.reader.take() {
            reader.wake();
        }
    }

    fn poll_hear(&self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<()> {
        let mut input = self.0.lock();
        if input.bytes.is_empty() {
            input.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let (front, _) = input.bytes.as_slices();
        let taken = front.len().min(buffer.remaining());
        let (taken_bytes, _) = front.split_at(taken);
        buffer.put_slice(taken_bytes);
        input.bytes.drain(..taken);
        Poll::Ready(())
    }
}

/// The server's end.
pub(crate) struct Socket {
    peer: Peer,
    written: Arc<Written>,
    answered: bool,
}

impl Socket {
    pub(crate) fn new(peer: Peer, written: Arc<Written>) -> Self {
        Self {
            peer,
            written,
            answered: false,
        }
    }

    /// The answer to the handshake, which is the first write, counts as one
    /// byte whatever its length.
    fn take(&mut self, bytes: usize) -> Poll<io::Result<usize>> {
        let counted = if self.answered { bytes } else { 1 };
        self.answered = true;
        self.written.count(counted);
        Poll::Ready(Ok(bytes))
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.peer.poll_hear(cx, buffer));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.take(bytes.len())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.take(slices.iter().map(|slice| slice.len()).sum())
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
