//! An application: what it answers, before it runs anywhere.

use std::fmt;
use std::net::SocketAddr;

use bytes::Bytes;
use futures_util::TryFutureExt as _;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use hyper::body::{Body, Incoming};
use tower::Service;
use towpath_interface_server::{BoxError, HttpService};
use towpath_worker::{
    Consumer, Filter, Handler, IntoWebsocket, Middleware, Router, States, TopicRoutes, TopicSocket,
};

use crate::http_service;

type OnListening = Box<dyn FnOnce(&Listening) + Send>;
type Setup = Box<dyn FnOnce(App) -> BoxFuture<'static, Result<App, BoxError>> + Send>;

/// An application: routes to consumers, values that they share, and pages
/// beside the sockets.
///
/// [`run`](App::run) makes a program of it, with the same command line for
/// every application; [`start`](App::start) runs it inside another program;
/// [`into_service`](App::into_service) mounts it in another HTTP server.
///
/// ```no_run
/// use std::process::ExitCode;
/// use towpath::prelude::*;
///
/// async fn echo(Text(text): Text, socket: Socket) -> Result {
///     socket.text(text).await
/// }
///
/// fn main() -> ExitCode {
///     App::new().route("/echo", websocket().receive(echo)).run()
/// }
/// ```
#[derive(Default)]
pub struct App {
    pub(crate) router: Router,
    pub(crate) states: States,
    pub(crate) http: Option<HttpService>,
    pub(crate) on_listening: Option<OnListening>,
    #[cfg(feature = "binding")]
    pub(crate) bindings: Vec<towpath_binding::Bindings>,
    setups: Vec<Setup>,
}

/// Where an application that serves sockets can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listening {
    /// The address of sockets and pages.
    pub address: SocketAddr,
    /// The address of the operator's listener, if there is one.
    pub operator: Option<SocketAddr>,
}

impl Listening {
    /// Where a browser on this machine finds the pages.
    #[must_use]
    pub fn url(&self) -> String {
        let port = self.address.port();
        match self.address.ip() {
            ip if ip.is_unspecified() => format!("http://localhost:{port}/"),
            _ => format!("http://{}/", self.address),
        }
    }
}

