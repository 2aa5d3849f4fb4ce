//! What serialises, as a term.

use std::fmt::Display;

use serde::ser::{self, Serialize, Serializer};

use super::{NAME, Term};
use crate::phoenix_token::TermError;

type Result<T = Term> = std::result::Result<T, TermError>;

/// Makes one term of what is serialised.
pub(super) struct Writer;

impl Serializer for Writer {
    type Ok = Term;
    type Error = TermError;
    type SerializeSeq = Items;
    type SerializeTuple = Items;
    type SerializeTupleStruct = Items;
    type SerializeTupleVariant = Items;
    type SerializeMap = Pairs;
    type SerializeStruct = Pairs;
    type SerializeStructVariant = Pairs;

    fn serialize_bool(self, value: bool) -> Result {
        Ok(Term::atom(if value { "true" } else { "false" }))
    }

    fn serialize_i8(self, value: i8) -> Result {
        self.serialize_i128(value.into())
    }

    fn serialize_i16(self, value: i16) -> Result {
        self.serialize_i128(value.into())
    }

    fn serialize_i32(self, value: i32) -> Result {
        self.serialize_i128(value.into())
    }

    fn serialize_i64(self, value: i64) -> Result {
        self.serialize_i128(value.into())
    }

    fn serialize_i128(self, value: i128) -> Result {
        Ok(Term::Integer(value))
    }

    fn serialize_u8(self, value: u8) -> Result {
        self.serialize_i128(value.into())
    }

    fn serialize_u16(self, value: u16) -> Result {
        self.serialize_i128(value.into())
    }

    fn serialize_u32(self, value: u32) -> Result {
        self.serialize_i128(value.into())
    }

    fn serialize_u64(self, value: u64) -> Result {
        self.serialize_i128(value.into())
    }

    fn serialize_u128(self, value: u128) -> Result {
        self.serialize_i128(value.try_into().map_err(|_| TermError::Integer)?)
    }

    fn serialize_f32(self, value: f32) -> Result {
        self.serialize_f64(value.into())
    }

    fn serialize_f64(self, value: f64) -> Result {
        if value.is_finite() {
            Ok(Term::Float(value))
        } else {
            Err(TermError::Float)
        }
    }

    fn serialize_char(self, value: char) -> Result {
        Ok(Term::binary(value.to_string()))
    }

    fn serialize_str(self, value: &str) -> Result {
        Ok(Term::binary(value))
    }

    fn serialize_bytes(self, value: &[u8]) -> Result {
        Ok(Term::binary(value))
    }

    fn serialize_none(self) -> Result {
        Ok(Term::atom("nil"))
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result {
        Ok(Term::atom("nil"))
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result {
        Ok(Term::binary(variant))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result {
        let term = value.serialize(self)?;
        if name == NAME {
            Ok(again(variant, term))
        } else {
            Ok(of_variant(variant, term))
        }
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Items> {
        Ok(Items::new(len, Term::List, None))
    }

    fn serialize_tuple(self, len: usize) -> Result<Items> {
        Ok(Items::new(Some(len), Term::Tuple, None))
    }

    fn serialize_tuple_struct(self, _: &'static str, len: usize) -> Result<Items> {
        self.serialize_tuple(len)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Items> {
        Ok(Items::new(Some(len), Term::Tuple, Some(variant)))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Pairs> {
        Ok(Pairs::default())
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Pairs> {
        Ok(Pairs::default())
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Pairs> {
        let variant = Some(variant);
        Ok(Pairs {
            variant,
            ..Pairs::default()
        })
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result {
        Ok(Term::binary(value.to_string()))
    }
}

/// A [`Term`] that was serialised, as it was before.
fn again(variant: &str, term: Term) -> Term {
    match (variant, term) {
        ("Atom", Term::Binary(name)) => Term::Atom(String::from_utf8_lossy(&name).into_owned()),
        ("Tuple", Term::List(terms)) => Term::Tuple(terms),
        ("Map", Term::List(pairs)) => Term::Map(pairs.into_iter().filter_map(pair).collect()),
        (_, term) => term,
    }
}

fn pair(term: Term) -> Option<(Term, Term)> {
    match term {
        Term::Tuple(pair) => <[Term; 2]>::try_from(pair).ok().map(Into::into),
        _ => None,
    }
}

fn of_variant(variant: &'static str, term: Term) -> Term {
    Term::Map(vec![(Term::binary(variant), term)])
}

/// The elements of a list or tuple.
pub(super) struct Items {
    items: Vec<Term>,
    into_term: fn(Vec<Term>) -> Term,
    variant: Option<&'static str>,
}

impl Items {
    fn new(
        len: Option<usize>,
        into_term: fn(Vec<Term>) -> Term,
        variant: Option<&'static str>,
    ) -> Self {
        Self {
            items: Vec::with_capacity(len.unwrap_or_default()),
            into_term,
            variant,
        }
    }

    fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.items.push(value.serialize(Writer)?);
        Ok(())
    }

    fn finish(self) -> Term {
        let term = (self.into_term)(self.items);
        match self.variant {
            Some(variant) => of_variant(variant, term),
            None => term,
        }
    }
}

impl ser::SerializeSeq for Items {
    type Ok = Term;
    type Error = TermError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.push(value)
    }

    fn end(self) -> Result {
        Ok(self.finish())
    }
}

impl ser::SerializeTuple for Items {
    type Ok = Term;
    type Error = TermError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.push(value)
    }

    fn end(self) -> Result {
        Ok(self.finish())
    }
}

impl ser::SerializeTupleStruct for Items {
    type Ok = Term;
    type Error = TermError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.push(value)
    }

    fn end(self) -> Result {
        Ok(self.finish())
    }
}

impl ser::SerializeTupleVariant for Items {
    type Ok = Term;
    type Error = TermError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.push(value)
    }

    fn end(self) -> Result {
        Ok(self.finish())
    }
}

/// The keys and values of a map.
#[derive(Default)]
pub(super) struct Pairs {
    pairs: Vec<(Term, Term)>,
    key: Option<Term>,
    variant: Option<&'static str>,
}

impl Pairs {
    fn field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<()> {
        self.pairs
            .push((Term::binary(key), value.serialize(Writer)?));
        Ok(())
    }

    fn finish(self) -> Term {
        let term = Term::Map(self.pairs);
        match self.variant {
            Some(variant) => of_variant(variant, term),
            None => term,
        }
    }
}

impl ser::SerializeMap for Pairs {
    type Ok = Term;
    type Error = TermError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<()> {
        self.key = Some(key.serialize(Writer)?);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        let no_key = || ser::Error::custom("a value of a map without its key");
        let key = self.key.take().ok_or_else(no_key)?;
        self.pairs.push((key, value.serialize(Writer)?));
        Ok(())
    }

    fn end(self) -> Result {
        Ok(self.finish())
    }
}

impl ser::SerializeStruct for Pairs {
    type Ok = Term;
    type Error = TermError;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<()> {
        self.field(key, value)
    }

    fn end(self) -> Result {
        Ok(self.finish())
    }
}

impl ser::SerializeStructVariant for Pairs {
    type Ok = Term;
    type Error = TermError;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<()> {
        self.field(key, value)
    }

    fn end(self) -> Result {
        Ok(self.finish())
    }
}
