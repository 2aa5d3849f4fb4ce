//! A handshake: what a client asks, and how it is answered.

use std::fmt::{self, Write as _};
use std::future::IntoFuture;
use std::net::{Ipv4Addr, SocketAddr};
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    AUTHORIZATION, CONNECTION, COOKIE, HOST, ORIGIN, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use http_body_util::Empty;
use serde::Serialize;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_util::task::TaskTracker;
use towpath_interface_server::FirstSession;
use towpath_layer_core::ChannelLayer;
use towpath_worker::Topics;

use super::app::{Common, TestApp};
use super::record::{Record, shown_bytes};
use super::socket::TestSocket;
use super::topics::TopicTest;
use super::wire::{self, Answered, Beside};

/// The name under which a test's client knows the server.
const SERVER: &str = "localhost";

/// Where the first client comes from; the others count on.
const PORT: u16 = 40_000;

/// A client that is about to open a WebSocket; awaiting it makes the handshake.
#[must_use = "a client asks when this is awaited"]
pub struct Connecting<'a> {
    app: &'a TestApp,
    at: &'static Location<'static>,
    name: String,
    path: String,
    query: Vec<String>,
    headers: HeaderMap,
    cookies: Vec<String>,
    beside: Beside,
}

impl<'a> Connecting<'a> {
    #[track_caller]
    pub(super) fn new(app: &'a TestApp, path: &str, number: u16) -> Self {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static(SERVER));
        Self {
            app,
            at: Location::caller(),
            name: format!("#{number}"),
            path: path.to_owned(),
            query: Some(query.to_owned())
                .filter(|query| !query.is_empty())
                .into_iter()
                .collect(),
            headers,
            cookies: Vec::new(),
            beside: Beside {
                peer: SocketAddr::from((Ipv4Addr::LOCALHOST, PORT.wrapping_add(number))),
                session: None,
            },
        }
    }

    /// What a failure calls this client, in place of its number.
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// Adds a header field. `host` replaces the one that is there.
    ///
    /// # Panics
    ///
    /// If it is no header field, here and below.
    #[track_caller]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.add(Location::caller(), name, value);
        self
    }

    fn add(&mut self, at: &Location<'_>, name: &str, value: &str) {
        let record = &self.app.common.record;
        match (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            (Ok(HOST), Ok(value)) => {
                self.headers.insert(HOST, value);
            }
            (Ok(name), Ok(value)) => {
                self.headers.append(name, value);
            }
            _ => record.fail(at, format_args!("{name:?}: {value:?} is no header field")),
        }
    }

    /// Adds a field to the query string, encoded as a form.
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.query
            .push(format!("{}={}", form_encoded(name), form_encoded(value)));
        self
    }

    /// Offers subprotocols, the best one first.
    #[track_caller]
    pub fn subprotocols<'n>(self, names: impl IntoIterator<Item = &'n str>) -> Self {
        let names: Vec<&str> = names.into_iter().collect();
        self.header(SEC_WEBSOCKET_PROTOCOL.as_str(), &names.join(", "))
    }

    /// The page that opens the socket, `https://example.org` for example. A
    /// client without one is no browser.
    #[track_caller]
    pub fn origin(self, origin: &str) -> Self {
        self.header(ORIGIN.as_str(), origin)
    }

    /// A token in the field `authorization`.
    #[track_caller]
    pub fn bearer(self, token: &str) -> Self {
        self.header(AUTHORIZATION.as_str(), &format!("Bearer {token}"))
    }

    /// Adds a cookie; the value goes as it is.
    pub fn cookie(mut self, name: &str, value: &str) -> Self {
        self.cookies.push(format!("{name}={value}"));
        self
    }

    /// The client's address.
    pub fn peer(mut self, peer: SocketAddr) -> Self {
        self.beside.peer = peer;
        self
    }

    /// Begins with a session, as if an earlier consumer had left it: at connect
    /// `Session<T>` is this value.
    ///
    /// # Panics
    ///
    /// If the value cannot be serialised.
    #[track_caller]
    pub fn session<T: Serialize + ?Sized>(mut self, session: &T) -> Self {
        match FirstSession::of(session) {
            Ok(session) => self.beside.session = Some(session),
            Err(error) => self.app.common.record.fail(Location::caller(), error),
        }
        self
    }

    fn target(&self) -> String {
        let path = path_encoded(&self.path);
        if self.query.is_empty() {
            path
        } else {
            format!("{path}?{}", self.query.join("&"))
        }
    }

    fn request(&mut self, target: &str, key: &str) -> Request<Empty<Bytes>> {
        let text = HeaderValue::from_static;
        self.headers.insert(CONNECTION, text("Upgrade"));
        self.headers.insert(UPGRADE, text("websocket"));
        self.headers.insert(SEC_WEBSOCKET_VERSION, text("13"));
        if let Ok(key) = HeaderValue::from_str(key) {
            self.headers.insert(SEC_WEBSOCKET_KEY, key);
        }
        let mut request = Request::new(Empty::new());
        *request.headers_mut() = std::mem::take(&mut self.headers);
        *request.uri_mut() = match target.parse() {
            Ok(uri) => uri,
            Err(error) => {
                let record = &self.app.common.record;
                record.fail(self.at, format_args!("{target:?}: {error}"))
            }
        };
        request
    }

    async fn open(mut self) -> Answer {
        if !self.cookies.is_empty() {
            let cookies = self.cookies.join("; ");
            self.add(self.at, COOKIE.as_str(), &cookies);
        }
        let (at, target, key) = (self.at, self.target(), generate_key());
        let common = self.app.common.clone();
        let request = self.request(&target, &key);
        common
            .record
            .note(format_args!("{} → GET {target}", self.name));
        let (service, tasks) = (self.app.service.clone(), &self.app.tasks);
        let answered = wire::handshake(service, tasks, request, self.beside).await;
        match answered {
            Ok(Answered::Open {
                response,
                websocket,
                reply_channel,
            }) => {
                let (head, ()) = response.into_parts();
                common.record.note(format_args!("{} ← 101", self.name));
                let accept = head.headers.get(SEC_WEBSOCKET_ACCEPT);
                let expected = derive_accept_key(key.as_bytes());
                let right = accept.is_some_and(|accept| *accept == *expected);
                let Some(reply_channel) = reply_channel.filter(|_| right) else {
                    common
                        .record
                        .fail(at, "the handshake was not answered by Towpath");
                };
                let record = common.record.clone();
                let tasks = self.app.tasks.clone();
                let of_app = OfApp {
                    common: common.clone(),
                    layer: Arc::clone(self.app.layer()),
                    topics: self.app.topics().clone(),
                    tasks: tasks.clone(),
                };
                let socket = TestSocket::new(common, self.name, *websocket, reply_channel, &tasks);
                Answer {
                    target,
                    record,
                    head,
                    outcome: Ok(Box::new((socket, of_app))),
                }
            }
            Ok(Answered::Denied(response)) => {
                let (head, body) = response.into_parts();
                let (name, status) = (&self.name, head.status.as_u16());
                let line = format_args!("{name} ← {status} {}", shown_bytes(&body));
                common.record.note(line);
                Answer {
                    target,
                    record: common.record,
                    head,
                    outcome: Err(body),
                }
            }
            Err(error) => common
                .record
                .fail(at, format_args!("{target} was not answered: {error}")),
        }
    }
}

