//! The server: sockets in front, the layer behind, the hub between.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use towpath_layer_core::{ChannelLayer, LayerError};

use crate::HttpService;
use crate::config::ServerConfig;
use crate::drain::{Phase, drain};
use crate::hub::{self, Hub, Threads};
use crate::operator::Operator;
use crate::routes::Routes;
use crate::transport::accept::Acceptor;
use crate::transport::listener;

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// An address cannot be listened on.
    #[error("{address} cannot be listened on")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// A shard's thread or its runtime did not start.
    #[error("a shard did not start")]
    Shard(#[source] io::Error),
    /// The layer does not take this node.
    #[error("the layer was not joined")]
    Layer(#[from] LayerError),
}

/// Holds sockets and turns what happens on them into events on a layer.
pub struct InterfaceServer {
    hub: Arc<Hub>,
    threads: Threads,
    listener: std::net::TcpListener,
    operator: Option<(TcpListener, Operator)>,
    local_addr: SocketAddr,
}

impl fmt::Debug for InterfaceServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InterfaceServer")
            .field("local_addr", &self.local_addr)
            .field("phase", &self.phase())
            .finish_non_exhaustive()
    }
}

/// Tells from elsewhere how a server is doing.
#[derive(Debug, Clone)]
pub struct ServerHandle {
    pub(crate) hub: Arc<Hub>,
}

impl ServerHandle {
    /// What the server is doing.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.hub.phase()
    }

    /// Conversations that are not over.
    #[must_use]
    pub fn conversations(&self) -> usize {
        self.hub.open.load(std::sync::atomic::Ordering::Relaxed)
    }
}

impl InterfaceServer {
    /// Binds the sockets, starts the shards and joins the layer. Connections
    /// are accepted from [`run`](Self::run) on.
    ///
    /// `http` answers what is not on a WebSocket path; without it that is 404.
    ///
    /// # Errors
    ///
    /// [`BindError`] says what did not start.
    ///
    /// # Cancel safety
    ///
    /// A dropped future leaves nothing running, but the layer may have been
    /// given a hub that is gone.
    pub async fn bind(
        config: ServerConfig,
        routes: Routes,
        layer: Arc<dyn ChannelLayer>,
        http: Option<HttpService>,
        operator: Option<Operator>,
    ) -> Result<Self, BindError> {
        let cannot_listen = |source| BindError::Listen {
            address: config.listen,
            source,
        };
        let listener =
            listener::listen(config.listen, config.send_buffer_bytes).map_err(cannot_listen)?;
        let local_addr = listener.local_addr().map_err(cannot_listen)?;
        let operator = match config.operator_listen.zip(operator) {
            Some((address, operator)) => Some((listen(address).await?, operator)),
            None => None,
        };
        let (hub, threads) =
            hub::start(Arc::new(config), routes, Arc::clone(&layer), http.as_ref())
                .map_err(BindError::Shard)?;
        layer.attach(Arc::clone(&hub) as _).await?;
        Ok(Self {
            hub,
            threads,
            listener,
            operator,
            local_addr,
        })
    }

    /// Where sockets and pages are served.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Where the operator's pages are served.
    #[must_use]
    pub fn operator_addr(&self) -> Option<SocketAddr> {
        self.operator.as_ref()?.0.local_addr().ok()
    }

    /// What the server is doing.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.hub.phase()
    }

    /// A handle that outlives [`run`](Self::run).
    #[must_use]
    pub fn handle(&self) -> ServerHandle {
        ServerHandle {
            hub: Arc::clone(&self.hub),
        }
    }

    /// Serves until `shutdown` is cancelled, then drains: accepts nothing
    /// more, finishes what is in flight, closes every socket with 1012, hands
    /// over the disconnects, and returns; all within the drain timeout.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends all connections without a word.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut operators = JoinSet::new();
        if let Some((listener, operator)) = self.operator {
            let hub = Arc::clone(&self.hub);
            let takes_work = Arc::new(move || hub.phase() == Phase::Ready);
            let layer = Arc::clone(&self.hub.layer);
            operators.spawn(operator.serve(listener, layer, takes_work));
        }
        match Acceptor::start(Arc::clone(&self.hub), self.listener) {
            Ok(acceptor) => {
                self.hub.set_phase(Phase::Ready);
                serve(&self.hub, acceptor, &shutdown).await;
            }
            Err(error) => tracing::error!(%error, "stopping: nothing can be accepted"),
        }
        self.hub.set_phase(Phase::Draining);
        drain(&self.hub, self.hub.config.drain_timeout).await;
        self.threads.end().await;
        self.hub.set_phase(Phase::Stopped);
        operators.shutdown().await;
    }
}

/// Serves until something ends it; then nothing more is accepted. What was
/// accepted in that moment is closed unheard, or ends with its shard.
async fn serve(hub: &Hub, acceptor: Acceptor, shutdown: &CancellationToken) {
    tokio::select! {
        biased;
        () = shutdown.cancelled() => tracing::info!("draining"),
        () = hub.failed.cancelled() => tracing::error!("stopping: a shard has failed"),
        () = acceptor.ended() => tracing::error!("stopping: accepting has failed"),
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, BindError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| BindError::Listen { address, source })
}
