//! One field of a MessagePack map, without decoding the rest.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use towpath_layer_core::Content;

/// Whether the content is a map with a field of that name whose value, as
/// text, is accepted. Only scalars have a text: numbers, booleans, strings.
pub(super) fn any_field(content: &Content, name: &str, accepts: &dyn Fn(&str) -> bool) -> bool {
    let mut reader = rmp_serde::Deserializer::from_read_ref(&**content.as_encoded());
    let found = reader.deserialize_map(FieldOf { name });
    matches!(found, Ok(Some(text)) if accepts(&text))
}

/// Finds the text of one field of a map.
struct FieldOf<'a> {
    name: &'a str,
}

impl<'de> Visitor<'de> for FieldOf<'_> {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(key) = map.next_key_seed(Scalar)? {
            if found.is_none() && key.as_deref() == Some(self.name) {
                found = map.next_value_seed(Scalar)?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// The text of a scalar; nothing for any other value.
struct Scalar;

impl<'de> DeserializeSeed<'de> for Scalar {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_any(self)
    }
}

macro_rules! scalars {
    ($($visit:ident $type:ty;)*) => {
        $(fn $visit<E>(self, value: $type) -> Result<Self::Value, E> {
            Ok(Some(value.to_string()))
        })*
    };
}

impl<'de> Visitor<'de> for Scalar {
    type Value = Option<String>;

    scalars! {
        visit_bool bool;
        visit_i64 i64;
        visit_u64 u64;
        visit_f32 f32;
        visit_f64 f64;
        visit_str &str;
    }

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bytes<E>(self, _: &[u8]) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(
        self,
        reader: D,
    ) -> Result<Self::Value, D::Error> {
        reader.deserialize_any(IgnoredAny).map(|_| None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        IgnoredAny.visit_seq(seq).map(|_| None)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        IgnoredAny.visit_map(map).map(|_| None)
    }
}

#[cfg(test)]
mod tests {
    use serde::Serialize;

    use super::*;

    #[derive(Serialize)]
    struct Job {
        sizes: Vec<u8>,
        kind: &'static str,
        size: i8,
        draft: bool,
        inner: Option<&'static Job>,
        tag: serde_json::Value,
    }

    const INNER: &Job = &Job {
        sizes: Vec::new(),
        kind: "inner",
        size: 0,
        draft: false,
        inner: None,
        tag: serde_json::Value::Null,
    };

    fn text(name: &str) -> Option<String> {
        let content = Content::encode(&Job {
            sizes: vec![1, 2],
            kind: "resize",
            size: -7,
            draft: true,
            inner: Some(INNER),
            tag: serde_json::json!(1.5),
        });
        let found = std::cell::RefCell::new(None);
        any_field(&content.unwrap(), name, &|text| {
            *found.borrow_mut() = Some(text.to_owned());
            true
        });
        found.into_inner()
    }

    #[test]
    fn top_level_scalars_have_a_text() {
        assert_eq!(text("kind").as_deref(), Some("resize"));
        assert_eq!(text("size").as_deref(), Some("-7"));
        assert_eq!(text("draft").as_deref(), Some("true"));
        assert_eq!(text("tag").as_deref(), Some("1.5"));
        for name in ["sizes", "inner", "missing"] {
            assert_eq!(text(name), None, "{name}");
        }
    }

    #[test]
    fn what_is_not_a_map_has_no_fields() {
        for content in [Content::encode("kind").unwrap(), Content::default()] {
            assert!(!any_field(&content, "kind", &|_| true));
        }
    }
}
