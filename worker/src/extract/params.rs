//! Path parameters as any type that can be deserialised.

use std::fmt;
use std::sync::Arc;

use bytestring::ByteString;
use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, VariantAccess,
    Visitor,
};
use serde::forward_to_deserialize_any;

/// Why parameters do not make a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ParamsError {
    /// The type can never be made of these parameters: the application's fault.
    Shape(String),
    /// A value cannot be read: the peer's fault.
    Value(String),
}

impl fmt::Display for ParamsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Shape(reason) | Self::Value(reason)) = self;
        f.write_str(reason)
    }
}

impl std::error::Error for ParamsError {}

impl de::Error for ParamsError {
    fn custom<T: fmt::Display>(reason: T) -> Self {
        Self::Value(reason.to_string())
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Shape(format!("the path has no parameter {{{field}}}"))
    }

    fn unknown_field(field: &str, _: &'static [&'static str]) -> Self {
        Self::Shape(format!("there is no field for the parameter {{{field}}}"))
    }

    fn invalid_length(length: usize, expected: &dyn de::Expected) -> Self {
        Self::Shape(format!("the path has {length} parameters, not {expected}"))
    }
}

type Param = (Arc<str>, ByteString);

/// Makes a value of the parameters of a path, by order or by name.
pub(crate) fn deserialize<'de, T: Deserialize<'de>>(
    params: &'de [Param],
) -> Result<T, ParamsError> {
    T::deserialize(Params(params))
}

fn wrong_number(taken: usize, present: usize) -> ParamsError {
    let hint = match present {
        0 => "; a route names one as {name}",
        _ => "",
    };
    ParamsError::Shape(format!(
        "it takes {taken} of the path's parameters, which are {present}{hint}"
    ))
}

struct Params<'de>(&'de [Param]);

impl<'de> Params<'de> {
    fn only(&self) -> Result<Value<'de>, ParamsError> {
        match self.0 {
            [(_, value)] => Ok(Value(value)),
            _ => Err(wrong_number(1, self.0.len())),
        }
    }

    fn values(&self) -> impl Iterator<Item = Value<'de>> + use<'de> {
        self.0.iter().map(|(_, value)| Value(value))
    }
}

macro_rules! by_single_value {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParamsError> {
            self.only()?.$method(visitor)
        })*
    };
}

