//! From an application to one that runs inside a test.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::Duration;

use towpath_interface_server::TowpathService;
use towpath_layer_core::{Entropy, SystemEntropy};
use towpath_worker::Router;
use tracing_subscriber::EnvFilter;

use super::app::{Common, Held, TestApp};
use super::clock::Clock;
use super::record::Record;
use super::redis::Redis;
use crate::app::App;
use crate::config::{Config, DEFAULT_LAYER, LayerKind};
use crate::running::Running;
use crate::start::StartError;

/// A test application that is about to start; awaiting it starts it.
#[must_use = "an application starts when this is awaited"]
pub struct Start {
    app: App,
    config: Config,
    kind: LayerKind,
    clock: Clock,
    patience: Option<Duration>,
}

impl Start {
    fn new(app: App, kind: LayerKind, clock: Clock) -> Self {
        Self {
            app,
            config: Config::default(),
            kind,
            clock,
            patience: None,
        }
    }

    /// Changes the configuration, which is the default one. Where the layer
    /// `default` is, and the addresses, are the test's own business.
    ///
    /// ```
    /// use towpath::prelude::*;
    /// use towpath::testing::TestApp;
    ///
    /// # async fn receive() {}
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let app = App::new().route("/chat", websocket().receive(receive));
    /// let app = TestApp::memory(app)
    ///     .configure(|config| config.server.event_queue_max = 4)
    ///     .await;
    /// # drop(app);
    /// # }
    /// ```
    pub fn configure(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }

    /// Lets time pass as on the wall also on memory: for an application that
    /// waits for something outside of the process, a database for example. Any
    /// runtime will do then.
    pub fn real_time(mut self) -> Self {
        self.clock = Clock::Real;
        self
    }

    /// How long a test waits for what it expects; by default 1 s of virtual
    /// time, 10 s of real time.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }

    async fn run(mut self) -> TestApp {
        self.clock.set_up();
        show_logs();
        let held = self.place_layer().await;
        // One shard: nothing in a test is faster for a second.
        self.config.server.shards = 1;
        let (router, service, running) =
            match Box::pin(start(self.app, self.clock, &self.config)).await {
                Ok(started) => started,
                Err(error) => panic!(
                    "the application does not start: {:#}",
                    anyhow::Error::new(error)
                ),
            };
        let common = Common {
            record: Record::new(),
            clock: self.clock,
            patience: self.patience.unwrap_or(self.clock.patience()),
        };
        TestApp::new(service, running, &router, held, common)
    }

    /// Puts the layer `default` where the test wants it.
    async fn place_layer(&mut self) -> Held {
        let layer = self
            .config
            .layers
            .entry(DEFAULT_LAYER.to_owned())
            .or_default();
        layer.kind = self.kind;
        match self.kind {
            LayerKind::Memory => {
                layer.url = None;
                None
            }
            LayerKind::Redis => {
                // Nobody else's keys, also on a server that others use.
                layer.prefix = format!("test-{:016x}", SystemEntropy.next_u64());
                let Redis { url, server } = Redis::reach().await;
                layer.url = Some(url);
                server
            }
        }
    }
}

/// Starts the application; with its routes.
async fn start(
    app: App,
    clock: Clock,
    config: &Config,
) -> Result<(Router, TowpathService, Running), StartError> {
    // Already here, because it may add consumers.
    let app = app.set_up().await.map_err(StartError::Setup)?;
    let router = app.router.clone();
    let (service, running) = match clock {
        Clock::Virtual => app.into_local_service(config).await?,
        Clock::Real => app.into_service(config).await?,
    };
    Ok((router, service, running))
}

/// Shows what the libraries warn about beside the output of the test, unless
/// the test has a subscriber of its own. `RUST_LOG` shows more.
fn show_logs() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    let installed = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_test_writer()
        .with_ansi(false)
        .without_time()
        .try_init();
    if installed.is_err() {
        tracing::trace!("logs go where the test has sent them before");
    }
}

impl TestApp {
    /// The application on a layer in memory, on virtual time: the clock stands
    /// while anything can run, and then jumps to the next thing that is due. So
    /// a test of an hour takes a moment, and nothing in it is a matter of luck.
    ///
    /// The runtime has to have one thread, as that of `#[tokio::test]` has; its
    /// clock is paused if it is not. What waits for something outside of the
    /// process wants [`real_time`](Start::real_time).
    ///
    /// # Panics
    ///
    /// On a runtime with several threads, and if the application has mistakes.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use towpath::prelude::*;
    /// use towpath::testing::TestApp;
    ///
    /// # async fn receive() {}
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let app = App::new().route("/chat", websocket().receive(receive));
    /// let app = TestApp::memory(app).await;
    /// let mut ada = app.websocket("/chat").await.accepted();
    /// app.advance(Duration::from_hours(1)).await;
    /// ada.assert_nothing().await;
    /// # }
    /// ```
    pub fn memory(app: App) -> Start {
        Start::new(app, LayerKind::Memory, Clock::Virtual)
    }

    /// The application on a real Redis, on real time, under keys of its own:
    /// the server that `TOWPATH_TEST_REDIS` names (`redis://127.0.0.1:6379`), or
    /// a private `redis-server` that ends with the last test application of
    /// the process.
    ///
    /// # Panics
    ///
    /// If there is no server, and if the application has mistakes.
    pub fn redis(app: App) -> Start {
        Start::new(app, LayerKind::Redis, Clock::Real)
    }
}

impl IntoFuture for Start {
    type Output = TestApp;
    type IntoFuture = Pin<Box<dyn Future<Output = TestApp> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Start")
            .field("app", &self.app)
            .field("layer", &self.kind)
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}
