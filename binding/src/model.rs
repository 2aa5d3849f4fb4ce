//! The fields that a model's type names, asked of its `Deserialize`.

use std::fmt;

use serde::de::{DeserializeOwned, Deserializer, Error, Visitor};
use serde::forward_to_deserialize_any;

/// The fields of a struct as serde knows them; `None` for a type that takes
/// any: a map, a value, a struct with a flattened part.
pub(crate) fn fields_of<M: DeserializeOwned>() -> Option<&'static [&'static str]> {
    match M::deserialize(Probe) {
        Err(Answer(fields)) => fields,
        Ok(_) => None,
    }
}

/// A deserializer that has nothing but the question.
struct Probe;

#[derive(Debug)]
struct Answer(Option<&'static [&'static str]>);

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl std::error::Error for Answer {}

impl Error for Answer {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self(None)
    }
}

impl<'de> Deserializer<'de> for Probe {
    type Error = Answer;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Answer> {
        Err(Answer(None))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Answer> {
        Err(Answer(Some(fields)))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Answer> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        option unit unit_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Todo {
        #[expect(dead_code, reason = "only its name is asked for")]
        id: i64,
        #[serde(rename = "order")]
        #[expect(dead_code, reason = "only its name is asked for")]
        place: i64,
    }

    #[derive(serde::Deserialize)]
    #[expect(dead_code, reason = "only its form is asked for")]
    struct Wrapped(Todo);

    #[test]
    fn a_struct_names_its_fields_as_serde_knows_them() {
        assert_eq!(fields_of::<Todo>(), Some(&["id", "order"][..]));
        assert_eq!(fields_of::<Wrapped>(), Some(&["id", "order"][..]));
    }

    #[test]
    fn a_map_takes_any() {
        assert_eq!(fields_of::<serde_json::Value>(), None);
        assert_eq!(fields_of::<std::collections::BTreeMap<String, i64>>(), None);
    }
}
