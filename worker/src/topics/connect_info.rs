//! What is known of a client that asks for a socket.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use towpath_layer_core::Handshake;

use super::Topics;
use crate::{Context, FromContext, Groups, Layer, Result};

/// Where the interface server puts a token, however it came.
const TOKEN_HEADER: &str = "x-phoenix-authtoken";

/// What no path of a URI holds as it is (RFC 3986 §3.3), and `%`.
const NOT_IN_PATHS: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// How a client with topics reaches its socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Transport {
    /// A WebSocket.
    WebSocket,
    /// Requests that wait for what there is to tell.
    LongPoll,
}

impl Transport {
    /// `websocket` or `longpoll`, as Phoenix has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WebSocket => "websocket",
            Self::LongPoll => "longpoll",
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is known of a client that asks for a socket, besides its parameters.
///
/// What Phoenix hands over under names of its own (`connect_info`) has methods
/// here. Every other header is there, too, cookies among them: the origin of a
/// page is checked before anything is asked here, so a foreign page's request
/// with a user's cookies does not come this far, unless the mount lets all
/// origins in.
///
/// ```
/// use towpath_worker::{ConnectInfo, Error, Result};
///
/// fn device(info: &ConnectInfo) -> Result<&str> {
///     info.header("x-device").ok_or_else(|| Error::deny(403, "no device"))
/// }
/// ```
#[derive(Debug)]
pub struct ConnectInfo {
    context: Context,
    handshake: Handshake,
}

impl ConnectInfo {
    pub(super) fn of(context: &Context) -> Result<Self> {
        Ok(Self {
            handshake: context.handshake()?.clone(),
            context: context.clone(),
        })
    }

    /// The first value of a header field, if it is UTF-8; `name` in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.handshake.headers.iter();
        let (_, value) = fields.find(|(known, _)| *known == *name)?;
        std::str::from_utf8(value).ok()
    }

    /// Every header field, in the order of arrival.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &Bytes)> {
        let fields = self.handshake.headers.iter();
        fields.map(|(name, value)| (&**name, value))
    }

    /// The header fields that begin with `x-`.
    pub fn x_headers(&self) -> impl Iterator<Item = (&str, &Bytes)> {
        self.headers_of(|name| name.starts_with("x-"))
    }

    /// The header fields of a trace: `traceparent` and `tracestate`.
    pub fn trace_context_headers(&self) -> impl Iterator<Item = (&str, &Bytes)> {
        self.headers_of(|name| matches!(name, "traceparent" | "tracestate"))
    }

    /// The header fields that begin with `sec-websocket-`; a token is not among
    /// the subprotocols any more.
    pub fn sec_websocket_headers(&self) -> impl Iterator<Item = (&str, &Bytes)> {
        self.headers_of(|name| name.starts_with("sec-websocket-"))
    }

    fn headers_of(&self, fits: fn(&str) -> bool) -> impl Iterator<Item = (&str, &Bytes)> {
        self.headers().filter(move |(name, _)| fits(name))
    }

    /// What the client calls itself.
    #[must_use]
    pub fn user_agent(&self) -> Option<&str> {
        self.header("user-agent")
    }

    /// The peer's address and port.
    #[must_use]
    pub fn client(&self) -> Option<(&str, u16)> {
        let (address, port) = self.handshake.client.as_ref()?;
        Some((address, *port))
    }

    /// The path at which the socket is mounted, percent-decoded.
    #[must_use]
    pub fn path(&self) -> &str {
        self.context.event().map_or("", |event| &event.path)
    }

    /// The query string, as it came.
    #[must_use]
    pub fn query(&self) -> &Bytes {
        &self.handshake.query_string
    }

    /// What the client has asked for: scheme, host and port, path and query,
    /// `wss://example.org/socket?user=ada` for example. The path is percent-encoded
    /// again, but for its slashes. The host is what the client says; behind a
    /// proxy, the scheme is that of the proxy's request.
    #[must_use]
    pub fn uri(&self) -> String {
        let scheme = &self.handshake.scheme;
        let host = self.header("host").unwrap_or_default();
        let path = utf8_percent_encode(self.path(), NOT_IN_PATHS);
        let mut uri = format!("{scheme}://{host}{path}");
        if !self.query().is_empty() {
            uri.push('?');
            uri.push_str(&String::from_utf8_lossy(self.query()));
        }
        uri
    }

    /// Whether the client has a WebSocket, or polls.
    #[must_use]
    pub fn transport(&self) -> Transport {
        match &*self.handshake.scheme {
            "http" | "https" => Transport::LongPoll,
            _ => Transport::WebSocket,
        }
    }

    /// The token that the client sent outside of the URL (`authToken`), if the
    /// mount [takes tokens](super::TopicRoutes::auth_token). The interface server
    /// has decoded it, and refused what is no text; it is not verified.
    ///
    /// On a plain WebSocket it is the header `x-phoenix-authtoken`, which a page
    /// cannot send: there an `Authenticator` knows where else to look.
    #[must_use]
    pub fn auth_token(&self) -> Option<&str> {
        self.header(TOKEN_HEADER)
    }

    /// All that is known of the handshake.
    #[must_use]
    pub fn handshake(&self) -> &Handshake {
        &self.handshake
    }

    /// A value of the application, as [`State`](crate::State) has it.
    ///
    /// # Errors
    ///
    /// An internal [`Error`](crate::Error) if the application has none of that
    /// type.
    pub fn state<T: Send + Sync + 'static>(&self) -> Result<Arc<T>> {
        crate::extract::state_of(&self.context)
    }

    /// What an extractor makes of the event: `Headers`, `Cookies`, `Auth`, ….
    ///
    /// # Errors
    ///
    /// Those of the extractor.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes nothing from the event.
    pub async fn extract<E: FromContext>(&self) -> Result<E> {
        self.context.extract().await
    }

    /// Says who is behind the socket, for logs and rate limits; its topics
    /// inherit it. See [`Context::identify`].
    pub fn identify(&self, identity: &str) {
        self.context.identify(identity);
    }

    /// Topics, to broadcast to.
    #[must_use]
    pub fn topics(&self) -> Topics {
        Topics::of(&self.context)
    }

    /// The groups of the layer, and the socket's own part in them.
    #[must_use]
    pub fn groups(&self) -> Groups {
        Groups::of(&self.context)
    }

    /// The layer.
    #[must_use]
    pub fn layer(&self) -> Layer {
        Layer::new(Arc::clone(self.context.layer()))
    }
}
