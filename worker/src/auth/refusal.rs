//! What a peer is told whose token is refused.

use bytes::Bytes;
use metrics::counter;
use towpath_layer_core::Deny;
use towpath_layer_core::metrics::TOKENS_REFUSED;

use super::TokenError;
use crate::{Context, Error, PlaceKind};

/// The application's close codes with the meaning of 401 and 403.
const UNAUTHENTICATED: u16 = 4401;
const FORBIDDEN: u16 = 4403;

/// Refuses an event of a peer: by a status at connect, or by a close code if it
/// is later or the application wants it so.
pub(super) fn refuse(context: &Context, error: TokenError, closes: bool) -> Error {
    note(&error);
    let refused = match context.kind() {
        PlaceKind::Connect if !closes => Error::deny_with(deny(&error)),
        _ if error == TokenError::Missing => refuse_later(context, &error),
        _ => close(&error),
    };
    refused.caused_by(error)
}

/// Refuses a token that came inside a connection.
pub(super) fn refuse_new(context: &Context, error: TokenError) -> Error {
    note(&error);
    refuse_later(context, &error).caused_by(error)
}

/// The connection's other streams may be open to everybody: only this one says
/// no.
fn refuse_later(context: &Context, error: &TokenError) -> Error {
    match context.kind() {
        PlaceKind::Receive | PlaceKind::Application if context.in_stream() => {
            Error::rejected(error.to_string())
        }
        _ => close(error),
    }
}

fn note(error: &TokenError) {
    let reason = error.code();
    counter!(TOKENS_REFUSED, "reason" => reason).increment(1);
    tracing::debug!(reason, "a token was refused");
}

fn close(error: &TokenError) -> Error {
    Error::close(close_code(error), error.to_string())
}

fn close_code(error: &TokenError) -> u16 {
    if *error == TokenError::NotPermitted {
        FORBIDDEN
    } else {
        UNAUTHENTICATED
    }
}

/// As RFC 6750 §3 says it.
fn deny(error: &TokenError) -> Deny {
    let (status, code) = match error {
        TokenError::NotPermitted => (403, "insufficient_scope"),
        TokenError::Missing => (401, "missing_token"),
        _ => (401, "invalid_token"),
    };
    let challenge = match error {
        TokenError::Missing => "Bearer".to_owned(),
        _ => format!("Bearer error=\"{code}\""),
    };
    let body = serde_json::json!({"error": code, "reason": error.to_string()});
    let headers = [
        ("www-authenticate", challenge),
        ("content-type", "application/json".to_owned()),
    ];
    Deny {
        status,
        headers: headers
            .map(|(name, value)| (name.into(), Bytes::from(value)))
            .into(),
        body: body.to_string().into(),
    }
}
