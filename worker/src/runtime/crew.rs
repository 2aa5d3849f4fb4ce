//! The loop of a worker: receives, runs, sends back.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::coop::consume_budget;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use towpath_layer_core::{
    ChannelName, Content, Event, EventKind, LayerError, Message, Received, Receiver, Reply,
};

use super::Shared;
use super::conclude::{conclude_unhandled, conclude_unrouted};
use super::deliver::{Outgoing, deliver};
use super::job::{Job, Route, Times};
use super::watch::{finish, see_through};
use crate::Context;
use crate::context::{Input, Params};
use crate::envelope::Envelope;
use crate::meter::{Ended, Running};

/// How long a batch is run on the loop itself. A consumer that returns without
/// waiting costs no task that way; one that blocks the thread meanwhile keeps
/// the rest of its batch waiting no longer than this and itself.
const INLINE_FOR: Duration = Duration::from_millis(2);

/// After a consumer that ran longer, what is ready does not wait for the rest
/// of its batch.
const SHORT: Duration = Duration::from_micros(100);

/// How long a worker that stops tries to say which events it gave up.
const FAREWELL: Duration = Duration::from_secs(1);

/// What runs, and what it left to be sent.
pub(super) struct Crew {
    shared: Arc<Shared>,
    permits: Arc<Semaphore>,
    tasks: JoinSet<Option<Outgoing>>,
    outgoing: Vec<Outgoing>,
    /// The time, as last read while a batch is run.
    now: Instant,
}

