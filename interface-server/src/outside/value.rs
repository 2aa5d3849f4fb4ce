//! Any value of JSON or MessagePack, and the typed content that a consumer
//! decodes.

use std::borrow::Cow;

use rmpv::Value;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Number, json};
use towpath_layer_core::Content;
use utoipa::openapi::schema::{ObjectBuilder, SchemaType};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::blob;

/// Levels of lists and maps that a value may have; JSON's reader has the same
/// bound.
pub(super) const DEPTH_MAX: usize = 128;

/// A value that a client chose.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Any(pub(super) Value);

impl Any {
    /// The content that a consumer decodes as the same value.
    pub(super) fn to_content(&self) -> Content {
        let mut bytes = Vec::new();
        // Writing to memory cannot fail.
        let _written = rmpv::encode::write_value(&mut bytes, &self.0);
        Content::from_encoded(bytes.into())
    }

    /// The value that some bytes are the whole encoding of.
    pub(super) fn from_encoded(mut bytes: &[u8]) -> Option<Self> {
        let value = rmpv::decode::read_value_with_max_depth(&mut bytes, DEPTH_MAX).ok()?;
        bytes.is_empty().then_some(Self(value))
    }

    /// The value as JSON. Binary data is base64 text, a key is text, and a
    /// number that JSON does not have is null.
    pub(super) fn to_json(&self) -> serde_json::Value {
        to_json(&self.0)
    }
}

fn to_json(value: &Value) -> serde_json::Value {
    match value {
        Value::Nil => serde_json::Value::Null,
        Value::Boolean(value) => (*value).into(),
        Value::Integer(value) => match (value.as_u64(), value.as_i64()) {
            (Some(value), _) => value.into(),
            (None, value) => value.into(),
        },
        Value::F32(value) => Number::from_f64(f64::from(*value)).into(),
        Value::F64(value) => Number::from_f64(*value).into(),
        Value::String(text) => String::from_utf8_lossy(text.as_bytes()).into(),
        Value::Binary(bytes) => blob::text(bytes).into(),
        Value::Array(values) => values.iter().map(to_json).collect(),
        Value::Map(entries) => {
            let entries = entries
                .iter()
                .map(|(key, value)| (text(key), to_json(value)));
            serde_json::Value::Object(entries.collect::<Map<_, _>>())
        }
        Value::Ext(kind, data) => json!({ "type": kind, "data": blob::text(data) }),
    }
}

fn text(key: &Value) -> String {
    match to_json(key) {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    }
}

impl Serialize for Any {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            self.to_json().serialize(serializer)
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Any {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(Self)
    }
}

/// A value that is there, be it null.
pub(super) fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Any>, D::Error> {
    Any::deserialize(deserializer).map(Some)
}

impl PartialSchema for Any {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(SchemaType::AnyValue)
            .description(Some("Any value."))
            .into()
    }
}

impl ToSchema for Any {
    fn name() -> Cow<'static, str> {
        "Value".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_what_a_consumer_decodes() {
        let text = r#"{"a":[1,-2,0.5,true,null,"é"],"b":{"c":18446744073709551615}}"#;
        let value: Any = serde_json::from_str(text).unwrap();
        let decoded: serde_json::Value = value.to_content().decode().unwrap();
        assert_eq!(
            decoded,
            serde_json::from_str::<serde_json::Value>(text).unwrap()
        );
        assert_eq!(
            Any::from_encoded(value.to_content().as_encoded()),
            Some(value)
        );
    }

    #[test]
    fn what_json_does_not_have_is_shown_as_the_nearest() {
        let value = Any(Value::Map(vec![
            (1.into(), Value::Binary(vec![0, 255])),
            (Value::Nil, Value::F64(f64::NAN)),
            ("e".into(), Value::Ext(7, vec![1])),
        ]));
        let shown = json!({"1": "AP8=", "null": null, "e": {"type": 7, "data": "AQ=="}});
        assert_eq!(value.to_json(), shown);
    }

    #[test]
    fn bytes_that_are_not_one_whole_value_are_none() {
        for bytes in [&b""[..], b"hello", &[0xd9], &[0x92, 1]] {
            assert_eq!(Any::from_encoded(bytes), None, "{bytes:?}");
        }
        let deep = [&[0x91; 200][..], &[0]].concat();
        assert_eq!(Any::from_encoded(&deep), None);
    }
}
