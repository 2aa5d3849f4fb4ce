//! The interface server inside another HTTP server.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Body;
use hyper::upgrade::OnUpgrade;
use serde::Serialize;
use tokio::sync::oneshot;
use tower::Service;
use towpath_layer_core::{ChannelLayer, ChannelName, Content, ContentError};

use crate::config::ServerConfig;
use crate::drain::{Phase, drain};
use crate::hub::connection::Decision;
use crate::hub::{self, Arrival, Hub, Threads};
use crate::origin;
use crate::protocol::refusal::Refusal;
use crate::protocol::request::{self, Ends};
use crate::routes::{Entrance, Routes};
use crate::server::{BindError, InterfaceServer, ServerHandle};
use crate::transport::{longpoll, respond};
use crate::{BoxBody, BoxError};

/// Answers WebSocket requests, and those of long-poll, inside another server,
/// axum's for example: 426 to other requests on a WebSocket path, 404 to
/// everything else.
///
/// A peer's address reaches the consumers if the request carries a
/// [`SocketAddr`] as an extension; a [`FirstSession`] is what the connection's
/// session begins with. The response to an accepted handshake carries the
/// [`ReplyChannel`] of the connection as an extension.
#[derive(Debug, Clone)]
pub struct TowpathService {
    pub(crate) hub: Arc<Hub>,
}

/// The session that a connection begins with, as an extension of its request:
/// what a middleware of the outer server has found out, about who is there for
/// example. At connect, the consumer's `Session<T>` is that value in place of
/// `T::default()`.
///
/// A session that is larger than the layer's `session_size_max` (16 KiB) is
/// answered with 500, and logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstSession(pub Bytes);

impl FirstSession {
    /// A value in the form in which consumers read it.
    ///
    /// # Errors
    ///
    /// [`ContentError`] if the value cannot be serialised.
    pub fn of<T: Serialize + ?Sized>(session: &T) -> Result<Self, ContentError> {
        Content::encode(session).map(|content| Self(content.as_encoded().clone()))
    }
}

/// Where the replies of an accepted connection go, as an extension of the
/// response to its handshake. Whoever has it can write to the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyChannel(pub ChannelName);

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

impl<B> Service<Request<B>> for TowpathService
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Response = Response<BoxBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut parts, body) = request.into_parts();
        let hub = Arc::clone(&self.hub);
        let path = request::decoded_path(parts.uri.path());
        if let Some(entrance) = hub.routes.longpoll(&path) {
            return Box::pin(async move { Ok(polled(&hub, parts, body, entrance).await) });
        }
        let upgrade = parts.extensions.remove::<OnUpgrade>();
        Box::pin(async move { Ok(answer(&hub, parts, path, upgrade).await) })
    }
}

/// Answers a request that polls, or brings what a client has sent.
async fn polled<B>(
    hub: &Arc<Hub>,
    parts: http::request::Parts,
    body: B,
    entrance: Entrance,
) -> Response<BoxBody>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    let Some(body) = longpoll::collect(body, &hub.config).await else {
        return longpoll::bad_request();
    };
    let ends = Ends {
        client: parts.extensions.get::<SocketAddr>().copied(),
        server: None,
    };
    let request = Request::from_parts(parts, Full::new(body));
    let (answer, answered) = oneshot::channel();
    let arrival = Arrival::Polled {
        request: Box::new(request),
        entrance,
        ends,
        answer,
    };
    let arrived = match hub.seat() {
        Some((_seat, arrivals)) => arrivals.send(arrival).await.is_ok(),
        None => false,
    };
    let unavailable = || respond::refused(Refusal::unavailable());
    if !arrived {
        return unavailable();
    }
    answered.await.unwrap_or_else(|_| unavailable())
}

async fn answer(
    hub: &Arc<Hub>,
    parts: http::request::Parts,
    path: String,
    upgrade: Option<OnUpgrade>,
) -> Response<BoxBody> {
    let Some(entrance) = hub.routes.websocket(&path) else {
        return respond::refused(Refusal::not_found());
    };
    if !request::asks_for_websocket(&parts.headers) {
        return respond::refused(Refusal::upgrade_required());
    }
    if !origin::is_allowed(entrance.origins(&hub.config.origins), &parts.headers) {
        tracing::debug!("a page of a foreign origin was refused");
        return respond::refused(Refusal::forbidden());
    }
    let ends = Ends {
        client: parts.extensions.get::<SocketAddr>().copied(),
        server: None,
    };
    let request = match request::read(&parts, entrance, ends) {
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
    let channel = match &decision {
        Decision::Accept { channel, .. } => Some(ReplyChannel(channel.clone())),
        Decision::Refuse(_) => None,
    };
    let mut response = respond::decided(decision, &accept_key);
    if let Some(channel) = channel {
        response.extensions_mut().insert(channel);
    }
    response
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
