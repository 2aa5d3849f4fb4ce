//! What is wrong with a key or a token. Nothing here repeats what is in one.

use super::Algorithm;

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The secret can be guessed.
    #[error("a secret for {algorithm} has at least {len_min} bytes, this one has {len}")]
    TooShort {
        /// For what it was to be used.
        algorithm: Algorithm,
        /// How long it is.
        len: usize,
        /// How long it has to be.
        len_min: usize,
    },
    /// The algorithm takes another kind of key.
    #[error("{algorithm} takes {expected}")]
    Kind {
        /// For what it was to be used.
        algorithm: Algorithm,
        /// What it takes.
        expected: &'static str,
    },
    /// The text is no key of that kind.
    #[error("expected {expected} for {algorithm}")]
    Unreadable {
        /// For what it was to be used.
        algorithm: Algorithm,
        /// What was expected.
        expected: &'static str,
        /// What the reader says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A set of keys has at least one.
    #[error("there is no key")]
    NoKeys,
    /// A set of keys has a limit.
    #[error("there are {len} keys, at most {len_max} are tried for a token")]
    TooMany {
        /// How many there are.
        len: usize,
        /// How many there can be.
        len_max: usize,
    },
    /// An id names one key.
    #[error("two keys have the id {id:?}")]
    Repeated {
        /// The id.
        id: String,
    },
}

/// Why no token was made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// The first key signs, and it is a public one.
    #[error("the first key signs; it is a public one, which can only verify")]
    CannotSign,
    /// A token's claims are a JSON object.
    #[error("the claims are no JSON object: give a struct or a map")]
    NotAnObject,
    /// What the serialisation of the claims or the key says.
    #[error("the token cannot be signed")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Why a token is refused. The peer may see it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// There is none.
    #[error("a token is required")]
    Missing,
    /// It is no signed JSON Web Token, or one with extensions that are not known.
    #[error("the token is malformed")]
    Malformed,
    /// It is longer than any that is read.
    #[error("the token has {len} bytes, at most {len_max} are read")]
    TooLong {
        /// How long it is.
        len: usize,
        /// How long it can be.
        len_max: usize,
    },
    /// It names a key that is not there.
    #[error("the token is signed by an unknown key")]
    UnknownKey,
    /// It is signed by another algorithm than its key has.
    #[error("the token is signed by another algorithm than its key's")]
    Algorithm,
    /// It was not signed by that key, or was changed since.
    #[error("the token's signature does not fit")]
    BadSignature,
    /// It has no `exp`.
    #[error("the token never expires: it has no exp")]
    NoExpiry,
    /// Its time is over.
    #[error("token expired")]
    Expired,
    /// Its time is not yet come.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// It is for somebody else.
    #[error("the token is for another audience")]
    Audience,
    /// It is from somebody else.
    #[error("the token is from another issuer")]
    Issuer,
    /// The claims are not what the application expects.
    #[error("the token's claims do not fit at {path}")]
    Claims {
        /// Where.
        path: String,
    },
    /// A refreshed token is for the same subject as the one before.
    #[error("the token is for another subject")]
    OtherSubject,
    /// It is valid, and not enough.
    #[error("not permitted")]
    NotPermitted,
}

impl TokenError {
    /// One word, as metrics and logs have it.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::TooLong { .. } => "too_long",
            Self::UnknownKey => "unknown_key",
            Self::Algorithm => "algorithm",
            Self::BadSignature => "bad_signature",
            Self::NoExpiry => "no_expiry",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::Audience => "audience",
            Self::Issuer => "issuer",
            Self::Claims { .. } => "claims",
            Self::OtherSubject => "other_subject",
            Self::NotPermitted => "not_permitted",
        }
    }
}
