//! The application under test.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use towpath_interface_server::TowpathService;
use towpath_layer_core::{ChannelLayer, ChannelName, Content, Message, Received};
use towpath_testkit::redis::RedisServer;
use towpath_worker::{Router, Topics};

use super::clock::Clock;
use super::connecting::Connecting;
use super::record::Record;
use crate::layers::Layers;
use crate::running::Running;

/// How often something is looked at that becomes true on real time.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// What has to outlive the application.
pub(super) type Held = Option<Arc<RedisServer>>;

/// What everything in one test shares.
#[derive(Debug, Clone)]
pub(super) struct Common {
    pub(super) record: Record,
    pub(super) clock: Clock,
    pub(super) patience: Duration,
}

impl Common {
    /// What comes in time, if it does.
    pub(super) async fn within<T>(&self, what: impl Future<Output = T>) -> Option<T> {
        timeout(self.patience, what).await.ok()
    }

    /// Whether something is true when all has settled, or becomes true in time.
    pub(super) async fn comes_true(&self, mut is_true: impl AsyncFnMut() -> bool) -> bool {
        self.clock.settle().await;
        let until = Instant::now() + self.patience;
        while !is_true().await {
            if self.clock == Clock::Virtual || Instant::now() >= until {
                return false;
            }
            sleep(LOOK_INTERVAL).await;
        }
        true
    }
}

/// An application that runs inside a test, sockets and consumers in one; made
/// by [`TestApp::memory`] or [`TestApp::redis`].
///
/// A method that does not find what it expects panics with the place in the
/// test and with all that was sent and received until then. Dropped, the
/// application ends by itself, in good order as far as the test's runtime still
/// runs; [`stop`](Self::stop) waits for it.
pub struct TestApp {
    pub(super) service: TowpathService,
    pub(super) common: Common,
    pub(super) tasks: TaskTracker,
    pub(super) topics: Topics,
    layers: Layers,
    /// The channels that the application's consumers receive from.
    channels: Vec<ChannelName>,
    sockets: AtomicU16,
    stop: DropGuard,
    stopped: JoinHandle<()>,
}

impl TestApp {
    pub(super) fn new(
        service: TowpathService,
        running: Running,
        router: &Router,
        held: Held,
        common: Common,
    ) -> Self {
        let tasks = TaskTracker::new();
        let stop = CancellationToken::new();
        let layers = running.layers().clone();
        let layer = Arc::clone(layers.default_layer());
        let stopped = tasks.spawn({
            let stop = stop.clone();
            async move {
                stop.cancelled().await;
                running.stop().await;
                drop(held);
            }
        });
        Self {
            service,
            common,
            tasks,
            topics: router.topics(layer),
            layers,
            channels: router.channels(),
            sockets: AtomicU16::new(0),
            stop: stop.drop_guard(),
            stopped,
        }
    }

