//! One event or message in the worker's hands.

use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use futures_util::future::BoxFuture;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use towpath_layer_core::{Close, Deny};
use tracing::Span;

use super::guard::guard;
use crate::handler::Consume;
use crate::meter::{Meter, Running};
use crate::router::{ChannelRoute, SocketRoute};
use crate::{Context, Error, ErrorKind, Result, effects};

/// One event or message, its consumer, and its place among those that the
/// worker may hold.
pub(super) struct Job {
    pub(super) context: Context,
    pub(super) route: Route,
    /// When it was received.
    pub(super) taken: Instant,
    /// Until when its consumer may run.
    pub(super) deadline: Instant,
    pub(super) permit: OwnedSemaphorePermit,
    consumer: Arc<dyn Consume>,
    future: Option<BoxFuture<'static, Result>>,
    began: Option<Instant>,
    span: Span,
    _running: Running,
}

/// Where it was routed.
pub(super) enum Route {
    Socket(Arc<SocketRoute>),
    Channel(Arc<ChannelRoute>),
}

impl Route {
    pub(super) fn meter(&self) -> &Meter {
        match self {
            Self::Socket(route) => &route.meter,
            Self::Channel(route) => &route.meter,
        }
    }
}

/// How a consumer ended.
pub(super) enum Ending {
    /// It returned without an error.
    Returned,
    /// It returned an error.
    Failed(Failure),
    /// It panicked, with this text.
    Panicked(String),
    /// It ran into its deadline and was cancelled.
    TimedOut,
    /// It could not begin before its deadline.
    Late,
    /// The worker stopped and could not wait longer.
    Stopped,
}

/// What an error says, without the application's types behind it.
pub(super) struct Failure {
    pub(super) kind: ErrorKind,
    /// What the peer may see of it, if its kind allows that.
    pub(super) reason: String,
    /// The same with its causes, for the log.
    pub(super) chain: String,
    pub(super) unavailable: bool,
    pub(super) deny: Option<Deny>,
    pub(super) close: Option<Close>,
}

impl Failure {
    fn new(mut error: Error) -> Self {
        Self {
            kind: error.kind(),
            reason: error.to_string(),
            chain: error.chain(),
            unavailable: error.is_unavailable(),
            deny: error.take_deny(),
            close: error.take_close(),
        }
    }
}

/// Since when and until when a job is in the worker's hands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) taken: Instant,
    pub(super) deadline: Instant,
}

impl Job {
    pub(super) fn new(
        context: Context,
        route: Route,
        consumer: Arc<dyn Consume>,
        times: Times,
        permit: OwnedSemaphorePermit,
        running: Running,
    ) -> Self {
        let span = tracing::debug_span!(
            "event",
            kind = %context.kind(),
            channel = context.channel(),
            route = route.meter().route()
        );
        Self {
            context,
            route,
            taken: times.taken,
            deadline: times.deadline,
            permit,
            consumer,
            future: None,
            began: None,
            span,
            _running: running,
        }
    }

    /// Runs the consumer as far as it goes; it begins now, if it has not.
    pub(super) fn poll(&mut self, now: Instant, task: &mut TaskContext<'_>) -> Poll<Ending> {
        if self.began.is_none() && now >= self.deadline {
            return Poll::Ready(Ending::Late);
        }
        self.began.get_or_insert(now);
        let span = self.span.clone();
        let _entered = span.enter();
        let polled = guard(|| {
            let future = self
                .future
                .get_or_insert_with(|| self.consumer.call(self.context.clone()));
            let mut result = std::task::ready!(future.as_mut().poll(task));
            let outbox = self.context.take_outbox();
            if result.is_ok() && !outbox.is_empty() {
                let layer = Arc::clone(self.context.layer());
                let sending = async move { effects::send(&*layer, outbox).await };
                let sending = self.future.insert(Box::pin(sending));
                result = std::task::ready!(sending.as_mut().poll(task));
            }
            self.future = None;
            Poll::Ready(match result {
                Ok(()) => Ending::Returned,
                Err(error) => Ending::Failed(Failure::new(error)),
            })
        });
        polled.unwrap_or_else(|panic| {
            self.cancel();
            Poll::Ready(Ending::Panicked(panic))
        })
    }

    /// Drops the consumer where it waits.
    pub(super) fn cancel(&mut self) {
        let future = self.future.take();
        if let Err(panic) = guard(move || drop(future)) {
            let route = self.route.meter().route();
            tracing::error!(route, panic, "a consumer panicked while it was dropped");
        }
    }

    /// Measures how long the consumer ran, until now.
    pub(super) fn measure(&self, now: Instant) {
        if let Some(began) = self.began {
            self.route.meter().ran(now.saturating_duration_since(began));
        }
    }
}
