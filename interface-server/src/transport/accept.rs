//! Accepts connections and deals them out to the shards.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustix::net::Shutdown;
use tokio_util::sync::CancellationToken;
use towpath_layer_core::metrics::ACCEPT_ERRORS;

use crate::hub::{Arrival, Hub};

/// Waits after an error that is not the peer's: out of descriptors, mostly.
const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// Sockets above `connections_max` that may be open to hear that they are too
/// many, or to fetch a page.
const SPARE: usize = 1024;

/// A thread that accepts, until this is dropped; it is not waited for then. It
/// blocks: a socket is known to one runtime only, that of its shard.
#[derive(Debug)]
pub(crate) struct Acceptor {
    shared: Arc<Shared>,
    thread: thread::Thread,
    ended: CancellationToken,
}

#[derive(Debug)]
struct Shared {
    listener: TcpListener,
    closed: AtomicBool,
}

impl Acceptor {
    /// Starts to accept.
    ///
    /// # Errors
    ///
    /// If there is no thread to be had.
    pub(crate) fn start(hub: Arc<Hub>, listener: TcpListener) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            listener,
            closed: AtomicBool::new(false),
        });
        let ended = CancellationToken::new();
        let (own, ending) = (Arc::clone(&shared), ended.clone());
        let handle = thread::Builder::new()
            .name("towpath-accept".to_owned())
            .spawn(move || {
                let _ending = ending.drop_guard();
                run(&hub, &own);
            })?;
        Ok(Self {
            shared,
            thread: handle.thread().clone(),
            ended,
        })
    }

    /// Waits until the thread has ended. Before this is dropped, that is a failure.
    pub(crate) async fn ended(&self) {
        self.ended.cancelled().await;
    }
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Release);
        // Wakes the thread where it waits. A listener does not refuse this.
        if let Err(error) = rustix::net::shutdown(&self.shared.listener, Shutdown::Both) {
            tracing::warn!(%error, "the listening socket could not be shut down");
        }
        self.thread.unpark();
    }
}

fn run(hub: &Arc<Hub>, shared: &Shared) {
    let mut backoff = BACKOFF_MIN;
    loop {
        let accepted = shared.listener.accept();
        if shared.closed.load(Ordering::Acquire) {
            return;
        }
        match accepted {
            Ok((stream, client)) => {
                backoff = BACKOFF_MIN;
                deal(hub, stream, client);
            }
            Err(error) if is_of_the_peer(&error) => {}
            Err(error) => {
                metrics::counter!(ACCEPT_ERRORS).increment(1);
                tracing::warn!(%error, "no connection is accepted for a while");
                thread::park_timeout(backoff);
                backoff = (backoff * 2).min(BACKOFF_MAX);
            }
        }
    }
}

/// A connection that was gone before it was accepted.
fn is_of_the_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

fn deal(hub: &Arc<Hub>, stream: TcpStream, client: SocketAddr) {
    if hub.sockets() >= hub.config.connections_max.saturating_add(SPARE) {
        tracing::debug!("too many sockets: one is closed unheard");
        return;
    }
    if let Err(error) = stream.set_nonblocking(true) {
        tracing::debug!(%error, "an accepted socket is of no use");
        return;
    }
    let Some((seat, arrivals)) = hub.seat() else {
        return;
    };
    let arrival = Arrival::Socket {
        stream,
        client,
        seat,
    };
    if arrivals.blocking_send(arrival).is_err() {
        tracing::debug!("a shard has ended: a socket is closed unheard");
    }
}