impl App {
    /// An application without routes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Hands a value to the consumers, in place of one of the same type: they
    /// take it as `State<T>`.
    #[must_use]
    pub fn state<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        self.states = self.states.with(value);
        self
    }

    /// Connections to a path; see [`Router::route`].
    #[must_use]
    pub fn route(mut self, path: &str, consumers: impl IntoWebsocket) -> Self {
        self.router = self.router.route(path, consumers);
        self
    }

    /// Connections to a path that fit a filter; see [`Router::route_when`].
    #[must_use]
    pub fn route_when(mut self, path: &str, filter: Filter, consumers: impl IntoWebsocket) -> Self {
        self.router = self.router.route_when(path, filter, consumers);
        self
    }

    /// Connections to a path that matches a regular expression; see
    /// [`Router::route_regex`].
    #[must_use]
    pub fn route_regex(mut self, path: &str, consumers: impl IntoWebsocket) -> Self {
        self.router = self.router.route_regex(path, consumers);
        self
    }

    /// A socket whose clients join topics; see [`Router::socket`].
    #[must_use]
    pub fn socket<S: TopicSocket>(mut self, path: &str, topics: TopicRoutes<S>) -> Self {
        self.router = self.router.socket(path, topics);
        self
    }

    /// Another router's entries behind a prefix; see [`Router::nest`].
    #[must_use]
    pub fn nest(mut self, prefix: &str, router: Router) -> Self {
        self.router = self.router.nest(prefix, router);
        self
    }

    /// Messages on a channel of the application; see [`Router::channel`].
    #[must_use]
    pub fn channel<H: Handler<A>, A: 'static>(mut self, name: &str, consumer: H) -> Self {
        self.router = self.router.channel(name, consumer);
        self
    }

    /// Messages on a channel of the application that fit a filter; see
    /// [`Router::channel_when`].
    #[must_use]
    pub fn channel_when<H: Handler<A>, A: 'static>(
        mut self,
        name: &str,
        filter: Filter,
        consumer: H,
    ) -> Self {
        self.router = self.router.channel_when(name, filter, consumer);
        self
    }

    /// Messages on the channels of a value with methods; see
    /// [`Router::consumer`].
    #[must_use]
    pub fn consumer<C: Consumer>(mut self, consumer: C) -> Self {
        self.router = self.router.consumer(consumer);
        self
    }

    /// Wraps the consumers of all routes and channels so far in a tower layer;
    /// see [`Router::middleware`].
    #[must_use]
    pub fn middleware(mut self, layer: impl Middleware) -> Self {
        self.router = self.router.middleware(layer);
        self
    }

    /// Answers what is not on a route by any tower service: an axum router, a
    /// static file server, a function. Without it that is 404.
    ///
    /// Each request carries the application's [`Topics`](crate::prelude::Topics) as an
    /// extension, so a page can broadcast.
    ///
    /// ```
    /// use axum::routing::get;
    /// use towpath::prelude::*;
    ///
    /// let pages = axum::Router::new().route("/", get(|| async { "hello" }));
    /// let app = App::new().http(pages);
    /// ```
    #[must_use]
    pub fn http<S, B>(mut self, service: S) -> Self
    where
        S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send + 'static,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        self.http = Some(http_service::boxed(service));
        self
    }

    /// Publishes what changes in a database's bound tables, in the processes
    /// that run consumers; one of them at a time. They have to be installed:
    /// by the command `binding install`, or by `Bindings::install`.
    #[cfg(feature = "binding")]
    #[must_use]
    pub fn bind(mut self, bindings: towpath_binding::Bindings) -> Self {
        self.bindings.push(bindings);
        self
    }

    /// Adds what has to be waited for, on the runtime, before the application
    /// starts: a pool of database connections, for example. Commands that do
    /// not start it (`layer`, `topic`, `config`, `bench`) do without: `topic`
    /// knows no routes that are added here, nor which of their topics keep a
    /// history.
    ///
    /// ```
    /// use towpath::prelude::*;
    ///
    /// struct Database(tokio::net::TcpStream);
    ///
    /// let app = App::new().setup(async |app| {
    ///     let stream = tokio::net::TcpStream::connect("127.0.0.1:5432").await?;
    ///     std::io::Result::Ok(app.state(Database(stream)))
    /// });
    /// ```
    #[must_use]
    pub fn setup<F, Fut, E>(mut self, f: F) -> Self
    where
        F: FnOnce(Self) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Self, E>> + Send + 'static,
        E: Into<BoxError> + 'static,
    {
        self.setups
            .push(Box::new(|app| Box::pin(f(app).map_err(Into::into))));
        self
    }

    /// The application with all that had to be waited for.
    pub(crate) async fn set_up(mut self) -> Result<Self, BoxError> {
        while !self.setups.is_empty() {
            let setup = self.setups.remove(0);
            self = setup(self).await?;
        }
        Ok(self)
    }

    /// Called once, when sockets are served: to say where.
    #[must_use]
    pub fn on_listening(mut self, f: impl FnOnce(&Listening) + Send + 'static) -> Self {
        self.on_listening = Some(Box::new(f));
        self
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("paths", &self.router.paths())
            .field("channels", &self.router.channels())
            .field("states", &self.states)
            .field("http", &self.http.is_some())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_told_an_address_that_it_can_open() {
        for (address, url) in [
            ("127.0.0.1:8000", "http://127.0.0.1:8000/"),
            ("0.0.0.0:80", "http://localhost:80/"),
            ("[::]:8000", "http://localhost:8000/"),
            ("[::1]:8000", "http://[::1]:8000/"),
        ] {
            let address = address.parse().unwrap();
            let listening = Listening {
                address,
                operator: None,
            };
            assert_eq!(listening.url(), url);
        }
    }
}
