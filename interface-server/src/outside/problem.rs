//! What is wrong, as RFC 9457 has it.

use http::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use serde::Serialize;
use towpath_layer_core::{GroupError, LayerError, NameError, SendError, Unavailable};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::BoxBody;
use crate::transport::respond::body;

/// The media type of a problem, whatever else a client accepts.
pub(super) const MEDIA_TYPE: &str = "application/problem+json";

/// What all types of problems begin with.
const TYPE_PREFIX: &str = "urn:towpath:problem:";

/// How much of a client's value is shown to it, in characters.
const SHOWN_MAX: usize = 100;

/// The most that another text of a problem has, in characters: some repeat
/// what the client wrote.
const TEXT_MAX: usize = 500;

/// What can be wrong: the end of the type, the status and the title.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    MalformedBody,
    Unauthorized,
    UnknownPath,
    WrongMethod,
    NotAcceptable,
    RequestTimeout,
    BodyTooLarge,
    MessageTooLarge,
    UnsupportedMediaType,
    InvalidValue,
    ChannelFull,
    Internal,
    LayerUnavailable,
    Stopping,
}

impl Kind {
    const fn parts(self) -> (&'static str, StatusCode, &'static str) {
        match self {
            Self::MalformedBody => (
                "malformed-body",
                StatusCode::BAD_REQUEST,
                "The body is not what its media type says",
            ),
            Self::Unauthorized => (
                "unauthorized",
                StatusCode::UNAUTHORIZED,
                "A bearer token is needed",
            ),
            Self::UnknownPath => ("unknown-path", StatusCode::NOT_FOUND, "Nothing is here"),
            Self::WrongMethod => (
                "wrong-method",
                StatusCode::METHOD_NOT_ALLOWED,
                "The path has no such method",
            ),
            Self::NotAcceptable => (
                "not-acceptable",
                StatusCode::NOT_ACCEPTABLE,
                "The answer has no such media type",
            ),
            Self::RequestTimeout => (
                "request-timeout",
                StatusCode::REQUEST_TIMEOUT,
                "The body did not arrive in time",
            ),
            Self::BodyTooLarge => (
                "body-too-large",
                StatusCode::PAYLOAD_TOO_LARGE,
                "The body is too large",
            ),
            Self::MessageTooLarge => (
                "message-too-large",
                StatusCode::PAYLOAD_TOO_LARGE,
                "The layer carries no message of this size",
            ),
            Self::UnsupportedMediaType => (
                "unsupported-media-type",
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "The body's media type is not read",
            ),
            Self::InvalidValue => (
                "invalid-value",
                StatusCode::UNPROCESSABLE_ENTITY,
                "A value does not fit",
            ),
            Self::ChannelFull => (
                "channel-full",
                StatusCode::TOO_MANY_REQUESTS,
                "The channel is full",
            ),
            Self::Internal => (
                "internal",
                StatusCode::INTERNAL_SERVER_ERROR,
                "The server has failed",
            ),
            Self::LayerUnavailable => (
                "layer-unavailable",
                StatusCode::SERVICE_UNAVAILABLE,
                "The layer does not answer",
            ),
            Self::Stopping => (
                "stopping",
                StatusCode::SERVICE_UNAVAILABLE,
                "The server stops",
            ),
        }
    }
}

/// Whether what was asked for may have been done all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Effect)]
pub(super) enum Effect {
    /// Nothing was done.
    None,
    /// It may have been done: the answer was lost, not the question. Repeat
    /// only what may be done twice.
    Unknown,
}

/// What is wrong with a request, or why it could not be served. Small, because
/// every result may hold one.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub(super) struct Problem(Box<Details>);

/// What is wrong with a request, or why it could not be served (RFC 9457).
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
struct Details {
    /// Which problem: `urn:towpath:problem:` and a stable word.
    #[serde(rename = "type")]
    kind: String,
    /// The problem in a few words, the same for all of its type.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What is wrong this time.
    detail: String,
    /// Where in the request the value stands, for example `operations[3].send.channel`.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// The value, cut if it is long.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    /// What was expected in its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<String>,
    /// Whether what was asked for may have been done.
    #[serde(skip_serializing_if = "Option::is_none")]
    effect: Option<Effect>,
    #[serde(skip)]
    allow: Option<String>,
    #[serde(skip)]
    retry_after_s: Option<u64>,
}

