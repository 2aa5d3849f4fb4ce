//! A WebSocket request: what it must say, and what the layer is told of it
//! (RFC 6455 §4.2.1).

use std::net::SocketAddr;

use bytes::Bytes;
use bytestring::ByteString;
use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderName, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, Method, Version};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use towpath_layer_core::{Handshake, Headers};

use super::phoenix::{Carries, Speech, TOKEN_PREFIX};
use super::refusal::Refusal;
use crate::mount::FirstSession;
use crate::routes::Entrance;

/// A well-formed request to open a socket.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) path: ByteString,
    pub(crate) handshake: Box<Handshake>,
    /// The session that connect begins with; empty unless the server that
    /// this one is mounted in gave one.
    pub(crate) session: Bytes,
    /// What it speaks, if its frames are those of Phoenix.
    pub(crate) speech: Option<Speech>,
    /// What proves to the peer that its key was read; empty if it sent none.
    pub(crate) accept_key: String,
}

/// The two ends of the connection that the request came on.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ends {
    pub(crate) client: Option<SocketAddr>,
    pub(crate) server: Option<SocketAddr>,
}

/// Whether the request asks for a WebSocket, well-formed or not.
pub(crate) fn asks_for_websocket(headers: &HeaderMap) -> bool {
    has_token(headers, &UPGRADE, "websocket")
}

/// Reads a request that asks for a WebSocket.
pub(crate) fn read(parts: &Parts, entrance: Entrance, ends: Ends) -> Result<Request, Refusal> {
    let headers = &parts.headers;
    if parts.method != Method::GET || parts.version < Version::HTTP_11 {
        return Err(Refusal::bad_request(
            "a WebSocket request is GET, HTTP/1.1\n",
        ));
    }
    if !has_token(headers, &CONNECTION, "upgrade") {
        return Err(Refusal::bad_request(
            "the Connection header lacks Upgrade\n",
        ));
    }
    let body = headers
        .get(CONTENT_LENGTH)
        .is_some_and(|length| length != "0");
    if body || headers.contains_key(TRANSFER_ENCODING) {
        return Err(Refusal::bad_request("a WebSocket request has no body\n"));
    }
    if only(headers, &SEC_WEBSOCKET_VERSION) != Some(b"13") {
        return Err(Refusal::wrong_version());
    }
    if only(headers, &HOST).is_none() {
        return Err(Refusal::bad_request("the Host header stands once\n"));
    }
    let key = only(headers, &SEC_WEBSOCKET_KEY)
        .filter(|key| is_key(key))
        .ok_or_else(|| Refusal::bad_request("the Sec-WebSocket-Key is not 16 bytes\n"))?;
    let handshake = Handshake {
        scheme: scheme(parts, "ws", "wss"),
        subprotocols: subprotocols(headers)?,
        ..handshake(parts, ends)
    };
    let request = request(entrance, Carries::TextAndBytes, handshake)?;
    Ok(Request {
        accept_key: derive_accept_key(key),
        session: first_session(parts),
        ..request
    })
}

/// Reads a request that opens a session to be polled.
pub(crate) fn poll(parts: &Parts, entrance: Entrance, ends: Ends) -> Result<Request, Refusal> {
    let request = request(entrance, Carries::TextOnly, handshake(parts, ends))?;
    Ok(Request {
        session: first_session(parts),
        ..request
    })
}

/// What the server that this one is mounted in has found out.
fn first_session(parts: &Parts) -> Bytes {
    let first = parts.extensions.get::<FirstSession>();
    first.map(|first| first.0.clone()).unwrap_or_default()
}

fn handshake(parts: &Parts, ends: Ends) -> Handshake {
    Handshake {
        scheme: scheme(parts, "http", "https"),
        query_string: query(parts),
        headers: header_fields(&parts.headers),
        client: ends.client.map(host_and_port),
        server: ends.server.map(host_and_port),
        subprotocols: Vec::new(),
    }
}

fn request(
    entrance: Entrance,
    carries: Carries,
    mut handshake: Handshake,
) -> Result<Request, Refusal> {
    let speech = entrance
        .mount
        .map(|mount| Speech::of(mount, carries, &mut handshake));
    Ok(Request {
        path: entrance.path.into(),
        accept_key: String::new(),
        session: Bytes::new(),
        speech: speech.transpose()?,
        handshake: Box::new(handshake),
    })
}

