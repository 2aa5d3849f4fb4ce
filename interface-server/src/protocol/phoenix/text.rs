//! Strings of a text frame, where they stand.

use std::borrow::Cow;
use std::fmt;

use bytestring::ByteString;
use serde::de::{Deserialize, Deserializer, Error, Visitor};

use crate::protocol::phoenix::error::DecodeError;
use crate::protocol::phoenix::message::Ref;

/// A string: a part of the frame, or its unescaped form.
#[derive(Debug)]
pub(crate) struct Text<'a>(Cow<'a, str>);

/// A string, a whole number or null.
#[derive(Debug, Default)]
pub(crate) enum MaybeRef<'a> {
    #[default]
    Null,
    Text(Text<'a>),
    Number(i64),
}

impl Text<'_> {
    /// The string as a slice of the frame, if it stands there.
    pub(crate) fn of(self, frame: &ByteString) -> ByteString {
        match self.0 {
            Cow::Borrowed(text) => frame.slice_ref(text),
            Cow::Owned(text) => text.into(),
        }
    }
}

impl MaybeRef<'_> {
    pub(crate) fn of(
        self,
        frame: &ByteString,
        what: &'static str,
    ) -> Result<Option<Ref>, DecodeError> {
        let text = match self {
            Self::Null => return Ok(None),
            Self::Number(number) => return Ok(Some(Ref::number(number))),
            Self::Text(text) => text,
        };
        let len = text.0.len();
        if len > Ref::LEN_MAX {
            return Err(DecodeError::RefTooLong { what, len });
        }
        Ok(Some(Ref::new(text.of(frame))))
    }
}

struct Strings;

impl<'de> Visitor<'de> for Strings {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }
}

struct Refs;

impl<'de> Visitor<'de> for Refs {
    type Value = MaybeRef<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, a whole number or null")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(MaybeRef::Null)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        Ok(MaybeRef::Number(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        let number = i64::try_from(number);
        number
            .map(MaybeRef::Number)
            .map_err(|_| E::custom("a ref that is a number has 63 bits at most"))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Strings.visit_borrowed_str(text).map(MaybeRef::Text)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Strings.visit_str(text).map(MaybeRef::Text)
    }
}

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Strings)
    }
}

impl<'de> Deserialize<'de> for MaybeRef<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Refs)
    }
}
