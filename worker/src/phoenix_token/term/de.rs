//! A term, as data of the application's types.

use serde::de::value::{Error, MapDeserializer, SeqDeserializer, StringDeserializer};
use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer, Unexpected,
    VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::{NAME, Term};

type Result<T> = std::result::Result<T, Error>;

/// Hands a term to what deserialises.
pub(super) struct Reader(pub(super) Term);

impl<'de> Deserializer<'de> for Reader {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.0 {
            Term::Integer(integer) => visit_integer(integer, visitor),
            Term::Float(float) => visitor.visit_f64(float),
            Term::Atom(name) => match name.as_str() {
                "true" => visitor.visit_bool(true),
                "false" => visitor.visit_bool(false),
                "nil" => visitor.visit_unit(),
                _ => visitor.visit_string(name),
            },
            Term::Binary(bytes) => match String::from_utf8(bytes) {
                Ok(text) => visitor.visit_string(text),
                Err(error) => visitor.visit_byte_buf(error.into_bytes()),
            },
            Term::Tuple(terms) | Term::List(terms) => {
                visit_seq(terms.into_iter().map(Reader), visitor)
            }
            Term::Map(pairs) => {
                let pairs = pairs.into_iter();
                let mut map = MapDeserializer::new(pairs.map(|(k, v)| (Reader(k), Reader(v))));
                let value = visitor.visit_map(&mut map)?;
                map.end()?;
                Ok(value)
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match &self.0 {
            Term::Atom(name) if name == "nil" => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.0 {
            Term::Binary(bytes) => visitor.visit_byte_buf(bytes),
            term => Self(term).deserialize_any(visitor),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.0 {
            Term::Binary(bytes) => visit_seq(bytes.into_iter(), visitor),
            term => Self(term).deserialize_any(visitor),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        if name == NAME {
            return visitor.visit_enum(Variant::itself(self.0));
        }
        visitor.visit_enum(Variant::read(self.0)?)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match text(self.0) {
            Some(name) => visitor.visit_string(name),
            None => Err(unexpected("the name of a field", &"an atom or a binary")),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string
        unit unit_struct map struct ignored_any
    }
}

impl<'de> IntoDeserializer<'de, Error> for Reader {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// In the narrowest form, which is what most types take.
fn visit_integer<'de, V: Visitor<'de>>(integer: i128, visitor: V) -> Result<V::Value> {
    if let Ok(integer) = i64::try_from(integer) {
        visitor.visit_i64(integer)
    } else if let Ok(integer) = u64::try_from(integer) {
        visitor.visit_u64(integer)
    } else {
        visitor.visit_i128(integer)
    }
}

/// All elements have to be wanted.
fn visit_seq<'de, V, I>(elements: I, visitor: V) -> Result<V::Value>
where
    V: Visitor<'de>,
    I: Iterator<Item: IntoDeserializer<'de, Error>>,
{
    let mut elements = SeqDeserializer::new(elements);
    let value = visitor.visit_seq(&mut elements)?;
    elements.end()?;
    Ok(value)
}

/// Atoms and binaries both serve as names.
fn text(term: Term) -> Option<String> {
    match term {
        Term::Atom(name) => Some(name),
        Term::Binary(bytes) => String::from_utf8(bytes).ok(),
        _ => None,
    }
}

fn unexpected(what: &str, expected: &dyn de::Expected) -> Error {
    Error::invalid_type(Unexpected::Other(what), expected)
}

/// A variant of an enum: its name, and what it holds.
struct Variant {
    name: String,
    value: Option<Term>,
}

impl Variant {
    /// A name alone, or a map of one name.
    fn read(term: Term) -> Result<Self> {
        let (name, value) = match term {
            Term::Map(pairs) => {
                let [(name, value)] = <[(Term, Term); 1]>::try_from(pairs)
                    .map_err(|_| unexpected("map", &"a map of one key"))?;
                (name, Some(value))
            }
            name => (name, None),
        };
        match text(name) {
            Some(name) => Ok(Self { name, value }),
            None => Err(unexpected("variant", &"an atom, a binary, or a map of one")),
        }
    }

    /// The variant that a term is of [`Term`].
    fn itself(term: Term) -> Self {
        let (name, value) = match term {
            Term::Integer(_) => ("Integer", term),
            Term::Float(_) => ("Float", term),
            Term::Binary(_) => ("Binary", term),
            Term::List(_) => ("List", term),
            Term::Atom(name) => ("Atom", Term::binary(name)),
            Term::Tuple(terms) => ("Tuple", Term::List(terms)),
            Term::Map(pairs) => {
                let pair = |(key, value)| Term::Tuple(vec![key, value]);
                ("Map", Term::List(pairs.into_iter().map(pair).collect()))
            }
        };
        Self {
            name: name.to_owned(),
            value: Some(value),
        }
    }
}

impl<'de> EnumAccess<'de> for Variant {
    type Error = Error;
    type Variant = Content;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Content)> {
        let name: StringDeserializer<Error> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, Content(self.value)))
    }
}

/// What a variant holds.
struct Content(Option<Term>);

impl Content {
    fn reader(self) -> Result<Reader> {
        let nothing = || unexpected("unit variant", &"a variant that holds something");
        self.0.map(Reader).ok_or_else(nothing)
    }
}

impl<'de> VariantAccess<'de> for Content {
    type Error = Error;

    fn unit_variant(self) -> Result<()> {
        match self.0 {
            None => Ok(()),
            Some(term) => de::Deserialize::deserialize(Reader(term)),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value> {
        seed.deserialize(self.reader()?)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value> {
        self.reader()?.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.reader()?.deserialize_any(visitor)
    }
}
