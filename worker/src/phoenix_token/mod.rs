//! Tokens in the format of `Phoenix.Token`: what a Phoenix application signs or
//! encrypts is read here, and the other way round.
//!
//! Both derive a key for each salt from one secret (PBKDF2) and send the data
//! as an Erlang external term, with the time of signing and how old the token
//! may become. No token and no secret is ever logged or stands in an error.

mod cipher;
mod derived_keys;
mod error;
mod payload;
mod signer;
mod term;
mod tokens;

pub use derived_keys::KeyDigest;
pub use error::{PhoenixKeyError, PhoenixSignError, PhoenixTokenError, TermError};
pub use payload::MaxAge;
pub use term::Term;
pub use tokens::PhoenixTokens;
