//! Bytes to terms. The bytes are not trusted: what they claim is compared with
//! what is there before anything is allocated for it.

use super::{ATOM_LEN_MAX, DEPTH_MAX, Term, tag};

/// The bytes of an integer at most.
const INTEGER_LEN_MAX: usize = 16;

/// Why bytes are no term that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum DecodeError {
    /// They do not begin as a term does.
    Version,
    /// They end too early.
    Ends,
    /// There is more after the term.
    Goes,
    /// There would have to be more elements than there are bytes.
    Claims,
    /// It is nested too deep.
    Depth,
    /// Something that is no data, or is compressed.
    Tag,
    /// An integer that does not fit.
    Integer,
    /// A float that is no number.
    Float,
    /// An atom that is too long or no UTF-8.
    Atom,
    /// A list that does not end in an empty one.
    Improper,
}

use DecodeError::{Atom, Claims, Depth, Ends, Float, Goes, Improper, Integer, Tag, Version};

type Result<T> = std::result::Result<T, DecodeError>;

pub(super) fn decode(bytes: &[u8]) -> Result<Term> {
    let (version, rest) = bytes.split_first().ok_or(Ends)?;
    if *version != tag::VERSION {
        return Err(Version);
    }
    // Every element of a list, tuple or map takes a byte at least. So all of
    // them together are no more than there are bytes, and what is allocated is
    // at most a term for each.
    let elements_max = rest.len();
    let mut decoder = Decoder { rest, elements_max };
    let term = decoder.term(0)?;
    if decoder.rest.is_empty() {
        Ok(term)
    } else {
        Err(Goes)
    }
}

struct Decoder<'a> {
    rest: &'a [u8],
    /// How many elements may still be claimed.
    elements_max: usize,
}

impl<'a> Decoder<'a> {
    fn term(&mut self, depth: u8) -> Result<Term> {
        match self.byte()? {
            tag::SMALL_INTEGER => Ok(Term::Integer(self.byte()?.into())),
            tag::INTEGER => Ok(Term::Integer(i32::from_be_bytes(self.array()?).into())),
            tag::SMALL_BIG => {
                let len = self.byte()?.into();
                self.big(len)
            }
            tag::LARGE_BIG => {
                let len = self.len32()?;
                self.big(len)
            }
            tag::NEW_FLOAT => match f64::from_be_bytes(self.array()?) {
                float if float.is_finite() => Ok(Term::Float(float)),
                _ => Err(Float),
            },
            tag::ATOM => {
                let len = self.len16()?;
                self.latin1(len)
            }
            tag::SMALL_ATOM => {
                let len = self.byte()?.into();
                self.latin1(len)
            }
            tag::ATOM_UTF8 => {
                let len = self.len16()?;
                self.utf8(len)
            }
            tag::SMALL_ATOM_UTF8 => {
                let len = self.byte()?.into();
                self.utf8(len)
            }
            tag::BINARY => {
                let len = self.len32()?;
                Ok(Term::binary(self.take(len)?))
            }
            tag::NIL => Ok(Term::List(Vec::new())),
            tag::STRING => self.string(),
            tag::LIST => self.list(depth),
            tag::SMALL_TUPLE => {
                let len = self.byte()?.into();
                Ok(Term::Tuple(self.terms(len, depth)?))
            }
            tag::LARGE_TUPLE => {
                let len = self.len32()?;
                Ok(Term::Tuple(self.terms(len, depth)?))
            }
            tag::MAP => self.map(depth),
            _ => Err(Tag),
        }
    }

    fn big(&mut self, len: usize) -> Result<Term> {
        let is_negative = self.byte()? != 0;
        let bytes = self.take(len)?;
        let mut magnitude = [0; INTEGER_LEN_MAX];
        magnitude
            .get_mut(..len)
            .ok_or(Integer)?
            .copy_from_slice(bytes);
        let magnitude = u128::from_le_bytes(magnitude);
        let integer = if is_negative {
            0_i128.checked_sub_unsigned(magnitude)
        } else {
            0_i128.checked_add_unsigned(magnitude)
        };
        integer.map(Term::Integer).ok_or(Integer)
    }

    fn latin1(&mut self, len: usize) -> Result<Term> {
        let bytes = self.take(len)?;
        atom(bytes.iter().copied().map(char::from).collect())
    }

    fn utf8(&mut self, len: usize) -> Result<Term> {
        let bytes = self.take(len)?;
        atom(str::from_utf8(bytes).map_err(|_| Atom)?.to_owned())
    }

    /// A list of small integers, which Erlang writes as bytes.
    fn string(&mut self) -> Result<Term> {
        let len = self.len16()?;
        self.claim(len)?;
        let bytes = self.take(len)?;
        let integers = bytes.iter().map(|&byte| Term::Integer(byte.into()));
        Ok(Term::List(integers.collect()))
    }

    fn list(&mut self, depth: u8) -> Result<Term> {
        let len = self.len32()?;
        let terms = self.terms(len, depth)?;
        if self.byte()? == tag::NIL {
            Ok(Term::List(terms))
        } else {
            Err(Improper)
        }
    }

    fn map(&mut self, depth: u8) -> Result<Term> {
        let len = self.len32()?;
        let depth = deeper(depth)?;
        self.claim(len)?;
        self.claim(len)?;
        let mut pairs = Vec::with_capacity(len);
        for _ in 0..len {
            pairs.push((self.term(depth)?, self.term(depth)?));
        }
        Ok(Term::Map(pairs))
    }

    fn terms(&mut self, len: usize, depth: u8) -> Result<Vec<Term>> {
        let depth = deeper(depth)?;
        self.claim(len)?;
        let mut terms = Vec::with_capacity(len);
        for _ in 0..len {
            terms.push(self.term(depth)?);
        }
        Ok(terms)
    }

    fn claim(&mut self, len: usize) -> Result<()> {
        self.elements_max = self.elements_max.checked_sub(len).ok_or(Claims)?;
        Ok(())
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Ends)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Ends)?;
        self.rest = rest;
        Ok(*taken)
    }

    fn byte(&mut self) -> Result<u8> {
        self.array().map(u8::from_be_bytes)
    }

    fn len16(&mut self) -> Result<usize> {
        self.array().map(|bytes| u16::from_be_bytes(bytes).into())
    }

    fn len32(&mut self) -> Result<usize> {
        let len = u32::from_be_bytes(self.array()?);
        usize::try_from(len).map_err(|_| Claims)
    }
}

fn atom(name: String) -> Result<Term> {
    if name.chars().count() <= ATOM_LEN_MAX {
        Ok(Term::Atom(name))
    } else {
        Err(Atom)
    }
}

fn deeper(depth: u8) -> Result<u8> {
    if depth < DEPTH_MAX {
        Ok(depth + 1)
    } else {
        Err(Depth)
    }
}
