//! The interface server inside another HTTP server.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use hyper::upgrade::OnUpgrade;
use tokio::sync::oneshot;
use tower::Service;
use towpath_layer_core::ChannelLayer;

use crate::BoxBody;
use crate::config::ServerConfig;
use crate::drain::{Phase, drain};
use crate::hub::connection::Decision;
use crate::hub::{self, Arrival, Hub, Threads};
use crate::origin;
use crate::protocol::refusal::Refusal;
use crate::protocol::request::{self, Ends};
use crate::routes::Routes;
use crate::server::{BindError, InterfaceServer, ServerHandle};
use crate::transport::respond;

/// Answers WebSocket requests inside another server, axum's for example: 426
/// to other requests on a WebSocket path, 404 to everything else.
///
/// A peer's address reaches the consumers if the request carries a
/// [`SocketAddr`] as an extension.
#[derive(Debug, Clone)]
pub struct TowpathService {
    hub: Arc<Hub>,
}

/// Owns the shards behind a [`TowpathService`]; dropping it ends them.
#[derive(Debug)]
pub struct ServiceHandle {
    hub: Arc<Hub>,
    threads: Threads,
}

impl InterfaceServer {
    /// Starts the shards and joins the layer, for a server that has its own
    /// listener. The configuration's addresses are not used.
    ///
    /// # Errors
    ///
    /// [`BindError`] says what did not start.
    ///
    /// # Cancel safety
    ///
    /// A dropped future leaves nothing running, but the layer may have been
    /// given a hub that is gone.
    pub async fn service(
        config: ServerConfig,
        routes: Routes,
        layer: Arc<dyn ChannelLayer>,
    ) -> Result<(TowpathService, ServiceHandle), BindError> {
        let (hub, threads) = hub::start(Arc::new(config), routes, Arc::clone(&layer), None)
            .map_err(BindError::Shard)?;
        layer.attach(Arc::clone(&hub) as _).await?;
        hub.set_phase(Phase::Ready);
        let service = TowpathService {
            hub: Arc::clone(&hub),
        };
        Ok((service, ServiceHandle { hub, threads }))
    }
}

impl ServiceHandle {
    /// What the server is doing.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.hub.phase()
    }

    /// A handle that outlives [`drain`](Self::drain).
    #[must_use]
    pub fn handle(&self) -> ServerHandle {
        ServerHandle {
            hub: Arc::clone(&self.hub),
        }
    }

    /// Drains as [`InterfaceServer::run`] does when it is told to stop.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends all connections without a word.
    pub async fn drain(self) {
        self.hub.set_phase(Phase::Draining);
        drain(&self.hub, self.hub.config.drain_timeout).await;
        self.threads.end().await;
        self.hub.set_phase(Phase::Stopped);
    }
}

impl<B> Service<Request<B>> for TowpathService {
    type Response = Response<BoxBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut parts, _body) = request.into_parts();
        let hub = Arc::clone(&self.hub);
        let upgrade = parts.extensions.remove::<OnUpgrade>();
        Box::pin(async move { Ok(answer(&hub, parts, upgrade).await) })
    }
}

async fn answer(
    hub: &Arc<Hub>,
    parts: http::request::Parts,
    upgrade: Option<OnUpgrade>,
) -> Response<BoxBody> {
    let path = request::decoded_path(parts.uri.path());
    if !hub.routes.matches(&path) {
        return respond::refused(Refusal::not_found());
    }
    if !request::asks_for_websocket(&parts.headers) {
        return respond::refused(Refusal::upgrade_required());
    }
    if !origin::is_allowed(&hub.config.origins, &parts.headers) {
        tracing::debug!("a page of a foreign origin was refused");
        return respond::refused(Refusal::forbidden());
    }
    let ends = Ends {
        client: parts.extensions.get::<SocketAddr>().copied(),
        server: None,
    };
    let request = match request::read(&parts, path, ends) {
        Ok(request) => request,
        Err(refusal) => return respond::refused(refusal),
    };
    let accept_key = request.accept_key.clone();
    let Some(upgrade) = upgrade else {
        tracing::warn!("the server that this one is mounted in does not upgrade connections");
        return respond::refused(Refusal::internal());
    };
    let decision = ask(hub, Box::new(request), upgrade).await;
    let decision = decision.unwrap_or_else(|| Decision::Refuse(Refusal::unavailable()));
    respond::decided(decision, &accept_key)
}

async fn ask(
    hub: &Arc<Hub>,
    request: Box<request::Request>,
    upgrade: OnUpgrade,
) -> Option<Decision> {
    if hub.phase() != Phase::Ready {
        return None;
    }
    let (answer, decision) = oneshot::channel();
    let (seat, arrivals) = hub.seat()?;
    let arrival = Arrival::Mounted {
        request,
        upgrade,
        answer,
        seat,
    };
    arrivals.send(arrival).await.ok()?;
    decision.await.ok()
}
