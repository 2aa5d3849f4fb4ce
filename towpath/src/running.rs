//! An application that runs, and how it ends: sockets first, then consumers,
//! then layers.

use std::fmt;
use std::future::{Future, pending};
use std::net::SocketAddr;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use towpath_interface_server::InterfaceServer;
use towpath_layer_core::{ChannelName, Statistics};
use towpath_worker::{Topics, Worker};

use crate::app::Listening;
use crate::layers::Layers;
use crate::telemetry::Metrics;

/// What a part may take beyond its own deadline before it is cut off.
const GRACE: Duration = Duration::from_secs(1);

/// The longest that leaving the layers takes.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// How often a layer in memory is asked whether its consumers are through.
const EMPTY_INTERVAL: Duration = Duration::from_millis(10);

/// A task that ends in good order when it is asked to, or when this is dropped.
pub(crate) struct Part {
    stop: CancellationToken,
    /// Asks the task to end if the part is dropped.
    _guard: DropGuard,
    task: JoinHandle<()>,
}

impl Part {
    /// Runs a task that ends when its token is cancelled.
    pub(crate) fn new<F>(tracker: &TaskTracker, task: impl FnOnce(CancellationToken) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let stop = CancellationToken::new();
        Self {
            task: tracker.spawn(task(stop.clone())),
            _guard: stop.clone().drop_guard(),
            stop,
        }
    }

    /// Asks the task to end, and cuts it off at the deadline.
    async fn end(mut self, what: &str, until: Instant) {
        self.stop.cancel();
        if !self.task.is_finished() && timeout_at(until, &mut self.task).await.is_err() {
            tracing::warn!(what, "cut off: it did not stop in time");
            self.task.abort();
        }
    }
}

/// The HTTP interface of a layer.
struct Api {
    part: Part,
    address: SocketAddr,
    stop_timeout: Duration,
}

/// An application that runs. Dropped, it ends by itself, while nobody waits.
pub struct Running {
    tracker: TaskTracker,
    layers: Layers,
    topics: Topics,
    metrics: Metrics,
    listening: Option<Listening>,
    sockets: Option<Part>,
    consumers: Option<Part>,
    /// The channels that the consumers receive from.
    consumed: Vec<ChannelName>,
    api: Option<Box<Api>>,
    beside: Vec<Part>,
    drain_timeout: Duration,
}

impl Running {
    pub(crate) fn new(
        tracker: TaskTracker,
        layers: Layers,
        topics: Topics,
        metrics: Metrics,
        upkeep: Part,
    ) -> Self {
        Self {
            tracker,
            layers,
            topics,
            metrics,
            listening: None,
            sockets: None,
            consumers: None,
            consumed: Vec::new(),
            api: None,
            beside: vec![upkeep],
            drain_timeout: Duration::ZERO,
        }
    }

    pub(crate) fn consume(&mut self, drain_timeout: Duration, worker: Worker) {
        self.drain_timeout = self.drain_timeout.max(drain_timeout);
        self.consumed = worker.channels().to_vec();
        self.consumers = Some(Part::new(&self.tracker, |stop| async move {
            if let Err(error) = worker.run(stop).await {
                tracing::error!(%error, "the worker has ended");
            }
        }));
    }

    pub(crate) fn listen(
        &mut self,
        drain_timeout: Duration,
        listening: Listening,
        server: InterfaceServer,
    ) {
        self.listening = Some(listening);
        self.mount(drain_timeout, |stop| server.run(stop));
    }

    /// Takes over what holds sockets. Its deadline is that of the whole stop:
    /// the consumers behind it have what it leaves of it.
    pub(crate) fn mount<F>(
        &mut self,
        drain_timeout: Duration,
        sockets: impl FnOnce(CancellationToken) -> F,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        self.drain_timeout = drain_timeout;
        self.sockets = Some(Part::new(&self.tracker, sockets));
    }

