//! Accepts connections and deals them out to the shards.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use towpath_layer_core::metrics::ACCEPT_ERRORS;

use crate::hub::{Arrival, Hub};

/// Waits after an error that is not the peer's: out of descriptors, mostly.
const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// Sockets above `connections_max` that may be open to hear that they are too
/// many, or to fetch a page.
const SPARE: usize = 1024;

/// Accepts for ever.
pub(crate) async fn run(hub: &Arc<Hub>, listener: &TcpListener) {
    let mut backoff = BACKOFF_MIN;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                backoff = BACKOFF_MIN;
                deal(hub, stream).await;
            }
            Err(error) if is_of_the_peer(&error) => {}
            Err(error) => {
                metrics::counter!(ACCEPT_ERRORS).increment(1);
                tracing::warn!(%error, "no connection is accepted for a while");
                sleep(backoff).await;
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

async fn deal(hub: &Arc<Hub>, stream: TcpStream) {
    if hub.sockets() >= hub.config.connections_max.saturating_add(SPARE) {
        tracing::debug!("too many sockets: one is closed unheard");
        return;
    }
    let stream = match stream.into_std() {
        Ok(stream) => stream,
        Err(error) => {
            tracing::debug!(%error, "an accepted socket is of no use");
            return;
        }
    };
    if let Some((seat, arrivals)) = hub.seat()
        && arrivals
            .send(Arrival::Socket { stream, seat })
            .await
            .is_err()
    {
        tracing::debug!("a shard has ended: a socket is closed unheard");
    }
}
