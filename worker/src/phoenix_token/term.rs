//! The part of the Erlang external term format that is data: no functions, no
//! processes, nothing compressed.

mod de;
mod decode;
mod encode;
mod ser;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::TermError;
use decode::DecodeError;

/// How deep lists, tuples and maps are nested at most: what reads them recurses.
const DEPTH_MAX: u8 = 64;

/// The characters of an atom at most, as in Erlang.
const ATOM_LEN_MAX: usize = 255;

/// By this name a [`Term`] tells the crate's own serialisation from any other.
const NAME: &str = "$towpath::Term";

/// The numbers of the format (erts, "External Term Format").
mod tag {
    pub(super) const VERSION: u8 = 131;
    pub(super) const NEW_FLOAT: u8 = 70;
    pub(super) const SMALL_INTEGER: u8 = 97;
    pub(super) const INTEGER: u8 = 98;
    pub(super) const ATOM: u8 = 100;
    pub(super) const SMALL_TUPLE: u8 = 104;
    pub(super) const LARGE_TUPLE: u8 = 105;
    pub(super) const NIL: u8 = 106;
    pub(super) const STRING: u8 = 107;
    pub(super) const LIST: u8 = 108;
    pub(super) const BINARY: u8 = 109;
    pub(super) const SMALL_BIG: u8 = 110;
    pub(super) const LARGE_BIG: u8 = 111;
    pub(super) const SMALL_ATOM: u8 = 115;
    pub(super) const MAP: u8 = 116;
    pub(super) const ATOM_UTF8: u8 = 118;
    pub(super) const SMALL_ATOM_UTF8: u8 = 119;
}

/// An Elixir or Erlang term, as far as it is data.
///
/// Data of your own need none: what serialises becomes a term by itself. It is
/// for what Rust has no equal of, such as atoms, and for tokens whose shape is
/// not known. It can stand inside of data of your own.
///
/// | Rust | becomes | is read from |
/// |---|---|---|
/// | integers | integer | integer |
/// | floats | float | float, integer |
/// | `bool` | `true`, `false` | the same |
/// | `None`, `()` | `nil` | `nil` |
/// | `String`, `char` | binary | binary in UTF-8, atom |
/// | `serde_bytes` and the like | binary | binary, list of bytes |
/// | `Vec` and other sequences | list | list, tuple, binary |
/// | tuples, arrays | tuple | tuple, list, binary |
/// | structs | map, its keys binaries | map, its keys binaries or atoms |
/// | maps | map | map |
/// | `Enum::Unit` | binary | binary, atom |
/// | `Enum::Other(…)` | map of one key | map of one key |
///
/// ```
/// use towpath_worker::{PhoenixTokens, Term};
///
/// let tokens = PhoenixTokens::new("a secret of 20 bytes at least")?;
/// // In Elixir: {:user, 7}
/// let user = Term::Tuple(vec![Term::atom("user"), Term::Integer(7)]);
/// let token = tokens.sign("user auth", &user)?;
/// assert_eq!(tokens.verify::<Term>("user auth", token.as_str())?, user);
/// let (kind, id): (String, u64) = tokens.verify("user auth", token.as_str())?;
/// assert_eq!((kind.as_str(), id), ("user", 7));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename = "$towpath::Term")]
pub enum Term {
    /// An integer. One that does not fit is not read.
    Integer(i128),
    /// A finite float.
    Float(f64),
    /// A name of 255 characters at most; also `true`, `false` and `nil`.
    Atom(String),
    /// Bytes, which strings are in Elixir.
    Binary(#[serde(with = "serde_bytes")] Vec<u8>),
    /// A fixed number of terms.
    Tuple(Vec<Term>),
    /// A proper list. Improper ones are not read.
    List(Vec<Term>),
    /// Keys and values, in the order in which they were written.
    Map(Vec<(Term, Term)>),
}

impl Term {
    /// An atom.
    #[must_use]
    pub fn atom(name: impl Into<String>) -> Self {
        Self::Atom(name.into())
    }

    /// A binary.
    #[must_use]
    pub fn binary(bytes: impl Into<Vec<u8>>) -> Self {
        Self::Binary(bytes.into())
    }

    /// What serialises, as a term.
    pub(super) fn of<T: Serialize + ?Sized>(data: &T) -> Result<Self, TermError> {
        data.serialize(ser::Writer)
    }

    /// The term as data of that type; or the path to what does not fit.
    pub(super) fn into_data<T: DeserializeOwned>(self) -> Result<T, String> {
        // What the reader says of a value may repeat it; where it stands does not.
        serde_path_to_error::deserialize(de::Reader(self)).map_err(|error| error.path().to_string())
    }

    pub(super) fn encode(&self) -> Result<Vec<u8>, TermError> {
        encode::encode(self)
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode::decode(bytes)
    }
}

#[cfg(test)]
mod tests;
