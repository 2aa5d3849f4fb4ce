//! The worker: a layer on one side, consumers on the other.

mod conclude;
mod crew;
mod deliver;
mod guard;
mod job;
mod topic;
mod watch;

use std::fmt;
use std::sync::Arc;

use metrics::Gauge;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use towpath_layer_core::{ChannelLayer, ChannelName, LayerError};

use crate::context::Environment;
use crate::meter::{Meter, Running};
use crate::router::{RouteErrors, Router, Routes};
use crate::{States, WorkerConfig};
pub(crate) use conclude::error_id;
use crew::Crew;
pub(crate) use guard::panic_text;

/// Why a worker cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// Routes are not valid.
    #[error(transparent)]
    Routes(#[from] RouteErrors),
    /// It would receive from no channel.
    #[error("the worker has no channel to receive from: {reason}")]
    NoChannels {
        /// Why there is none.
        reason: &'static str,
    },
    /// It would hold no event.
    #[error("concurrency is 0, at least 1 event has to be held")]
    NoConcurrency,
}

/// Receives events and messages from a layer and runs their consumers.
///
/// Events of one conversation come one after the other; those of different
/// conversations, and messages of the application, run side by side, as many
/// as [`concurrency`](WorkerConfig::concurrency) says. Nothing that a consumer
/// does ends the process, short of aborting it: a panic fails its event.
///
/// A consumer that returns without waiting for anything runs on the worker's
/// own task. One that computes for long or blocks its thread stops others: make
/// it [`blocking`](crate::blocking). After a second of that, the node that
/// waits for the event takes it for lost.
pub struct Worker {
    shared: Arc<Shared>,
    channels: Vec<ChannelName>,
}

/// What the tasks of a worker share.
struct Shared {
    environment: Arc<Environment>,
    routes: Routes,
    config: WorkerConfig,
    /// What no route takes.
    unrouted: Meter,
    running: Gauge,
    /// Cancels the consumers that still run when a stopping worker waits no longer.
    give_up: CancellationToken,
}

impl Shared {
    fn concurrency(&self) -> usize {
        concurrency(&self.config)
    }
}

fn concurrency(config: &WorkerConfig) -> usize {
    config.concurrency.min(Semaphore::MAX_PERMITS)
}

impl Worker {
    /// Makes a worker for the routes of an application.
    ///
    /// # Errors
    ///
    /// [`WorkerError`]; mistakes in routes are shown all at once.
    pub fn new(
        config: WorkerConfig,
        router: &Router,
        layer: Arc<dyn ChannelLayer>,
        states: States,
    ) -> Result<Self, WorkerError> {
        if config.concurrency == 0 {
            return Err(WorkerError::NoConcurrency);
        }
        let routes = Routes::new(router, &states)?;
        let mut channels = router.channels();
        if channels.is_empty() {
            let reason = "the application has no routes";
            return Err(WorkerError::NoChannels { reason });
        }
        channels.retain(|channel| config.receives(channel.as_str()));
        if channels.is_empty() {
            let reason = "`only` and `exclude` leave none of the application's";
            return Err(WorkerError::NoChannels { reason });
        }
        let environment = Environment {
            layer,
            states,
            histories: router.histories(),
            blocking: Arc::new(Semaphore::new(concurrency(&config))),
        };
        let shared = Shared {
            environment: Arc::new(environment),
            routes,
            config,
            unrouted: Meter::new("unrouted"),
            running: Running::gauge(),
            give_up: CancellationToken::new(),
        };
        Ok(Self {
            shared: Arc::new(shared),
            channels,
        })
    }

    /// The channels that it receives from.
    #[must_use]
    pub fn channels(&self) -> &[ChannelName] {
        &self.channels
    }

    /// Works until `shutdown`, then stops in good order: receives nothing
    /// more, gives back what it had taken and not begun, and waits for what
    /// runs, `drain_timeout` at most.
    ///
    /// # Errors
    ///
    /// [`LayerError`] if the layer would not let it receive, or was closed
    /// before `shutdown`; what ran then has been waited for as well.
    ///
    /// # Cancel safety
    ///
    /// A dropped future drops the consumers that run, and their events are
    /// lost; to stop, cancel `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), LayerError> {
        let layer = Arc::clone(&self.shared.environment.layer);
        let mut receiver = layer.receiver(self.channels.clone())?;
        let drain_timeout = self.shared.config.drain_timeout;
        let mut crew = Crew::new(self.shared);
        tracing::info!(channels = ?self.channels, "the worker receives");
        let worked = crew.work(&mut *receiver, &shutdown).await;
        match timeout(drain_timeout, receiver.close()).await {
            Ok(Ok(())) | Ok(Err(LayerError::Closed)) => {}
            Ok(Err(error)) => tracing::warn!(%error, "messages were not given back"),
            Err(_) => tracing::warn!("messages were not given back within drain_timeout"),
        }
        crew.drain(drain_timeout).await;
        tracing::info!("the worker has stopped");
        worked
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("channels", &self.channels)
            .field("config", &self.shared.config)
            .finish_non_exhaustive()
    }
}
