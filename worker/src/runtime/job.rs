//! One event or message in the worker's hands.

use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, ready};

use futures_util::future::BoxFuture;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use towpath_layer_core::{Close, Deny, Frame, Reply};
use tracing::Span;

use super::guard::guard;
use crate::handler::Consume;
use crate::meter::{Meter, Running};
use crate::router::{ChannelRoute, SocketRoute};
use crate::{Context, Error, ErrorKind, Result, effects, held};

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
    /// What the consumer wrote before it had to wait, on its way.
    sending: Option<BoxFuture<'static, Result>>,
    /// Why something of that was not sent.
    unsent: Option<Error>,
    /// What it wrote last.
    held: Option<Reply>,
    /// How it ended.
    ended: Option<Ending>,
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
    pub(super) refusal: Option<Frame>,
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
            refusal: error.take_refusal(),
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
            sending: None,
            unsent: None,
            held: None,
            ended: None,
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
        loop {
            ready!(self.poll_sending(task));
            if let Some(ending) = self.ended.take() {
                return Poll::Ready(self.unless_unsent(ending));
            }
            let (polled, left) = held::polled(self.context.clone(), || guard(|| self.run(task)));
            let awaited = left.awaited;
            match polled {
                Ok(Poll::Pending) if left.reply.is_none() => return Poll::Pending,
                Ok(Poll::Pending) => {
                    self.send(left.reply);
                    // One that waits for that alone goes on at once.
                    if !awaited {
                        let _waits = self.poll_sending(task);
                        return Poll::Pending;
                    }
                }
                Ok(Poll::Ready(ending)) => self.end(ending, left.reply),
                Err(panic) => {
                    self.cancel();
                    self.end(Ending::Panicked(panic), left.reply);
                }
            }
        }
    }

    /// The consumer has ended. What it wrote last goes with the completion,
    /// unless a task of its own could overtake that.
    fn end(&mut self, ending: Ending, held: Option<Reply>) {
        self.ended = Some(ending);
        if self.context.is_shared() {
            self.send(held);
        } else {
            self.held = held;
        }
    }

    /// One that returned, but whose reply was not sent, has failed with that.
    fn unless_unsent(&mut self, ending: Ending) -> Ending {
        match (ending, self.unsent.take()) {
            (Ending::Returned, Some(unsent)) => Ending::Failed(Failure::new(unsent)),
            (ending, _) => ending,
        }
    }

    /// Runs the consumer, then sends what it put into its outbox.
    fn run(&mut self, task: &mut TaskContext<'_>) -> Poll<Ending> {
        let future = self
            .future
            .get_or_insert_with(|| self.consumer.call(self.context.clone()));
        let mut result = ready!(future.as_mut().poll(task));
        if let Some(unsent) = self.unsent.take() {
            result = result.and(Err(unsent));
        }
        let outbox = self.context.take_outbox();
        if result.is_ok() && !outbox.is_empty() {
            let layer = Arc::clone(self.context.layer());
            let sending = async move { effects::send(&*layer, outbox).await };
            let sending = self.future.insert(Box::pin(sending));
            result = ready!(sending.as_mut().poll(task));
        }
        self.future = None;
        Poll::Ready(match result {
            Ok(()) => Ending::Returned,
            Err(error) => Ending::Failed(Failure::new(error)),
        })
    }

    /// Sends what was held.
    fn send(&mut self, held: Option<Reply>) {
        if let Some(reply) = held {
            self.sending = Some(Box::pin(held::send(self.context.clone(), reply)));
        }
    }

    /// Waits until that is sent: what comes after it may not overtake it.
    fn poll_sending(&mut self, task: &mut TaskContext<'_>) -> Poll<()> {
        if let Some(sending) = &mut self.sending {
            let sent = ready!(sending.as_mut().poll(task));
            self.sending = None;
            held::sent(&self.context, sent.is_err());
            if let Err(error) = sent {
                self.unsent.get_or_insert(error);
            }
        }
        Poll::Ready(())
    }

    /// Takes what the consumer wrote last and nobody has sent.
    pub(super) fn take_held(&mut self) -> Option<Reply> {
        self.held.take()
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
