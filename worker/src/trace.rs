//! What the log says of each consumer.

use std::task;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::Instant;
use tower::{Layer, Service};
use tracing::{Instrument, Span, debug_span, field};

use crate::error::BoxError;
use crate::{Context, Error, ErrorKind, Result};

/// A middleware that writes one line for each event when its consumer has
/// returned, at `debug`: what it was, how it ended, and how long it took. A
/// consumer that is slower than is allowed is worth a warning.
///
/// What the application writes meanwhile stands in a span with the path, the
/// order of the event in its conversation, and who is behind the connection
/// ([`Context::identity`]). A worker's own span has the kind of the event and
/// its route, and its own lines say why a consumer failed, under an id; they
/// are not written a second time. No payload and no token is written.
///
/// ```
/// use std::time::Duration;
///
/// use towpath_worker::{Router, Text, TraceLayer, websocket};
///
/// let router = Router::new()
///     .route("/", websocket().receive(async |Text(_): Text| {}))
///     .middleware(TraceLayer::new().slow(Duration::from_millis(250)));
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct TraceLayer {
    slow: Option<Duration>,
}

impl TraceLayer {
    /// Without warnings about slow consumers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Warns about a consumer that takes as long as this.
    #[must_use]
    pub fn slow(mut self, slow: Duration) -> Self {
        self.slow = Some(slow);
        self
    }
}

impl<S> Layer<S> for TraceLayer {
    type Service = Traced<S>;

    fn layer(&self, inner: S) -> Traced<S> {
        Traced {
            layer: *self,
            inner,
        }
    }
}

/// A consumer inside a [`TraceLayer`].
#[derive(Debug, Clone)]
pub struct Traced<S> {
    layer: TraceLayer,
    inner: S,
}

impl<S> Service<Context> for Traced<S>
where
    S: Service<Context, Response = ()>,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
{
    type Response = ();
    type Error = Error;
    type Future = BoxFuture<'static, Result>;

    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> task::Poll<Result> {
        let ready = self.inner.poll_ready(cx);
        ready.map_err(|error| Error::from_boxed(error.into()))
    }

    fn call(&mut self, context: Context) -> Self::Future {
        let span = span(&context);
        let known = record_identity(&span, &context);
        let slow = self.layer.slow;
        let consumer = span.in_scope(|| self.inner.call(context.clone()));
        let traced = async move {
            let began = Instant::now();
            let result = consumer
                .await
                .map_err(|error| Error::from_boxed(error.into()));
            if !known {
                // A consumer that authenticates has only now said who it is.
                record_identity(&Span::current(), &context);
            }
            let took = began.elapsed();
            let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            let outcome = outcome(&result);
            if slow.is_some_and(|slow| took >= slow) {
                tracing::warn!(took_ms, outcome, "a consumer was slow");
            } else {
                tracing::debug!(took_ms, outcome, "a consumer has returned");
            }
            result
        };
        Box::pin(traced.instrument(span))
    }
}

fn span(context: &Context) -> Span {
    let event = context.event();
    let stream = context.framing().stream;
    debug_span!(
        "consumer",
        kind = %context.kind(),
        path = event.map(|event| &*event.path),
        topic = event.and_then(|event| event.topic.as_deref()),
        order = event.map(|event| event.order),
        stream = stream.as_deref(),
        identity = field::Empty,
    )
}

/// False if it is not known who is behind the connection.
fn record_identity(span: &Span, context: &Context) -> bool {
    // Whoever is not listened to is not asked for.
    if span.is_disabled() {
        return true;
    }
    let identity = context.identity();
    if let Some(identity) = &identity {
        span.record("identity", identity);
    }
    identity.is_some()
}

/// As the metrics of a route say it.
fn outcome(result: &Result) -> &'static str {
    match result.as_ref().map_err(Error::kind) {
        Ok(()) => "done",
        Err(ErrorKind::Rejected) => "rejected",
        Err(ErrorKind::BadPayload) => "bad_payload",
        Err(ErrorKind::Denied) => "denied",
        Err(ErrorKind::Closed) => "closed",
        Err(ErrorKind::Internal) => "failed",
        Err(ErrorKind::Retry) => "retry",
    }
}
