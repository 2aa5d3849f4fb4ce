//! What becomes of an event over a limit.

use std::time::Duration;

use bytes::Bytes;
use metrics::counter;
use serde::Serialize;
use towpath_layer_core::metrics::RATE_LIMITED;
use towpath_layer_core::{Deny, Reply};

use crate::{Context, Error, PlaceKind, Result, Socket};

const REASON: &str = "too many messages";

/// What becomes of an event over a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    /// The connection is closed with that code.
    Close(u16),
    /// The peer is told, and the event is dropped.
    Answer,
    /// The event is dropped.
    Drop,
}

/// An error frame: on a stream of a demultiplexer in the form of its others.
#[derive(Serialize)]
struct Refusal<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<&'a str>,
    error: Reason,
}

#[derive(Serialize)]
struct Reason {
    code: &'static str,
    reason: &'static str,
    retry_after_ms: u64,
}

impl Over {
    /// Ends an event for which there is a token only later.
    pub(super) async fn end(
        self,
        context: Context,
        limit: &'static str,
        lacks: Duration,
    ) -> Result {
        let outcome = match self {
            _ if context.kind() == PlaceKind::Connect => "denied",
            Self::Close(_) => "closed",
            Self::Answer => "answered",
            Self::Drop => "dropped",
        };
        counter!(RATE_LIMITED, "limit" => limit, "outcome" => outcome).increment(1);
        tracing::debug!(limit, outcome, "an event is over a rate limit");
        match self {
            _ if context.kind() == PlaceKind::Connect => Err(deny(lacks)),
            Self::Close(code) => Err(Error::close(code, REASON)),
            Self::Answer if context.in_topic() => Err(Error::rejected(REASON)),
            Self::Answer => answer(&context, lacks).await,
            Self::Drop => Ok(()),
        }
    }
}

async fn answer(context: &Context, lacks: Duration) -> Result {
    let socket: Socket = context.extract().await?;
    let framing = context.framing();
    let refusal = Refusal {
        stream: framing.stream.as_deref(),
        error: Reason {
            code: "rate_limited",
            reason: REASON,
            retry_after_ms: u64::try_from(lacks.as_millis()).unwrap_or(u64::MAX),
        },
    };
    let frame = Reply::text(serde_json::to_string(&refusal)?);
    socket.reply(frame).await
}

/// 429 with the seconds to wait (RFC 6585 §4), rounded up.
fn deny(lacks: Duration) -> Error {
    let seconds = lacks.as_millis().div_ceil(1000).to_string();
    Error::deny_with(Deny {
        status: 429,
        headers: vec![("retry-after".into(), Bytes::from(seconds))],
        body: Bytes::from_static(b"too many connections"),
    })
}
