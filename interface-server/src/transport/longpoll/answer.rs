//! Answers to requests of a session's client: 200 with the real status in the
//! body, so that a page of any origin can read it.

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, CACHE_CONTROL, CONTENT_TYPE, HeaderMap,
    HeaderValue,
};
use http::{Response, StatusCode};
use serde::Serialize;
use towpath_layer_core::PollAnswer;

use crate::BoxBody;
use crate::metrics;
use crate::protocol::refusal::Refusal;
use crate::transport::respond;

#[derive(Serialize)]
struct Body<'a> {
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<Vec<&'a str>>,
}

/// What a session has answered; to a read with the token of the next.
pub(super) fn polled(answer: &PollAnswer, token: Option<&str>) -> Response<BoxBody> {
    let messages = answer.messages.iter().map(|message| &**message);
    json(&Body {
        status: answer.status,
        token,
        messages: token.map(|_| messages.collect()),
    })
}

/// A session that its consumer, or this server, refuses. Clients know 403 and
/// 500 here, and nothing else.
pub(super) fn refused(refusal: &Refusal) -> Response<BoxBody> {
    metrics::handshake(refusal.status);
    let status = if refusal.status.is_client_error() {
        StatusCode::FORBIDDEN
    } else {
        StatusCode::INTERNAL_SERVER_ERROR
    };
    json(&Body {
        status: status.as_u16(),
        token: None,
        messages: None,
    })
}

/// A request that is none of a client's.
pub(crate) fn bad_request() -> Response<BoxBody> {
    let mut response = json(&Body {
        status: StatusCode::BAD_REQUEST.as_u16(),
        token: None,
        messages: None,
    });
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response
}

/// What a browser asks before it asks from another origin's page.
pub(super) fn preflight(asked: &HeaderMap) -> Response<BoxBody> {
    let mut response = Response::new(respond::body(Bytes::new()));
    let headers = response.headers_mut();
    let methods = HeaderValue::from_static("get, post, options");
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("3600"));
    if let Some(asked) = asked.get(ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
    }
    response
}

fn json(body: &Body<'_>) -> Response<BoxBody> {
    // A number and strings: this does not fail.
    let text = serde_json::to_vec(body).unwrap_or_default();
    let mut response = Response::new(respond::body(text.into()));
    let headers = response.headers_mut();
    let json = HeaderValue::from_static("application/json; charset=utf-8");
    headers.insert(CONTENT_TYPE, json);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}