    /// A client that opens a WebSocket: a path, with a query string if need be.
    /// Await it for the answer of the handshake.
    ///
    /// ```
    /// # use towpath::prelude::*;
    /// # use towpath::testing::TestApp;
    /// # async fn connect(socket: Socket) -> Result { socket.deny(401, "who?").await }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # let app = App::new().route("/chat/{room}", websocket().connect(connect));
    /// # let app = TestApp::memory(app).await;
    /// let denied = app.websocket("/chat/rust").await.denied();
    /// assert_eq!((denied.status, denied.text()), (401, "who?"));
    /// # }
    /// ```
    #[track_caller]
    pub fn websocket(&self, path: &str) -> Connecting<'_> {
        let number = self.sockets.fetch_add(1, Ordering::Relaxed) + 1;
        Connecting::new(self, path, number)
    }

    /// Lets time pass, with everything that is due in it. On virtual time that
    /// takes no time; on real time it waits.
    ///
    /// # Cancel safety
    ///
    /// A dropped future has let a part of the time pass.
    pub async fn advance(&self, time: Duration) {
        self.common.record.note(format_args!("… {time:?} pass"));
        self.common.clock.pass(time).await;
    }

    /// Waits until nothing can run any more: on virtual time, whatever was
    /// started has come to its end or waits for time to pass. On real time
    /// nobody can tell, and this returns at once.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn settle(&self) {
        self.common.clock.settle().await;
    }

    /// The layer on which sockets and consumers run.
    #[must_use]
    pub fn layer(&self) -> &Arc<dyn ChannelLayer> {
        self.layers.default_layer()
    }

    /// The layers by name.
    #[must_use]
    pub fn layers(&self) -> &Layers {
        &self.layers
    }

    /// What was sent and received until now, as a failure shows it.
    #[must_use]
    pub fn transcript(&self) -> String {
        self.common.record.to_string()
    }

    /// Sends a value to a channel of the application.
    ///
    /// # Panics
    ///
    /// If the layer does not take it.
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have sent the message or not.
    #[track_caller]
    pub fn send<T: Serialize + ?Sized>(
        &self,
        channel: &str,
        value: &T,
    ) -> impl Future<Output = ()> {
        let at = Location::caller();
        let name = self.channel(at, channel);
        let content = self.encoded(at, value);
        async move {
            self.common
                .record
                .note(format_args!("test → channel {name}"));
            if let Err(error) = self.layer().send(&name, Message::Custom(content)).await {
                let why = format_args!("nothing was sent to {name}: {error}");
                self.common.record.fail(at, why);
            }
        }
    }

    /// Takes a message from a channel that no consumer of the application
    /// receives from: what the application sent for others.
    ///
    /// # Panics
    ///
    /// If none comes in time, if it is not a `T`, and if a consumer takes the
    /// channel's messages.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    #[track_caller]
    pub fn recv<T: DeserializeOwned>(&self, channel: &str) -> impl Future<Output = T> {
        let at = Location::caller();
        let name = self.channel(at, channel);
        if self.channels.contains(&name) {
            let why = format_args!("a consumer of the application receives from {name}");
            self.common.record.fail(at, why);
        }
        async move {
            match self.take(at, &name).await.message {
                Message::Custom(content) => match content.decode() {
                    Ok(value) => {
                        self.common
                            .record
                            .note(format_args!("test ← channel {name}"));
                        value
                    }
                    Err(error) => {
                        let expected = std::any::type_name::<T>();
                        let why = format_args!("a message on {name} is no {expected}: {error}");
                        self.common.record.fail(at, why)
                    }
                },
                other @ (Message::Event(_) | Message::Reply(_)) => {
                    let why = format_args!("{name} has no message of the application: {other:?}");
                    self.common.record.fail(at, why)
                }
            }
        }
    }

    async fn take(&self, at: &Location<'_>, name: &ChannelName) -> Received {
        let mut receiver = match self.layer().receiver(vec![name.clone()]) {
            Ok(receiver) => receiver,
            Err(error) => {
                let why = format_args!("{name} cannot be received from: {error}");
                self.common.record.fail(at, why)
            }
        };
        let mut taken = Vec::new();
        let received = self
            .common
            .within(receiver.receive_many(&mut taken, 1))
            .await;
        if let Err(error) = receiver.close().await {
            tracing::warn!(%error, "messages were not given back");
        }
        let why = match (received, taken.pop()) {
            (_, Some(received)) => return received,
            (Some(Err(error)), None) => format!("{name} cannot be received from: {error}"),
            (_, None) => {
                let patience = self.common.patience;
                format!("a message on {name} was expected, and none came within {patience:?}")
            }
        };
        self.common.record.fail(at, why)
    }

    /// Expects that no message waits on a channel, or that the last one is
    /// taken in time.
    ///
    /// # Panics
    ///
    /// If messages wait.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    #[track_caller]
    pub fn assert_empty(&self, channel: &str) -> impl Future<Output = ()> {
        let at = Location::caller();
        let name = self.channel(at, channel);
        async move {
            let mut pending = 0;
            let empty = self.common.comes_true(async || {
                match self.layer().channel_statistics(&name).await {
                    Ok(known) => pending = known.pending,
                    Err(error) => {
                        let why = format_args!("nothing is known of {name}: {error}");
                        self.common.record.fail(at, why)
                    }
                }
                pending == 0
            });
            if !empty.await {
                let why = format_args!("{name} should be empty, and {pending} messages wait");
                self.common.record.fail(at, why);
            }
        }
    }

    /// Ends the application in good order, and waits until it has: sockets are
    /// closed with 1012, their disconnects are handled, the layer is left.
    ///
    /// # Panics
    ///
    /// If a part of it has panicked.
    ///
    /// # Cancel safety
    ///
    /// After dropping the future, the rest ends by itself.
    #[track_caller]
    pub fn stop(self) -> impl Future<Output = ()> {
        let at = Location::caller();
        async move {
            self.common.record.note("test: stop");
            drop(self.stop);
            if let Err(error) = self.stopped.await {
                self.common
                    .record
                    .fail(at, format_args!("the application did not stop: {error}"));
            }
        }
    }

    pub(super) fn channel(&self, at: &Location<'_>, name: &str) -> ChannelName {
        match ChannelName::new(name) {
            Ok(name) => name,
            Err(error) => self.common.record.fail(at, error),
        }
    }

    pub(super) fn encoded<T: Serialize + ?Sized>(&self, at: &Location<'_>, value: &T) -> Content {
        match Content::encode(value) {
            Ok(content) => content,
            Err(error) => self.common.record.fail(at, error),
        }
    }
}

impl fmt::Debug for TestApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestApp")
            .field("layers", &self.layers)
            .field("clock", &self.common.clock)
            .finish_non_exhaustive()
    }
}
