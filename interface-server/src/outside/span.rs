//! How long: a number of seconds, or text with a unit.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use humantime_serde::re::humantime;
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// A duration as a client writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span(pub(super) Duration);

struct SpanVisitor;

impl Visitor<'_> for SpanVisitor {
    type Value = Span;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of seconds from 0, or text such as \"10s\" or \"500ms\"")
    }

    fn visit_u64<E: Error>(self, seconds: u64) -> Result<Span, E> {
        Ok(Span(Duration::from_secs(seconds)))
    }

    fn visit_i64<E: Error>(self, seconds: i64) -> Result<Span, E> {
        match u64::try_from(seconds) {
            Ok(seconds) => self.visit_u64(seconds),
            Err(_) => Err(E::invalid_value(Unexpected::Signed(seconds), &self)),
        }
    }

    fn visit_f64<E: Error>(self, seconds: f64) -> Result<Span, E> {
        Duration::try_from_secs_f64(seconds)
            .map(Span)
            .map_err(|_| E::invalid_value(Unexpected::Float(seconds), &self))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Span, E> {
        humantime::parse_duration(text)
            .map(Span)
            .map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SpanVisitor)
    }
}

impl PartialSchema for Span {
    fn schema() -> RefOr<Schema> {
        let number = ObjectBuilder::new()
            .schema_type(Type::Number)
            .minimum(Some(0))
            .description(Some("Seconds."));
        let text = ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("A number with a unit, such as \"10s\" or \"500ms\"."));
        OneOfBuilder::new().item(number).item(text).into()
    }
}

impl ToSchema for Span {
    fn name() -> Cow<'static, str> {
        "Duration".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_seconds_or_text() {
        for (json, expected_ms) in [
            ("10", 10_000),
            ("0", 0),
            ("0.25", 250),
            ("\"10s\"", 10_000),
            ("\"500ms\"", 500),
        ] {
            let Span(read) = serde_json::from_str(json).unwrap();
            assert_eq!(read, Duration::from_millis(expected_ms), "{json}");
        }
        for json in ["-1", "-0.5", "1e300", "\"ten\"", "\"10\"", "null", "[]"] {
            let error = serde_json::from_str::<Span>(json).unwrap_err().to_string();
            assert!(error.contains("expected a number of seconds"), "{error}");
        }
    }
}