/// Encodes what cannot stand in a path; a percent sign stays what it is.
fn path_encoded(path: &str) -> String {
    let stays = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}#".contains(&byte);
    encoded(path, stays)
}

fn form_encoded(text: &str) -> String {
    encoded(text, |byte| {
        byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte)
    })
}

fn encoded(text: &str, stays: impl Fn(u8) -> bool) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if stays(byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String does not fail.
            write!(encoded, "%{byte:02X}").unwrap_or_default();
        }
    }
    encoded
}

impl<'a> IntoFuture for Connecting<'a> {
    type Output = Answer;
    type IntoFuture = Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.open())
    }
}

impl fmt::Debug for Connecting<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connecting")
            .field("name", &self.name)
            .field("target", &self.target())
            .finish_non_exhaustive()
    }
}

/// How a handshake was answered.
#[derive(Debug)]
pub struct Answer {
    target: String,
    record: Record,
    head: http::response::Parts,
    outcome: Result<Box<(TestSocket, OfApp)>, Bytes>,
}

/// What of the application a client of topics needs.
#[derive(Debug)]
struct OfApp {
    common: Common,
    layer: Arc<dyn ChannelLayer>,
    topics: Topics,
    tasks: TaskTracker,
}

/// A handshake that was answered with an error.
#[derive(Debug, Clone)]
pub struct Denied {
    /// The HTTP status.
    pub status: u16,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Denied {
    /// The body, if it is text.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap_or_default()
    }

    /// The value of a header field, if it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl Answer {
    /// The HTTP status; 101 if the socket is open.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.head.status.as_u16()
    }

    /// The value of a header field, if it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name)?.to_str().ok()
    }

    /// The subprotocol that the application chose.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.header(SEC_WEBSOCKET_PROTOCOL.as_str())
    }

    /// The open socket.
    ///
    /// # Panics
    ///
    /// If the handshake was denied.
    #[track_caller]
    #[must_use]
    pub fn accepted(self) -> TestSocket {
        self.open(Location::caller()).0
    }

    /// The open socket, as a client of topics; of [`TestApp::socket`].
    ///
    /// # Panics
    ///
    /// If the handshake was denied.
    #[track_caller]
    #[must_use]
    pub fn connected(self) -> TopicTest {
        let (socket, of_app) = self.open(Location::caller());
        let OfApp {
            common,
            layer,
            topics,
            tasks,
        } = of_app;
        TopicTest::new(common, socket.into_parts(), layer, topics, &tasks)
    }

    fn open(self, at: &Location<'_>) -> (TestSocket, OfApp) {
        match self.outcome {
            Ok(open) => *open,
            Err(body) => {
                let (target, status) = (&self.target, self.head.status.as_u16());
                let body = shown_bytes(&body);
                let why = format_args!("{target} was not accepted but denied: {status} {body}");
                self.record.fail(at, why)
            }
        }
    }

    /// How the handshake was denied.
    ///
    /// # Panics
    ///
    /// If it was accepted.
    #[track_caller]
    #[must_use]
    pub fn denied(self) -> Denied {
        match self.outcome {
            Err(body) => Denied {
                status: self.head.status.as_u16(),
                headers: self.head.headers,
                body,
            },
            Ok(_) => {
                let why = format_args!("{} was not denied but accepted", self.target);
                self.record.fail(Location::caller(), why)
            }
        }
    }
}
