//! Who connects, and what is known of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use towpath::prelude::*;
use towpath::worker::MaxAge;

/// Where a token says who connects.
pub(crate) const AUTH_PATH: &str = "/auth";

const SECRET_LEN: usize = 64;
const SALT: &str = "user auth";

type Fields = BTreeMap<String, String>;

/// One connection.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct UserSocket {
    pub(crate) user: Option<String>,
    pub(crate) known: Known,
}

/// What is known of a connection, as `connect_info` tells it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Known {
    transport: String,
    /// The user of the session in the cookie.
    session: Option<String>,
    params: Fields,
    x_headers: Fields,
    trace_headers: Fields,
    sec_websocket_headers: Fields,
    user_agent: Option<String>,
    peer: Option<Peer>,
    uri: Uri,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Peer {
    address: String,
    port: u16,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Uri {
    scheme: String,
    host: String,
    port: Option<u16>,
    path: String,
    query: String,
}

impl TopicSocket for UserSocket {
    async fn connect(params: SocketParams, info: &ConnectInfo) -> Result<Self> {
        match params.get("reject") {
            Some("429") => return Err(Error::deny(429, "too many")),
            Some(_) => return Err(Error::deny(403, "rejected")),
            None => {}
        }
        let user = match info.path() {
            AUTH_PATH => Some(authenticated(info)?),
            _ => params.get("user").map(str::to_owned),
        };
        let session = session(&params, &info.extract().await?);
        let known = Known::of(&params, info, session);
        Ok(Self { user, known })
    }

    fn id(&self) -> Option<String> {
        self.user.as_ref().map(|user| format!("users:{user}"))
    }
}

/// Whom the auth token names.
fn authenticated(info: &ConnectInfo) -> Result<String> {
    let tokens = PhoenixTokens::new("a".repeat(SECRET_LEN))?;
    let user = tokens.verify_within(SALT, info.auth_token(), MaxAge::Infinity);
    user.map_err(|error| Error::deny(403, error.to_string()))
}

/// Whose session the cookie is, `TOKEN.USER`, if the page knows the token: one of
/// another site has the cookie sent along, too, but cannot read it.
fn session(params: &SocketParams, cookies: &Cookies) -> Option<String> {
    let (token, user) = cookies.get("session")?.split_once('.')?;
    (params.get("_csrf_token") == Some(token)).then(|| user.to_owned())
}

impl Known {
    fn of(params: &SocketParams, info: &ConnectInfo, session: Option<String>) -> Self {
        let params = params.iter();
        let peer = info.client().map(|(address, port)| Peer {
            address: address.to_owned(),
            port,
        });
        Self {
            transport: info.transport().to_string(),
            session,
            params: params
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            x_headers: fields(info, |name| name.starts_with("x-")),
            trace_headers: fields(info, |name| matches!(name, "traceparent" | "tracestate")),
            sec_websocket_headers: fields(info, |name| name.starts_with("sec-websocket-")),
            user_agent: info.header("user-agent").map(str::to_owned),
            peer,
            uri: Uri::of(info),
        }
    }
}

impl Uri {
    fn of(info: &ConnectInfo) -> Self {
        let uri = info.uri();
        let (scheme, rest) = uri.split_once("://").unwrap_or_default();
        let authority = rest.split('/').next().unwrap_or_default();
        let parts = authority.rsplit_once(':');
        let with_port = parts.and_then(|(host, port)| Some((host, port.parse().ok()?)));
        let (host, port) = with_port.map_or((authority, None), |(host, port)| (host, Some(port)));
        Self {
            scheme: scheme.to_owned(),
            host: host.to_owned(),
            port,
            path: info.path().to_owned(),
            query: String::from_utf8_lossy(info.query()).into_owned(),
        }
    }
}

/// The header fields of some names.
fn fields(info: &ConnectInfo, is_wanted: impl Fn(&str) -> bool) -> Fields {
    let wanted = info.headers().filter(|(name, _)| is_wanted(name));
    wanted
        .map(|(name, value)| (name.to_owned(), String::from_utf8_lossy(value).into_owned()))
        .collect()
}