impl<'de> Deserializer<'de> for Params<'de> {
    type Error = ParamsError;

    by_single_value! {
        deserialize_bool deserialize_char deserialize_str deserialize_string
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f32 deserialize_f64 deserialize_bytes deserialize_byte_buf deserialize_option
        deserialize_identifier
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParamsError> {
        self.deserialize_map(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParamsError> {
        let entries = self.0.iter().map(|(name, value)| (&**name, Value(value)));
        visitor.visit_map(MapDeserializer::new(entries))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ParamsError> {
        self.deserialize_map(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParamsError> {
        visitor.visit_seq(SeqDeserializer::new(self.values()))
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, ParamsError> {
        if length != self.0.len() {
            return Err(wrong_number(length, self.0.len()));
        }
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, ParamsError> {
        self.deserialize_tuple(length, visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ParamsError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParamsError> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ParamsError> {
        visitor.visit_unit()
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ParamsError> {
        self.only()?.deserialize_enum(name, variants, visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParamsError> {
        visitor.visit_unit()
    }
}

/// The text of one parameter.
#[derive(Clone, Copy)]
struct Value<'de>(&'de ByteString);

impl<'de> IntoDeserializer<'de, ParamsError> for Value<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! parsed {
    ($($method:ident $visit:ident $type:ty;)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParamsError> {
            let value: $type = self.0.parse().map_err(|error| {
                ParamsError::Value(format!("the path has {:?}: {error}", &**self.0))
            })?;
            visitor.$visit(value)
        })*
    };
}

impl<'de> Deserializer<'de> for Value<'de> {
    type Error = ParamsError;

    parsed! {
        deserialize_bool visit_bool bool;
        deserialize_char visit_char char;
        deserialize_i8 visit_i8 i8;
        deserialize_i16 visit_i16 i16;
        deserialize_i32 visit_i32 i32;
        deserialize_i64 visit_i64 i64;
        deserialize_i128 visit_i128 i128;
        deserialize_u8 visit_u8 u8;
        deserialize_u16 visit_u16 u16;
        deserialize_u32 visit_u32 u32;
        deserialize_u64 visit_u64 u64;
        deserialize_u128 visit_u128 u128;
        deserialize_f32 visit_f32 f32;
        deserialize_f64 visit_f64 f64;
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParamsError> {
        visitor.visit_borrowed_str(self.0)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParamsError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ParamsError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ParamsError> {
        visitor.visit_enum(self)
    }

    forward_to_deserialize_any! {
        str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier
        ignored_any
    }
}

impl<'de> EnumAccess<'de> for Value<'de> {
    type Error = ParamsError;
    type Variant = UnitOnly;

    fn variant_seed<T: DeserializeSeed<'de>>(
        self,
        seed: T,
    ) -> Result<(T::Value, UnitOnly), ParamsError> {
        Ok((seed.deserialize(self)?, UnitOnly))
    }
}

/// A parameter names a variant and nothing more.
struct UnitOnly;

impl UnitOnly {
    fn refused<T>() -> Result<T, ParamsError> {
        Err(ParamsError::Shape(
            "a path parameter can only be a variant without fields".to_owned(),
        ))
    }
}

impl<'de> VariantAccess<'de> for UnitOnly {
    type Error = ParamsError;

    fn unit_variant(self) -> Result<(), ParamsError> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, ParamsError> {
        Self::refused()
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, ParamsError> {
        Self::refused()
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, ParamsError> {
        Self::refused()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde::Deserialize;
    use serde::de::DeserializeOwned;

    use super::*;

    fn made<T: DeserializeOwned>(params: &[(&str, &str)]) -> Result<T, ParamsError> {
        let params: Vec<Param> = params
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect();
        deserialize(&params)
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Room {
        house: String,
        number: u32,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Colour {
        Red,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Number(u32);

    const TWO: &[(&str, &str)] = &[("house", "blue"), ("number", "7")];

    #[test]
    fn parameters_are_taken_alone_by_order_or_by_name() {
        let room = Room {
            house: "blue".to_owned(),
            number: 7,
        };
        assert_eq!(made(&[("a", "x")]), Ok("x".to_owned()));
        assert_eq!(made(&[("a", "7")]), Ok(Number(7)));
        assert_eq!(made(&[("a", "7")]), Ok((7_u8,)));
        assert_eq!(made(&[("a", "red")]), Ok(Colour::Red));
        assert_eq!(made(TWO), Ok(("blue".to_owned(), 7_u32)));
        assert_eq!(made(TWO), Ok(room));
        assert_eq!(made(TWO), Ok(vec!["blue".to_owned(), "7".to_owned()]));
        let map: HashMap<String, String> = made(TWO).unwrap();
        assert_eq!(map.get("number").map(String::as_str), Some("7"));
    }

    #[track_caller]
    fn shape<T: DeserializeOwned + fmt::Debug>(params: &[(&str, &str)]) {
        let error = made::<T>(params).unwrap_err();
        assert!(matches!(error, ParamsError::Shape(_)), "{error:?}");
    }

    #[test]
    fn a_type_that_can_never_fit_is_the_applications_fault() {
        shape::<String>(TWO);
        shape::<(String,)>(TWO);
        shape::<(String, String, String)>(TWO);
        shape::<Room>(&[("house", "blue")]);
    }

    #[test]
    fn a_value_that_cannot_be_read_is_the_peers_fault() {
        let error = made::<u32>(&[("a", "seven")]).unwrap_err();
        assert_eq!(
            error,
            ParamsError::Value("the path has \"seven\": invalid digit found in string".to_owned())
        );
        let error = made::<Colour>(&[("a", "green")]).unwrap_err();
        assert!(matches!(error, ParamsError::Value(_)), "{error:?}");
    }
}