/// The path of a request, percent-decoded; what is not UTF-8 is replaced.
pub(crate) fn decoded_path(path: &str) -> String {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        if let (b'%', Some((digits, after))) = (first, behind.split_at_checked(2))
            && let Some(byte) = hex_byte(digits)
        {
            decoded.push(byte);
            rest = after;
        } else {
            decoded.push(*first);
            rest = behind;
        }
    }
    String::from_utf8(decoded)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

fn hex_byte(digits: &[u8]) -> Option<u8> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    match digits {
        [high, low] => u8::try_from(digit(high)? * 16 + digit(low)?).ok(),
        _ => None,
    }
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|word| word.trim().eq_ignore_ascii_case(token))
}

/// The value of a header that stands exactly once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a [u8]> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Some(value.as_bytes()),
        _ => None,
    }
}

/// Whether this is the base64 form of 16 bytes.
fn is_key(key: &[u8]) -> bool {
    let letter = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    key.strip_suffix(b"==")
        .is_some_and(|letters| letters.len() == 22 && letters.iter().all(letter))
}

fn scheme(parts: &Parts, plain: &'static str, encrypted: &'static str) -> ByteString {
    match parts.uri.scheme_str() {
        Some("https" | "wss") => ByteString::from_static(encrypted),
        _ => ByteString::from_static(plain),
    }
}

fn query(parts: &Parts) -> Bytes {
    let query = parts.uri.query().unwrap_or_default();
    Bytes::copy_from_slice(query.as_bytes())
}

fn host_and_port(address: SocketAddr) -> (ByteString, u16) {
    (address.ip().to_string().into(), address.port())
}

/// All fields, in one piece of memory.
fn header_fields(headers: &HeaderMap) -> Headers {
    let size = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    let mut joined = Vec::with_capacity(size);
    let mut ends = Vec::with_capacity(headers.len());
    for (name, value) in headers {
        joined.extend_from_slice(name.as_str().as_bytes());
        let middle = joined.len();
        joined.extend_from_slice(value.as_bytes());
        ends.push((middle, joined.len()));
    }
    let joined = Bytes::from(joined);
    let mut start = 0;
    let mut fields = Headers::with_capacity(ends.len());
    for (middle, end) in ends {
        // A header's name is ASCII.
        if let Ok(name) = ByteString::try_from(joined.slice(start..middle)) {
            fields.push((name, joined.slice(middle..end)));
        }
        start = end;
    }
    fields
}

fn subprotocols(headers: &HeaderMap) -> Result<Vec<ByteString>, Refusal> {
    let refusal = || Refusal::bad_request("the Sec-WebSocket-Protocol is malformed\n");
    let mut offered = Vec::new();
    for value in headers.get_all(SEC_WEBSOCKET_PROTOCOL) {
        let value = value.to_str().map_err(|_| refusal())?;
        for name in value.split(',').map(str::trim) {
            if !is_offer(name) {
                return Err(refusal());
            }
            offered.push(ByteString::from(name));
        }
    }
    Ok(offered)
}

/// Whether this may be offered: a token of RFC 9110, or one of a user's, whose
/// base64 holds `/` and `=` in the alphabet that its clients take.
fn is_offer(text: &str) -> bool {
    match text.strip_prefix(TOKEN_PREFIX) {
        Some(encoded) => encoded
            .split(['/', '='])
            .all(|part| part.is_empty() || is_token(part)),
        None => is_token(text),
    }
}

