//! Answers as HTTP responses.

use bytes::Bytes;
use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION,
    TRANSFER_ENCODING, UPGRADE,
};
use http::{Response, StatusCode};
use http_body_util::{BodyExt, Full};
use towpath_layer_core::Headers;

use crate::BoxBody;
use crate::hub::connection::Decision;
use crate::metrics;
use crate::protocol::refusal::Refusal;

/// A body of known bytes.
pub(crate) fn body(bytes: Bytes) -> BoxBody {
    Full::new(bytes)
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// A refusal as the server's own.
pub(crate) fn refused(refusal: Refusal) -> Response<BoxBody> {
    metrics::handshake(refusal.status);
    let mut response = Response::new(body(refusal.body));
    *response.status_mut() = refusal.status;
    let is_ours = [&CONTENT_LENGTH, &TRANSFER_ENCODING];
    add(response.headers_mut(), &refusal.headers, &is_ours);
    response
}

/// A decided handshake.
pub(crate) fn decided(decision: Decision, accept_key: &str) -> Response<BoxBody> {
    let (subprotocol, headers) = match decision {
        Decision::Refuse(refusal) => return refused(refusal),
        Decision::Accept {
            subprotocol,
            headers,
            channel: _,
        } => (subprotocol, headers),
    };
    metrics::handshake(StatusCode::SWITCHING_PROTOCOLS);
    let mut response = Response::new(body(Bytes::new()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let map = response.headers_mut();
    map.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    map.insert(UPGRADE, HeaderValue::from_static("websocket"));
    insert(map, SEC_WEBSOCKET_ACCEPT, accept_key.as_bytes());
    if let Some(subprotocol) = subprotocol {
        insert(map, SEC_WEBSOCKET_PROTOCOL, subprotocol.as_ref());
    }
    let is_ours = [
        &CONNECTION,
        &UPGRADE,
        &SEC_WEBSOCKET_ACCEPT,
        &SEC_WEBSOCKET_EXTENSIONS,
        &SEC_WEBSOCKET_KEY,
        &SEC_WEBSOCKET_PROTOCOL,
        &SEC_WEBSOCKET_VERSION,
        &CONTENT_LENGTH,
        &TRANSFER_ENCODING,
    ];
    add(map, &headers, &is_ours);
    response
}

fn insert(map: &mut HeaderMap, name: HeaderName, value: &[u8]) {
    match HeaderValue::from_bytes(value) {
        Ok(value) => {
            map.append(name, value);
        }
        Err(_) => tracing::warn!(%name, "a header's value has control characters; left out"),
    }
}

/// Adds an application's fields, without those that are the server's own.
fn add(map: &mut HeaderMap, fields: &Headers, is_ours: &[&HeaderName]) {
    for (name, value) in fields {
        match HeaderName::from_bytes(name.as_bytes()) {
            Ok(name) if !is_ours.contains(&&name) => insert(map, name, value),
            Ok(name) => tracing::warn!(%name, "a handshake's header is the server's own"),
            Err(_) => tracing::warn!("a header's name is not one; left out"),
        }
    }
}
