//! The listener.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use towpath_layer_core::{ChannelLayer, History};

use super::connection;
use super::handle::Api;
use super::histories::Histories;
use super::limits::ApiLimits;
use super::receivers::{IDLE_TIMEOUT, Receivers};
use super::token::Tokens;

/// Wait after an accept that failed.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(200);

/// The layer's HTTP interface.
///
/// ```no_run
/// use std::sync::Arc;
/// use tokio::net::TcpListener;
/// use tokio_util::sync::CancellationToken;
/// use towpath_interface_server::{ApiLimits, LayerApi, Tokens};
/// use towpath_layer_core::ChannelLayer;
///
/// # async fn serve(layer: Arc<dyn ChannelLayer>) -> Result<(), Box<dyn std::error::Error>> {
/// let tokens = Tokens::new(["a-long-random-text"])?;
/// let listener = TcpListener::bind("127.0.0.1:8002").await?;
/// let stop = CancellationToken::new();
/// LayerApi::new(tokens, ApiLimits::default()).serve(listener, layer, stop).await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct LayerApi {
    tokens: Tokens,
    limits: ApiLimits,
    histories: Histories,
}

impl LayerApi {
    /// An interface that whoever has one of the tokens may use.
    #[must_use]
    pub fn new(tokens: Tokens, limits: ApiLimits) -> Self {
        Self {
            tokens,
            limits,
            histories: Histories::default(),
        }
    }

    /// With what tells of a topic whether broadcasts in it are kept, and how
    /// many. Without it none are.
    #[must_use]
    pub fn histories(self, of: impl Fn(&str) -> Option<History> + Send + Sync + 'static) -> Self {
        Self {
            histories: Histories::new(of),
            ..self
        }
    }

    /// Serves the interface until it is told to stop. Then it accepts nobody
    /// any more, polls end with what they have, and requests that run have
    /// [`stop_timeout`](ApiLimits::stop_timeout).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the connections that are open; what polls had
    /// taken and not handed out is given back.
    pub async fn serve(
        self,
        listener: TcpListener,
        layer: Arc<dyn ChannelLayer>,
        stop: CancellationToken,
    ) {
        let stop_timeout = self.limits.stop_timeout;
        let api = Arc::new(Api {
            layer,
            tokens: self.tokens,
            limits: self.limits,
            receivers: Receivers::default(),
            histories: self.histories,
            stop,
        });
        let mut connections = JoinSet::new();
        accept(&api, &listener, &mut connections).await;
        drop(listener);
        let rest = async { while connections.join_next().await.is_some() {} };
        if timeout(stop_timeout, rest).await.is_err() {
            tracing::warn!(
                connections = connections.len(),
                "cut off: requests did not end in time"
            );
            connections.shutdown().await;
        }
        api.receivers.close().await;
    }
}

async fn accept(api: &Arc<Api>, listener: &TcpListener, connections: &mut JoinSet<()>) {
    let mut tidying = interval(IDLE_TIMEOUT);
    let mut told = false;
    loop {
        let connections_max = api.limits.connections_max;
        let full = connections.len() >= connections_max;
        if full && !told {
            told = true;
            tracing::warn!(
                connections_max,
                "the HTTP interface has all its connections; further clients wait"
            );
        }
        tokio::select! {
            biased;
            () = api.stop.cancelled() => return,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            _ = tidying.tick() => {
                // Not more often than this, however often it is full.
                told = false;
                api.receivers.tidy();
            }
            accepted = listener.accept(), if !full => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection::serve(Arc::clone(api), stream));
                }
                Err(error) => {
                    tracing::warn!(%error, "the HTTP interface does not accept");
                    sleep(ACCEPT_BACKOFF).await;
                }
            },
        }
    }
}