/// Whether this is a token of RFC 9110 §5.6.2.
fn is_token(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::StatusCode;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

    fn entrance(path: String) -> Entrance {
        Entrance { path, mount: None }
    }

    fn parts(change: impl FnOnce(&mut http::Request<()>)) -> Parts {
        let mut request = http::Request::builder()
            .uri("/caf%C3%A9/%2e?a=%20b")
            .header("Host", "example.org")
            .header("Connection", "keep-alive, Upgrade")
            .header("Upgrade", "WebSocket")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", KEY)
            .body(())
            .unwrap();
        change(&mut request);
        request.into_parts().0
    }

    fn status(change: impl FnOnce(&mut http::Request<()>)) -> Option<StatusCode> {
        let parts = parts(change);
        assert!(asks_for_websocket(&parts.headers));
        let read = read(
            &parts,
            entrance(decoded_path(parts.uri.path())),
            Ends::default(),
        );
        read.err().map(|refusal| refusal.status)
    }

    fn set(name: &'static str, value: &'static str) -> impl FnOnce(&mut http::Request<()>) {
        move |request| {
            request.headers_mut().insert(name, value.parse().unwrap());
        }
    }

    fn add(name: &'static str, value: &'static str) -> impl FnOnce(&mut http::Request<()>) {
        move |request| {
            request.headers_mut().append(name, value.parse().unwrap());
        }
    }

    #[test]
    fn a_good_request_tells_the_layer_what_it_said() {
        let parts = parts(add("sec-websocket-protocol", "chat, superchat"));
        let path = decoded_path(parts.uri.path());
        let request = read(&parts, entrance(path), Ends::default()).unwrap();
        assert_eq!(request.path, "/café/.");
        assert_eq!(request.accept_key, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(request.handshake.query_string, "a=%20b".as_bytes());
        assert_eq!(request.handshake.subprotocols, ["chat", "superchat"]);
        let host = (ByteString::from("host"), Bytes::from("example.org"));
        assert_eq!(request.handshake.headers.first(), Some(&host));
        assert_eq!(request.handshake.headers.len(), 6);
    }

    #[test]
    fn a_bad_request_is_refused() {
        let bad = Some(StatusCode::BAD_REQUEST);
        assert_eq!(status(|_| ()), None);
        let upgrade = Some(StatusCode::UPGRADE_REQUIRED);
        assert_eq!(status(set("sec-websocket-version", "8")), upgrade);
        assert_eq!(status(add("sec-websocket-version", "13")), upgrade);
        assert_eq!(status(set("connection", "keep-alive")), bad);
        assert_eq!(status(set("sec-websocket-key", "short")), bad);
        assert_eq!(status(add("sec-websocket-key", KEY)), bad);
        assert_eq!(status(add("host", "two")), bad);
        assert_eq!(status(set("content-length", "5")), bad);
        assert_eq!(status(set("transfer-encoding", "chunked")), bad);
        assert_eq!(status(set("sec-websocket-protocol", "a,,b")), bad);
        assert_eq!(status(set("sec-websocket-protocol", "a b")), bad);
        assert_eq!(status(|request| *request.method_mut() = Method::POST), bad);
        let old = |request: &mut http::Request<()>| *request.version_mut() = Version::HTTP_10;
        assert_eq!(status(old), bad);
        let foreign = |request: &mut http::Request<()>| {
            let value = http::HeaderValue::from_bytes(b"\xff").unwrap();
            request
                .headers_mut()
                .insert("sec-websocket-protocol", value);
        };
        assert_eq!(status(foreign), bad);
    }

    #[test]
    fn a_token_alone_may_hold_what_no_subprotocol_does() {
        let offering = |offered| status(set("sec-websocket-protocol", offered));
        let bad = Some(StatusCode::BAD_REQUEST);
        for (offered, answer) in [
            ("phoenix, base64url.bearer.phx.Pz8/Pj4=", None),
            ("base64url.bearer.phx.Pz8+Pz8/Pg==,phoenix", None),
            ("base64url.bearer.phx.", None),
            ("base64url.bearer.phx.a b", bad),
            ("base64url.bearer.phx.a\"", bad),
            ("xbase64url.bearer.phx.Pz8/", bad),
            ("base64url.bearer.phx.Pz8/, a/b", bad),
            ("phoenix=", bad),
        ] {
            assert_eq!(offering(offered), answer, "{offered}");
        }
    }

    #[test]
    fn a_path_is_decoded_once_and_never_fails() {
        assert_eq!(decoded_path("/a%2Fb"), "/a/b");
        assert_eq!(decoded_path("/%2525"), "/%25");
        assert_eq!(decoded_path("/%zz%"), "/%zz%");
        assert_eq!(decoded_path("/%e2%82%ac"), "/€");
        assert_eq!(decoded_path("/%ff"), "/\u{fffd}");
    }
}