impl Crew {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(shared.concurrency())),
            tasks: JoinSet::new(),
            outgoing: Vec::new(),
            now: Instant::now(),
            shared,
        }
    }

    /// Works until `shutdown` or the layer's end.
    ///
    /// # Cancel safety
    ///
    /// What was received and has not ended is lost with the crew.
    pub(super) async fn work(
        &mut self,
        receiver: &mut dyn Receiver,
        shutdown: &CancellationToken,
    ) -> Result<(), LayerError> {
        let mut batch = Vec::new();
        loop {
            // Only this loop takes permits: what is free now stays free.
            let free = self.permits.available_permits();
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return Ok(()),
                Some(ended) = self.tasks.join_next() => self.gather(ended),
                received = receiver.receive_many(&mut batch, free), if free > 0 => {
                    received?;
                    self.start_batch(&mut batch);
                }
            }
            self.flush();
            // A layer that always has a message would otherwise never let go
            // of this thread.
            consume_budget().await;
        }
    }

    /// Waits for what runs, then gives it up.
    ///
    /// # Cancel safety
    ///
    /// What has not ended is lost with the crew.
    pub(super) async fn drain(&mut self, timeout: Duration) {
        if self.wait_until(Instant::now() + timeout).await {
            return;
        }
        tracing::warn!(
            events = self.tasks.len(),
            "consumers still run after drain_timeout; they are cancelled"
        );
        self.shared.give_up.cancel();
        if !self.wait_until(Instant::now() + FAREWELL).await {
            let completions = self.tasks.len();
            tracing::warn!(completions, "completions could not be sent before the end");
        }
    }

    /// Whether all had ended by then.
    async fn wait_until(&mut self, deadline: Instant) -> bool {
        loop {
            tokio::select! {
                biased;
                ended = self.tasks.join_next() => match ended {
                    Some(ended) => self.gather(ended),
                    None => return true,
                },
                () = sleep_until(deadline) => return false,
            }
            self.flush();
        }
    }

    /// Takes what a task left, and what others left meanwhile.
    fn gather(&mut self, ended: Result<Option<Outgoing>, JoinError>) {
        let mut next = Some(ended);
        while let Some(ended) = next {
            match ended {
                Ok(left) => self.outgoing.extend(left),
                Err(error) => tracing::error!(%error, "a task of the worker ended early"),
            }
            next = self.tasks.try_join_next();
        }
    }

    fn start_batch(&mut self, batch: &mut Vec<Received>) {
        let taken = Instant::now();
        self.now = taken;
        let times = Times {
            taken,
            deadline: taken + self.shared.config.consumer_timeout,
        };
        for received in batch.drain(..) {
            let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else {
                tracing::error!("the layer handed out more messages than were asked for");
                continue;
            };
            match received.message {
                Message::Event(event) => self.start_event(event, times, permit),
                Message::Custom(content) => {
                    self.start_message(received.channel, content, times, permit);
                }
                Message::Reply(_) => {
                    self.shared.unrouted.count(Ended::Malformed);
                    let channel = received.channel.as_str();
                    tracing::warn!(channel, "a reply on a channel for workers is dropped");
                }
            }
        }
    }

    fn start_event(&mut self, mut event: Event, times: Times, permit: OwnedSemaphorePermit) {
        let shared = Arc::clone(&self.shared);
        let envelope = opened(&mut event);
        let Some((route, params)) = shared.routes.socket(&event, envelope.pin) else {
            self.shared.unrouted.count(Ended::Unrouted);
            return self.answer(&event, conclude_unrouted(&event), permit);
        };
        let Some(consumer) = route.consumer(&event.kind) else {
            let reply = conclude_unhandled(&event, &envelope, route);
            return self.answer(&event, reply, permit);
        };
        let context = self.context(params, Input::Event(event), envelope);
        self.start(Job::new(
            context,
            Route::Socket(Arc::clone(route)),
            Arc::clone(consumer),
            times,
            permit,
            Running::new(&self.shared.running),
        ));
    }

    fn start_message(
        &mut self,
        channel: ChannelName,
        content: Content,
        times: Times,
        permit: OwnedSemaphorePermit,
    ) {
        let shared = Arc::clone(&self.shared);
        let Some(route) = shared.routes.channel(&channel, &content) else {
            self.shared.unrouted.count(Ended::Unrouted);
            let channel = channel.as_str();
            tracing::warn!(channel, "a message is gone: no route takes it");
            return;
        };
        let input = Input::Custom(channel, content);
        let context = self.context(Params::new(), input, Envelope::default());
        self.start(Job::new(
            context,
            Route::Channel(Arc::clone(route)),
            Arc::clone(&route.consumer),
            times,
            permit,
            Running::new(&self.shared.running),
        ));
    }

    fn context(&self, params: Params, input: Input, envelope: Envelope) -> Context {
        let environment = Arc::clone(&self.shared.environment);
        Context::new(environment, params, input, envelope)
    }

    fn answer(&mut self, event: &Event, reply: Reply, permit: OwnedSemaphorePermit) {
        self.outgoing.push(Outgoing {
            channel: event.reply_channel.clone(),
            reply,
            deadline: Instant::now() + self.shared.config.consumer_timeout,
            _permit: permit,
        });
    }

    /// Runs a job at once, and leaves it to a task if it has to wait. Where one
    /// ends the next begins: one look at the clock serves both.
    fn start(&mut self, mut job: Job) {
        if self.now.saturating_duration_since(job.taken) < INLINE_FOR {
            // Nobody is woken through this: a task polls once more.
            let mut nobody = TaskContext::from_waker(Waker::noop());
            let began = self.now;
            let polled = job.poll(began, &mut nobody);
            self.now = Instant::now();
            if let Poll::Ready(ending) = polled {
                let left = finish(job, ending, self.now, &self.shared);
                self.outgoing.extend(left);
                if self.now.saturating_duration_since(began) > SHORT {
                    self.flush();
                }
                return;
            }
        }
        let shared = Arc::clone(&self.shared);
        self.tasks
            .spawn(async move { see_through(job, &shared).await });
    }

    /// Sends what is ready in one batch, and leaves it to a task if the layer
    /// has to wait.
    fn flush(&mut self) {
        if self.outgoing.is_empty() {
            return;
        }
        let batch = std::mem::take(&mut self.outgoing);
        let layer = Arc::clone(&self.shared.environment.layer);
        let mut delivering: Pin<Box<dyn Future<Output = ()> + Send>> =
            Box::pin(deliver(layer, batch));
        let mut nobody = TaskContext::from_waker(Waker::noop());
        if delivering.as_mut().poll(&mut nobody).is_pending() {
            self.tasks.spawn(async move {
                delivering.await;
                None
            });
        }
    }
}

/// What travels beside the session. A topic begins with what is known of its
/// socket.
fn opened(event: &mut Event) -> Envelope {
    let envelope = Envelope::open(&mut event.session);
    match &mut event.kind {
        EventKind::Join(join) => Envelope {
            pin: None,
            ..Envelope::open(&mut join.socket)
        },
        EventKind::Connect(_)
        | EventKind::Receive(_)
        | EventKind::In(_)
        | EventKind::Out(_)
        | EventKind::Application(_)
        | EventKind::Disconnect { .. } => envelope,
    }
}
