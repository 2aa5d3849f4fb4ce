//! Identity by signed tokens: keys, tokens, and who a connection belongs to.
//!
//! A token is verified once, when it arrives. Its claims then travel with the
//! conversation, so that any worker knows them; only their expiry is looked at
//! again. No token and no claim is ever logged.

mod algorithm;
mod authenticator;
mod claims;
mod error;
mod extract;
mod key;
mod keys;
mod middleware;
mod refusal;
mod source;

pub use algorithm::Algorithm;
pub use authenticator::Authenticator;
pub use claims::Claims;
pub use error::{KeyError, SignError, TokenError};
pub use extract::Auth;
pub use key::Key;
pub use keys::Keys;
pub use middleware::AuthLayer;
