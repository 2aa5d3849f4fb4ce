//! Terms to bytes, the same ones that Erlang writes.

use super::{ATOM_LEN_MAX, DEPTH_MAX, Term, TermError, tag};

pub(super) fn encode(term: &Term) -> Result<Vec<u8>, TermError> {
    let mut encoder = Encoder {
        bytes: vec![tag::VERSION],
    };
    encoder.term(term, 0)?;
    Ok(encoder.bytes)
}

struct Encoder {
    bytes: Vec<u8>,
}

impl Encoder {
    fn term(&mut self, term: &Term, depth: u8) -> Result<(), TermError> {
        match term {
            Term::Integer(integer) => self.integer(*integer),
            Term::Float(float) if float.is_finite() => {
                self.tagged(tag::NEW_FLOAT, &float.to_be_bytes());
            }
            Term::Float(_) => return Err(TermError::Float),
            Term::Atom(name) => self.atom(name)?,
            Term::Binary(bytes) => {
                self.tagged(tag::BINARY, &len32(bytes.len())?);
                self.bytes.extend_from_slice(bytes);
            }
            Term::Tuple(terms) => {
                match u8::try_from(terms.len()) {
                    Ok(len) => self.tagged(tag::SMALL_TUPLE, &[len]),
                    Err(_) => self.tagged(tag::LARGE_TUPLE, &len32(terms.len())?),
                }
                self.terms(terms, deeper(depth)?)?;
            }
            Term::List(terms) => self.list(terms, depth)?,
            Term::Map(pairs) => {
                self.tagged(tag::MAP, &len32(pairs.len())?);
                let depth = deeper(depth)?;
                for (key, value) in pairs {
                    self.term(key, depth)?;
                    self.term(value, depth)?;
                }
            }
        }
        Ok(())
    }

    fn integer(&mut self, integer: i128) {
        if let Ok(small) = u8::try_from(integer) {
            self.tagged(tag::SMALL_INTEGER, &[small]);
        } else if let Ok(middle) = i32::try_from(integer) {
            self.tagged(tag::INTEGER, &middle.to_be_bytes());
        } else {
            let magnitude = integer.unsigned_abs();
            let zeros = (magnitude.leading_zeros() / 8) as usize;
            let bytes = magnitude.to_le_bytes();
            let bytes = bytes.split_at(bytes.len() - zeros).0;
            // Sixteen at most.
            let len = u8::try_from(bytes.len()).unwrap_or(u8::MAX);
            self.tagged(tag::SMALL_BIG, &[len, u8::from(integer < 0)]);
            self.bytes.extend_from_slice(bytes);
        }
    }

    fn atom(&mut self, name: &str) -> Result<(), TermError> {
        let len_max = ATOM_LEN_MAX;
        if name.chars().count() > len_max {
            return Err(TermError::Atom { len_max });
        }
        match u8::try_from(name.len()) {
            Ok(len) => self.tagged(tag::SMALL_ATOM_UTF8, &[len]),
            Err(_) => {
                let len = u16::try_from(name.len()).map_err(|_| TermError::Atom { len_max })?;
                self.tagged(tag::ATOM_UTF8, &len.to_be_bytes());
            }
        }
        self.bytes.extend_from_slice(name.as_bytes());
        Ok(())
    }

    fn list(&mut self, terms: &[Term], depth: u8) -> Result<(), TermError> {
        if terms.is_empty() {
            self.bytes.push(tag::NIL);
        } else if let Some((len, string)) = as_string(terms) {
            self.tagged(tag::STRING, &len.to_be_bytes());
            self.bytes.extend(string);
        } else {
            self.tagged(tag::LIST, &len32(terms.len())?);
            self.terms(terms, deeper(depth)?)?;
            self.bytes.push(tag::NIL);
        }
        Ok(())
    }

    fn terms(&mut self, terms: &[Term], depth: u8) -> Result<(), TermError> {
        terms.iter().try_for_each(|term| self.term(term, depth))
    }

    fn tagged(&mut self, tag: u8, bytes: &[u8]) {
        self.bytes.push(tag);
        self.bytes.extend_from_slice(bytes);
    }
}

/// A list of small integers, which Erlang writes as bytes.
fn as_string(terms: &[Term]) -> Option<(u16, Vec<u8>)> {
    let len = u16::try_from(terms.len()).ok()?;
    let bytes = terms.iter().map(|term| match term {
        Term::Integer(integer) => u8::try_from(*integer).ok(),
        _ => None,
    });
    Some((len, bytes.collect::<Option<_>>()?))
}

fn len32(len: usize) -> Result<[u8; 4], TermError> {
    let len = u32::try_from(len).map_err(|_| TermError::TooLarge)?;
    Ok(len.to_be_bytes())
}

fn deeper(depth: u8) -> Result<u8, TermError> {
    if depth < DEPTH_MAX {
        Ok(depth + 1)
    } else {
        Err(TermError::TooDeep {
            depth_max: DEPTH_MAX,
        })
    }
}
