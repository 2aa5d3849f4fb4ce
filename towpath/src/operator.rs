//! The operator's listener of a process that serves no sockets.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use towpath_layer_core::ChannelLayer;

use crate::telemetry::Metrics;

/// Connections of operators at one time.
const CONNECTIONS_MAX: usize = 64;

/// How long one of them may last.
const CONNECTION_TIMEOUT: Duration = Duration::from_mins(1);

/// How long the head of a request may take.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// Wait after an accept that failed.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(200);

/// Takes the address.
///
/// # Errors
///
/// What the operating system says, with the address.
///
/// # Cancel safety
///
/// A dropped future leaves the address free.
pub(crate) async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .map_err(|error| io::Error::new(error.kind(), format!("{address}: {error}")))
}

/// Serves the operator's pages until told to stop.
pub(crate) async fn run(
    listener: TcpListener,
    layer: Arc<dyn ChannelLayer>,
    metrics: Metrics,
    stop: CancellationToken,
) {
    let pages = Arc::new(Pages { layer, metrics });
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(Arc::clone(&pages), stream));
                }
                Err(error) => {
                    tracing::warn!(%error, "the operator's listener does not accept");
                    sleep(ACCEPT_BACKOFF).await;
                }
            },
        }
    }
}

struct Pages {
    layer: Arc<dyn ChannelLayer>,
    metrics: Metrics,
}

async fn serve(pages: Arc<Pages>, stream: TcpStream) {
    let service = service_fn(move |request| {
        let pages = Arc::clone(&pages);
        async move { Ok::<_, Infallible>(pages.answer(&request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    match timeout(CONNECTION_TIMEOUT, connection).await {
        Ok(Ok(())) | Err(_) => {}
        Ok(Err(error)) => tracing::debug!(%error, "an operator's connection ended early"),
    }
}

impl Pages {
    async fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let path = request.uri().path();
        let known = matches!(path, "/livez" | "/readyz" | "/metrics");
        if known && !matches!(*request.method(), Method::GET | Method::HEAD) {
            return text(StatusCode::METHOD_NOT_ALLOWED, "only GET\n");
        }
        match path {
            "/livez" => text(StatusCode::OK, "alive\n"),
            "/readyz" => match self.layer.ping().await {
                Ok(()) => text(StatusCode::OK, "ready\n"),
                Err(_) => text(StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
            },
            "/metrics" => text(StatusCode::OK, self.metrics.render()),
            _ => text(StatusCode::NOT_FOUND, "not found\n"),
        }
    }
}

fn text(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}
