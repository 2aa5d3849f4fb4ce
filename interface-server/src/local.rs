//! The interface server without threads: one shard, on the caller's runtime.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::LocalSet;
use tokio_util::sync::CancellationToken;
use towpath_layer_core::ChannelLayer;

use crate::config::ServerConfig;
use crate::drain::{Phase, drain};
use crate::hub::{self, Arrival, Hub};
use crate::mount::TowpathService;
use crate::routes::Routes;
use crate::server::{BindError, InterfaceServer, ServerHandle};

/// The one shard behind a [`TowpathService`], until it is [`run`](Self::run);
/// dropping it ends its connections.
#[derive(Debug)]
pub struct LocalServer {
    hub: Arc<Hub>,
    arrivals: mpsc::Receiver<Arrival>,
}

impl InterfaceServer {
    /// Joins the layer with one shard that runs wherever
    /// [`LocalServer::run`] is awaited: no thread is started. So a test has
    /// sockets, layer and consumers on one runtime and moves its clock. The
    /// configuration's addresses and its number of shards are not used.
    ///
    /// # Errors
    ///
    /// [`BindError::Layer`] if the layer does not take this node.
    ///
    /// # Cancel safety
    ///
    /// A dropped future leaves nothing running, but the layer may have been
    /// given a hub that is gone.
    pub async fn local(
        config: ServerConfig,
        routes: Routes,
        layer: Arc<dyn ChannelLayer>,
    ) -> Result<(TowpathService, LocalServer), BindError> {
        let config = ServerConfig {
            shards: 1,
            ..config
        };
        let (hub, mut receivers) = Hub::new(Arc::new(config), routes, Arc::clone(&layer));
        let Some(arrivals) = receivers.pop() else {
            let error = std::io::Error::other("a hub has no shard");
            return Err(BindError::Shard(error));
        };
        layer.attach(Arc::clone(&hub) as _).await?;
        hub.set_phase(Phase::Ready);
        let service = TowpathService {
            hub: Arc::clone(&hub),
        };
        Ok((service, LocalServer { hub, arrivals }))
    }
}

impl LocalServer {
    /// A handle that outlives [`run`](Self::run).
    #[must_use]
    pub fn handle(&self) -> ServerHandle {
        ServerHandle {
            hub: Arc::clone(&self.hub),
        }
    }

    /// Serves until `shutdown`, then drains as [`InterfaceServer::run`] does.
    /// The future stays on its thread; it needs no [`LocalSet`] around it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends all connections without a word.
    pub async fn run(self, shutdown: CancellationToken) {
        let Self { hub, arrivals } = self;
        let stop = CancellationToken::new();
        let shard = hub::run(Arc::clone(&hub), 0, None, arrivals, stop.clone());
        let end = async {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => tracing::info!("draining"),
                () = hub.failed.cancelled() => tracing::error!("stopping: the shard has failed"),
            }
            hub.set_phase(Phase::Draining);
            drain(&hub, hub.config.drain_timeout).await;
            stop.cancel();
        };
        let tasks = LocalSet::new();
        tasks
            .run_until(async { futures_util::join!(shard, end) })
            .await;
        hub.set_phase(Phase::Stopped);
    }
}