impl Problem {
    pub(super) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        let (word, status, title) = kind.parts();
        Self(Box::new(Details {
            kind: format!("{TYPE_PREFIX}{word}"),
            title,
            status: status.as_u16(),
            detail: cut(detail, TEXT_MAX),
            key: None,
            value: None,
            expected: None,
            effect: None,
            allow: None,
            retry_after_s: None,
        }))
    }

    /// A value that does not fit.
    pub(super) fn value(key: &str, detail: impl Into<String>, expected: &str) -> Self {
        Self::new(Kind::InvalidValue, detail)
            .at(key)
            .expecting(expected)
    }

    #[cfg(test)]
    pub(super) fn status(&self) -> u16 {
        self.0.status
    }

    /// Names the place of the value.
    pub(super) fn at(mut self, key: &str) -> Self {
        self.0.key = Some(cut(key, TEXT_MAX));
        self
    }

    /// Puts a place before the one that is named.
    pub(super) fn within(mut self, place: &str) -> Self {
        self.0.key = Some(match self.0.key {
            Some(key) => format!("{place}.{key}"),
            None => place.to_owned(),
        });
        self
    }

    pub(super) fn expecting(mut self, expected: impl Into<String>) -> Self {
        self.0.expected = Some(cut(expected, TEXT_MAX));
        self
    }

    pub(super) fn showing(mut self, value: &str) -> Self {
        self.0.value = Some(cut(value, SHOWN_MAX));
        self
    }

    pub(super) fn allowing(mut self, methods: String) -> Self {
        self.0.allow = Some(methods);
        self
    }

    fn after_a_second(mut self) -> Self {
        self.0.retry_after_s = Some(1);
        self
    }

    fn with_effect(mut self, effect: Effect) -> Self {
        self.0.effect = Some(effect);
        self
    }

    pub(super) fn respond(&self) -> Response<BoxBody> {
        // A struct of texts and numbers always has a JSON form.
        let text = serde_json::to_vec(self).unwrap_or_default();
        let mut response = Response::new(body(text.into()));
        *response.status_mut() =
            StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if let Some(Ok(allow)) = self.0.allow.as_deref().map(HeaderValue::from_str) {
            headers.insert(ALLOW, allow);
        }
        if let Some(seconds) = self.0.retry_after_s {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        if self.0.status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer realm=\"towpath\"");
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

impl PartialSchema for Problem {
    fn schema() -> RefOr<Schema> {
        Details::schema()
    }
}

impl ToSchema for Problem {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        Details::schemas(schemas);
    }
}

/// A text, cut between characters if it has more than so many.
fn cut(text: impl Into<String>, len_max: usize) -> String {
    let mut text = text.into();
    if let Some((end, _)) = text.char_indices().nth(len_max) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// What a message of a decoder says was expected.
pub(super) fn expectation(message: &str) -> Option<&str> {
    [", expected ", " is not valid: "]
        .iter()
        .find_map(|mark| message.split_once(mark))
        .map(|(_, expected)| expected)
}

/// A name in a path that is not one.
pub(super) fn name(key: &str, value: &str, error: &NameError) -> Problem {
    let detail = error.to_string();
    let expected = expectation(&detail).unwrap_or("a name").to_owned();
    Problem::value(key, detail, &expected).showing(value)
}

impl From<Unavailable> for Problem {
    fn from(error: Unavailable) -> Self {
        tracing::warn!(error = %error.source, "the layer does not answer a request");
        let problem = Self::new(Kind::LayerUnavailable, error.to_string());
        if error.outcome_unknown {
            problem.with_effect(Effect::Unknown)
        } else {
            problem.with_effect(Effect::None).after_a_second()
        }
    }
}

fn stopping() -> Problem {
    Problem::new(Kind::Stopping, "the layer is closed").with_effect(Effect::None)
}

fn internal(error: &dyn std::error::Error) -> Problem {
    tracing::error!(%error, "a request cannot be served");
    Problem::new(Kind::Internal, "the log has the reason")
}

impl From<SendError> for Problem {
    fn from(error: SendError) -> Self {
        let detail = error.to_string();
        match error {
            SendError::ChannelFull { channel } => Self::new(Kind::ChannelFull, detail)
                .at("channel")
                .showing(channel.as_str())
                .with_effect(Effect::None)
                .after_a_second(),
            SendError::MessageTooLarge { size_max, .. } => Self::new(Kind::MessageTooLarge, detail)
                .expecting(format!("at most {size_max} bytes, as MessagePack"))
                .with_effect(Effect::None),
            SendError::DelayTooLong { delay_max, .. } => Self::value(
                "delay",
                detail,
                &format!("at most {} s", delay_max.as_secs()),
            ),
            SendError::Unavailable(error) => error.into(),
            SendError::Closed => stopping(),
            other => internal(&other),
        }
    }
}

impl From<GroupError> for Problem {
    fn from(error: GroupError) -> Self {
        let detail = error.to_string();
        match error {
            GroupError::Name(_) => Self::value("channel", detail, "a reply channel"),
            GroupError::MetaTooLarge { size_max, .. } => Self::new(Kind::MessageTooLarge, detail)
                .at("meta")
                .expecting(format!("at most {size_max} bytes, as MessagePack"))
                .with_effect(Effect::None),
            GroupError::Unavailable(error) => error.into(),
            GroupError::Closed => stopping(),
            other => internal(&other),
        }
    }
}

impl From<LayerError> for Problem {
    fn from(error: LayerError) -> Self {
        match error {
            LayerError::Name(error) => {
                Self::value("channel", error.to_string(), "a channel of another kind")
            }
            LayerError::Unavailable(error) => error.into(),
            LayerError::Closed => stopping(),
            other => internal(&other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_value_is_cut_between_characters() {
        let problem = Problem::new(Kind::InvalidValue, "").showing(&"é".repeat(200));
        assert_eq!(problem.0.value.unwrap().chars().count(), SHOWN_MAX + 1);
        let problem = Problem::new(Kind::InvalidValue, "").showing("short");
        assert_eq!(problem.0.value.unwrap(), "short");
    }

    #[test]
    fn an_unknown_outcome_is_said_and_not_to_be_repeated() {
        let unavailable = |outcome_unknown| Unavailable {
            backend: "redis",
            outcome_unknown,
            source: "gone".into(),
        };
        let known = Problem::from(unavailable(false)).respond();
        assert!(known.headers().contains_key(RETRY_AFTER));
        let unknown = Problem::from(unavailable(true));
        assert_eq!(unknown.0.effect, Some(Effect::Unknown));
        assert!(!unknown.respond().headers().contains_key(RETRY_AFTER));
    }
}
