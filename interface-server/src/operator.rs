//! The operator's pages: is it alive, is it ready, what does it measure.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use towpath_layer_core::ChannelLayer;

use crate::BoxBody;
use crate::transport::respond::body;

/// Connections of operators at one time.
const CONNECTIONS_MAX: usize = 64;

/// How long one of them may last.
const CONNECTION_TIMEOUT: Duration = Duration::from_mins(1);

/// How long the head of a request may take.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// An answer of the layer is good for this long: probes do not load it.
const PING_AGE_MAX: Duration = Duration::from_secs(1);

/// Wait after an accept that failed.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(200);

/// What the operator's pages show.
#[derive(Clone)]
pub struct Operator {
    /// Renders `/metrics`.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
}

/// Whether a process takes work, besides what its layer says.
pub type Readiness = Arc<dyn Fn() -> bool + Send + Sync>;

impl fmt::Debug for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operator").finish_non_exhaustive()
    }
}

struct Pages {
    operator: Operator,
    layer: Arc<dyn ChannelLayer>,
    takes_work: Readiness,
    answered: Mutex<Option<(Instant, bool)>>,
}

impl Operator {
    /// Serves `/livez`, `/readyz` and `/metrics`, without an end. Ready is a
    /// process that takes work and whose layer answers.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the connections that are open.
    pub async fn serve(
        self,
        listener: TcpListener,
        layer: Arc<dyn ChannelLayer>,
        takes_work: Readiness,
    ) {
        let pages = Pages {
            operator: self,
            layer,
            takes_work,
            answered: Mutex::default(),
        };
        accept(&Arc::new(pages), &listener).await;
    }
}

async fn accept(pages: &Arc<Pages>, listener: &TcpListener) {
    let mut connections = JoinSet::new();
    loop {
        while connections.len() >= CONNECTIONS_MAX {
            connections.join_next().await;
        }
        tokio::select! {
            biased;
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(Arc::clone(pages), stream));
                }
                Err(error) => {
                    tracing::warn!(%error, "the operator's listener does not accept");
                    sleep(ACCEPT_BACKOFF).await;
                }
            },
        }
    }
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
    async fn answer(&self, request: &Request<Incoming>) -> Response<BoxBody> {
        let known = matches!(request.uri().path(), "/livez" | "/readyz" | "/metrics");
        if known && !matches!(*request.method(), Method::GET | Method::HEAD) {
            return text(StatusCode::METHOD_NOT_ALLOWED, "only GET\n");
        }
        match request.uri().path() {
            "/livez" => text(StatusCode::OK, "alive\n"),
            "/readyz" if self.is_ready().await => text(StatusCode::OK, "ready\n"),
            "/readyz" => text(StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
            "/metrics" => text(StatusCode::OK, (self.operator.metrics)()),
            _ => text(StatusCode::NOT_FOUND, "not found\n"),
        }
    }

    async fn is_ready(&self) -> bool {
        if !(self.takes_work)() {
            return false;
        }
        let mut answered = self.answered.lock().await;
        let known = answered.filter(|(when, _)| when.elapsed() < PING_AGE_MAX);
        if let Some((_, ready)) = known {
            return ready;
        }
        let ready = match self.layer.ping().await {
            Ok(()) => true,
            Err(error) => {
                tracing::debug!(%error, "not ready");
                false
            }
        };
        *answered = Some((Instant::now(), ready));
        ready
    }
}

fn text(status: StatusCode, text: impl Into<Bytes>) -> Response<BoxBody> {
    let mut response = Response::new(body(text.into()));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}