    /// Takes over the HTTP interface: it ends after the consumers, because what
    /// is in flight may be completed through it, and before the layers.
    pub(crate) fn expose<F>(
        &mut self,
        address: SocketAddr,
        stop_timeout: Duration,
        serving: impl FnOnce(CancellationToken) -> F,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        self.api = Some(Box::new(Api {
            part: Part::new(&self.tracker, serving),
            address,
            stop_timeout,
        }));
    }

    /// Takes over what stays until everything else has ended.
    pub(crate) fn attend<F>(&mut self, task: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.beside.push(Part::new(&self.tracker, task));
    }

    /// Where sockets are served; nowhere if another server serves them.
    #[must_use]
    pub fn listening(&self) -> Option<Listening> {
        self.listening
    }

    /// Where the layer's HTTP interface is; nowhere if none is configured.
    #[must_use]
    pub fn api(&self) -> Option<SocketAddr> {
        self.api.as_ref().map(|api| api.address)
    }

    /// The layers of the application.
    #[must_use]
    pub fn layers(&self) -> &Layers {
        &self.layers
    }

    /// The topics of the application, on the layer `default`: to broadcast, to
    /// subscribe and to see who is present, from any task.
    #[must_use]
    pub fn topics(&self) -> &Topics {
        &self.topics
    }

    /// The metrics of this process, in Prometheus' text format.
    #[must_use]
    pub fn metrics(&self) -> String {
        self.metrics.render()
    }

    /// Waits until sockets or consumers have ended by themselves, which they
    /// do only if they have failed; the log says why.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn failed(&mut self) {
        tokio::select! {
            () = ended(&mut self.sockets) => {}
            () = ended(&mut self.consumers) => {}
        }
    }

    /// Ends the application in good order: sockets, consumers, the HTTP interface,
    /// layers, within `server.drain_timeout`, or `worker.drain_timeout` if there are only
    /// consumers.
    ///
    /// # Cancel safety
    ///
    /// After dropping the future, what is left ends while nobody waits.
    pub async fn stop(self) {
        let started = Instant::now();
        let until = started + self.drain_timeout;
        if let Some(sockets) = self.sockets {
            sockets.end("sockets", until + GRACE).await;
            // What waits in memory dies with the process: the consumers of the
            // last disconnects have what is left of the time.
            if !self.layers.default_layer().spans_processes() && self.consumers.is_some() {
                let _or_late = timeout_at(until, emptied(&self.layers, &self.consumed)).await;
            }
        }
        if let Some(consumers) = self.consumers {
            consumers
                .end("consumers", until.max(Instant::now()) + GRACE)
                .await;
        }
        if let Some(api) = self.api {
            let until = Instant::now() + api.stop_timeout;
            api.part.end("the HTTP interface", until + GRACE).await;
        }
        if timeout(CLOSE_TIMEOUT, self.layers.close()).await.is_err() {
            tracing::warn!("the layers were not left in time; their leases end by themselves");
        }
        for part in self.beside {
            part.end("what runs beside", Instant::now() + GRACE).await;
        }
        let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(took_ms, "stopped");
    }
}

/// Waits until a part has ended by itself; for ever, if there is none.
async fn ended(part: &mut Option<Part>) {
    match part {
        Some(running) => {
            if let Err(error) = (&mut running.task).await {
                tracing::error!(%error, "a task has failed");
            }
            *part = None;
        }
        None => pending().await,
    }
}

/// Waits until no message that somebody takes waits on a layer in memory.
async fn emptied(layers: &Layers, consumed: &[ChannelName]) {
    let layer = layers.default_layer();
    while layer
        .statistics()
        .await
        .is_ok_and(|known| any_waits(&known, consumed))
    {
        sleep(EMPTY_INTERVAL).await;
    }
}

/// Whether a message waits for the consumers, or an event of a socket for
/// whoever takes it. What is for nobody here would wait until it expires.
fn any_waits(known: &Statistics, consumed: &[ChannelName]) -> bool {
    known.channels.iter().any(|(name, channel)| {
        let is_taken = consumed.contains(name) || name.as_str().starts_with("websocket.");
        is_taken && channel.pending > 0
    })
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running")
            .field("listening", &self.listening)
            .field("layers", &self.layers)
            .finish_non_exhaustive()
    }
}
