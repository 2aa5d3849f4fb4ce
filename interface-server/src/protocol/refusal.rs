//! Answers to a handshake other than 101.

use bytes::Bytes;
use bytestring::ByteString;
use http::StatusCode;
use towpath_layer_core::{Deny, Headers};

/// How a handshake is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) headers: Headers,
    pub(crate) body: Bytes,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, body: &'static str) -> Self {
        Self {
            status,
            headers: Headers::new(),
            body: Bytes::from_static(body.as_bytes()),
        }
    }

    /// Whether the same may be granted later.
    pub(crate) fn is_transient(&self) -> bool {
        matches!(
            self.status,
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT
        )
    }

    fn with(mut self, name: &'static str, value: &'static str) -> Self {
        let value = Bytes::from_static(value.as_bytes());
        self.headers.push((ByteString::from_static(name), value));
        self
    }

    pub(crate) fn bad_request(body: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, body)
    }

    pub(crate) fn forbidden() -> Self {
        Self::new(StatusCode::FORBIDDEN, "the connection was refused\n")
    }

    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not found\n")
    }

    /// The path speaks WebSocket only.
    pub(crate) fn upgrade_required() -> Self {
        Self::new(
            StatusCode::UPGRADE_REQUIRED,
            "this path is for WebSockets\n",
        )
        .with("connection", "Upgrade")
        .with("upgrade", "websocket")
    }

    /// The peer speaks another version (RFC 6455 §4.4).
    pub(crate) fn wrong_version() -> Self {
        Self::upgrade_required().with("sec-websocket-version", "13")
    }

    pub(crate) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal error\n")
    }

    /// Too busy; the peer may try again after a second.
    pub(crate) fn unavailable() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "try again later\n").with("retry-after", "1")
    }

    /// Nobody answered in time.
    pub(crate) fn timed_out() -> Self {
        Self::new(
            StatusCode::GATEWAY_TIMEOUT,
            "the handshake was not answered\n",
        )
    }

    /// What the application wants said.
    pub(crate) fn denied(deny: Deny) -> Self {
        let status = StatusCode::from_u16(deny.status)
            .ok()
            .filter(|status| status.is_client_error() || status.is_server_error());
        if status.is_none() {
            tracing::warn!(
                status = deny.status,
                "a handshake is denied with 400 to 599"
            );
        }
        Self {
            status: status.unwrap_or(StatusCode::FORBIDDEN),
            headers: deny.headers,
            body: deny.body,
        }
    }
}
