//! An application starts: layers, then consumers, then sockets.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use towpath_interface_server::{
    BindError, BoxError, InterfaceServer, LayerApi, Operator, RoutesError, TokenError, Tokens,
    TowpathService,
};
use towpath_worker::{RouteErrors, States, Worker, WorkerError};

use crate::app::{App, Listening};
use crate::config::{ApiListener, Config, Listener, Secret};
use crate::http_service;
use crate::layers::{Layers, OpenError};
use crate::routes;
use crate::running::{Part, Running};
use crate::settings;
use crate::telemetry::Metrics;

/// What a process does of an application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Sockets and consumers.
    Serve,
    /// Sockets.
    Interface,
    /// Consumers.
    Worker,
}

/// Why an application did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Routes are not valid.
    #[error("the application has mistakes in its routes")]
    Routes(#[from] RouteErrors),
    /// Routes are not valid for the interface server.
    #[error(transparent)]
    Paths(#[from] RoutesError),
    /// A layer could not be opened.
    #[error(transparent)]
    Layer(#[from] OpenError),
    /// Consumers cannot run.
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// Sockets cannot be served.
    #[error(transparent)]
    Server(#[from] BindError),
    /// The operator's listener cannot stand where it should.
    #[error("the operator's listener cannot stand at {address}")]
    Operator {
        /// Where it should.
        address: SocketAddr,
        /// Why it cannot.
        source: io::Error,
    },
    /// The layer's HTTP interface cannot stand where it should.
    #[error("the layer's HTTP interface cannot stand at {address}")]
    Api {
        /// Where it should.
        address: SocketAddr,
        /// Why it cannot.
        source: io::Error,
    },
    /// The layer that the HTTP interface is to serve is none of those that are
    /// configured.
    #[error("api.layer is {name:?}, which is none of the layers")]
    ApiLayer {
        /// Its name.
        name: String,
    },
    /// The layer's HTTP interface has nothing to guard it.
    #[error("api.tokens cannot be used")]
    Tokens(#[from] TokenError),
    /// What [`App::setup`] waits for failed.
    #[error("the application could not be set up")]
    Setup(#[source] BoxError),
    /// Tables cannot be bound.
    #[cfg(feature = "binding")]
    #[error(transparent)]
    Binding(#[from] towpath_binding::BindingError),
    /// Metrics cannot be collected.
    #[error("metrics cannot be collected")]
    Metrics(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl App {
    /// Runs the application inside another program: sockets and consumers, on
    /// the running tokio runtime. Logs go where that program sends them.
    ///
    /// # Errors
    ///
    /// [`StartError`] says what did not start; nothing stays behind.
    ///
    /// # Cancel safety
    ///
    /// A dropped future leaves nothing running.
    ///
    /// # Examples
    ///
    /// ```
    /// use towpath::config::Config;
    /// use towpath::prelude::*;
    ///
    /// # #[tokio::main]
    /// # async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    /// async fn echo(frame: Frame, socket: Socket) -> Result {
    ///     socket.reply(Reply::frame(frame)).await
    /// }
    ///
    /// let mut config = Config::default();
    /// config.server.listen = "127.0.0.1:0".parse()?;
    /// let app = App::new().route("/echo", websocket().receive(echo));
    /// let running = app.start(&config).await?;
    /// assert!(running.listening().is_some());
    /// running.stop().await;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn start(self, config: &Config) -> Result<Running, StartError> {
        Box::pin(self.start_as(Role::Serve, config)).await
    }

    /// Mounts the sockets in another HTTP server, axum's or hyper's: the
    /// service answers the WebSocket requests on the application's routes. The
    /// consumers run beside it, as long as the second value is not stopped.
    ///
    /// The addresses in the configuration and [`http`](Self::http) are not
    /// used: that server has its own. A peer's address reaches the consumers if
    /// the request carries a [`SocketAddr`](std::net::SocketAddr) as an
    /// extension. A [`FirstSession`](crate::FirstSession) as an extension is
    /// what `Session<T>` is at connect, in place of `T::default()`: so a
    /// middleware that knows who is there says so.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    ///
    /// # Cancel safety
    ///
    /// A dropped future leaves nothing running.
    ///
    /// # Examples
    ///
    /// ```
    /// use axum::routing::get;
    /// use towpath::config::Config;
    /// use towpath::prelude::*;
    ///
    /// # #[tokio::main]
    /// # async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    /// async fn echo(frame: Frame, socket: Socket) -> Result {
    ///     socket.reply(Reply::frame(frame)).await
    /// }
    ///
    /// let app = App::new().route("/echo", websocket().receive(echo));
    /// let (sockets, running) = app.into_service(&Config::default()).await?;
    /// let router: axum::Router = axum::Router::new()
    ///     .route("/", get(|| async { "hello" }))
    ///     .route_service("/echo", sockets);
    /// # drop(router);
    /// running.stop().await;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn into_service(
        self,
        config: &Config,
    ) -> Result<(TowpathService, Running), StartError> {
        let mut base = Base::new(self, config).await?;
        match base.mount(config).await {
            Ok(service) => Ok((service, base.running)),
            Err(error) => Err(base.give_up(error).await),
        }
    }

    /// As [`into_service`](Self::into_service), with the sockets on the running
    /// runtime, which has to have one thread.
    #[cfg(feature = "testing")]
    pub(crate) async fn into_local_service(
        self,
        config: &Config,
    ) -> Result<(TowpathService, Running), StartError> {
        let mut base = Base::new(self, config).await?;
        match base.mount_local(config).await {
            Ok(service) => Ok((service, base.running)),
            Err(error) => Err(base.give_up(error).await),
        }
    }

    /// Starts what a process of that role runs.
    pub(crate) async fn start_as(self, role: Role, config: &Config) -> Result<Running, StartError> {
        let mut base = Base::new(self, config).await?;
        match base.start(role, config).await {
            Ok(()) => Ok(base.running),
            Err(error) => Err(base.give_up(error).await),
        }
    }
}

/// What has been started so far, and the application that it is started for.
struct Base {
    app: App,
    states: States,
    metrics: Metrics,
    running: Running,
}

impl Base {
    async fn new(app: App, config: &Config) -> Result<Self, StartError> {
        let mut app = app.set_up().await.map_err(StartError::Setup)?;
        let metrics = Metrics::collect().map_err(|error| StartError::Metrics(error.into()))?;
        let layers = Layers::open(config).await?;
        let states = std::mem::take(&mut app.states).with(layers.clone());
        let tracker = TaskTracker::new();
        let upkeep = Part::new(&tracker, |stop| {
            let metrics = metrics.clone();
            async move {
                stop.run_until_cancelled(metrics.upkeep()).await;
            }
        });
        let topics = app.router.topics(Arc::clone(layers.default_layer()));
        let running = Running::new(tracker, layers, topics, metrics.clone(), upkeep);
        let base = Self {
            app,
            states,
            metrics,
            running,
        };
        match base.app.router.check(&base.states) {
            Ok(()) => Ok(base),
            Err(error) => Err(base.give_up(error.into()).await),
        }
    }

    /// Ends what has been started, for the error that ended the start.
    async fn give_up(self, error: StartError) -> StartError {
        self.running.stop().await;
        error
    }

    async fn start(&mut self, role: Role, config: &Config) -> Result<(), StartError> {
        if role != Role::Interface {
            self.worker(config)?;
            self.bindings().await?;
        }
        Box::pin(self.api(config)).await?;
        if role == Role::Worker {
            return self.operator(config.operator.listen).await;
        }
        self.server(config).await
    }

    fn worker(&mut self, config: &Config) -> Result<(), StartError> {
        let layer = Arc::clone(self.running.layers().default_layer());
        let settings = settings::worker(config);
        let worker = Worker::new(settings, &self.app.router, layer, self.states.clone())?;
        self.running.consume(config.worker.drain_timeout, worker);
        Ok(())
    }

    /// Publishes what changes in bound tables.
    #[cfg(feature = "binding")]
    async fn bindings(&mut self) -> Result<(), StartError> {
        for bindings in std::mem::take(&mut self.app.bindings) {
            let layer = Arc::clone(self.running.layers().default_layer());
            let taker = bindings.start(layer).await?;
            self.running.attend(|stop| taker.run(stop));
        }
        Ok(())
    }

    #[cfg(not(feature = "binding"))]
    #[expect(clippy::unused_async, reason = "as with bindings built in")]
    async fn bindings(&mut self) -> Result<(), StartError> {
        Ok(())
    }

    async fn api(&mut self, config: &Config) -> Result<(), StartError> {
        let ApiListener::Address(address) = config.api.listen else {
            return Ok(());
        };
        let tokens = Tokens::new(config.api.tokens.iter().map(Secret::expose))?;
        let name = &config.api.layer;
        let layer = self.running.layers().get(name).cloned();
        let layer = layer.ok_or_else(|| StartError::ApiLayer { name: name.clone() })?;
        let failed = |source| StartError::Api { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        tracing::info!(%address, layer = config.api.layer, "the layer's HTTP interface listening");
        let limits = settings::api(config);
        let stop_timeout = limits.stop_timeout;
        let topics = self.running.topics().clone();
        let api = LayerApi::new(tokens, limits).histories(move |topic| topics.history(topic));
        let serving = |stop| api.serve(listener, layer, stop);
        self.running.expose(address, stop_timeout, serving);
        Ok(())
    }

    async fn operator(&mut self, listener: Listener) -> Result<(), StartError> {
        let Listener::Address(address) = listener else {
            return Ok(());
        };
        let layer = Arc::clone(self.running.layers().default_layer());
        let failed = |source| StartError::Operator { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        tracing::info!(%address, "operator listening");
        let serving = self.pages().serve(listener, layer, Arc::new(|| true));
        self.running.attend(|stop| async move {
            stop.run_until_cancelled(serving).await;
        });
        Ok(())
    }

    fn pages(&self) -> Operator {
        let metrics = self.metrics.clone();
        Operator {
            metrics: Arc::new(move || metrics.render()),
        }
    }

    async fn server(&mut self, config: &Config) -> Result<(), StartError> {
        let server = self.bind(config).await?;
        let listening = Listening {
            address: server.local_addr(),
            operator: server.operator_addr(),
        };
        tracing::info!(address = %listening.address, url = listening.url(), "listening");
        if let Some(address) = listening.operator {
            tracing::info!(%address, "operator listening");
        }
        self.running
            .listen(config.server.drain_timeout, listening, server);
        if let Some(on_listening) = self.app.on_listening.take() {
            on_listening(&listening);
        }
        Ok(())
    }

    /// Binds the server. That another process has the operator's usual port
    /// ends nothing if nobody asked for it.
    async fn bind(&self, config: &Config) -> Result<InterfaceServer, StartError> {
        let operator = settings::operator(config.operator.listen);
        match self.bind_with(config, operator).await {
            Err(StartError::Server(BindError::Listen { address, source }))
                if config.operator.listen == Listener::Auto
                    && address == Listener::AUTO
                    && source.kind() == io::ErrorKind::AddrInUse =>
            {
                tracing::warn!(
                    %address,
                    "no operator's listener: another process has its usual address; \
                     choose one by operator.listen"
                );
                self.bind_with(config, None).await
            }
            result => result,
        }
    }

    async fn bind_with(
        &self,
        config: &Config,
        operator: Option<SocketAddr>,
    ) -> Result<InterfaceServer, StartError> {
        let routes = routes::of(&self.app.router)?;
        let layer = Arc::clone(self.running.layers().default_layer());
        let settings = settings::server(config, operator);
        let topics = self.running.topics();
        let http = self.app.http.clone();
        let http = http.map(|service| http_service::with_topics(service, topics));
        Ok(InterfaceServer::bind(settings, routes, layer, http, Some(self.pages())).await?)
    }

    async fn mount(&mut self, config: &Config) -> Result<TowpathService, StartError> {
        self.worker(config)?;
        self.bindings().await?;
        let routes = routes::of(&self.app.router)?;
        let layer = Arc::clone(self.running.layers().default_layer());
        let settings = settings::server(config, None);
        let (service, handle) = InterfaceServer::service(settings, routes, layer).await?;
        let drain = |stop: CancellationToken| async move {
            stop.cancelled().await;
            handle.drain().await;
        };
        self.running.mount(config.server.drain_timeout, drain);
        Ok(service)
    }
    #[cfg(feature = "testing")]
    async fn mount_local(&mut self, config: &Config) -> Result<TowpathService, StartError> {
        use send_wrapper::SendWrapper;

        self.worker(config)?;
        self.bindings().await?;
        let routes = routes::of(&self.app.router)?;
        let layer = Arc::clone(self.running.layers().default_layer());
        let settings = settings::server(config, None);
        let (service, server) = InterfaceServer::local(settings, routes, layer).await?;
        // It is polled on the one thread of this runtime, and dropped there.
        let serve = |stop: CancellationToken| SendWrapper::new(server.run(stop));
        self.running.mount(config.server.drain_timeout, serve);
        Ok(service)
    }
}
