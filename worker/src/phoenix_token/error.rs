//! What is wrong with a secret, with data, or with a token. Nothing here repeats
//! what is in one.

/// Why keys cannot be derived in that way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PhoenixKeyError {
    /// Phoenix takes no shorter one as `secret_key_base`.
    #[error("a secret_key_base has at least {len_min} bytes, this one has {len}")]
    SecretTooShort {
        /// How long it is.
        len: usize,
        /// How long it has to be.
        len_min: usize,
    },
    /// A key is derived in one iteration at least.
    #[error("key_iterations is 0, it has to be 1 at least")]
    NoIterations,
    /// A key is too short to be safe, or longer than makes sense.
    #[error("key_length is {len} bytes, it has to be {len_min} to {len_max}")]
    KeyLength {
        /// How long it was to be.
        len: usize,
        /// How long it has to be.
        len_min: usize,
        /// How long it can be.
        len_max: usize,
    },
}

/// Why no token was made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PhoenixSignError {
    /// The data cannot be an Erlang term.
    #[error("the data cannot be put into a token")]
    Data(#[from] TermError),
    /// The token would be longer than any that is read.
    #[error("the token has {len} bytes, at most {len_max} are read: put less into it")]
    TooLong {
        /// How long it is.
        len: usize,
        /// How long it can be.
        len_max: usize,
    },
    /// The cipher takes keys of one length.
    #[error("tokens are encrypted by keys of {expected} bytes: leave key_length at that")]
    KeyLength {
        /// How long the key has to be.
        expected: usize,
    },
}

/// Why data cannot be written as an Erlang term.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TermError {
    /// It is nested deeper than what is read.
    #[error("lists, tuples and maps are nested at most {depth_max} deep")]
    TooDeep {
        /// How deep it can be.
        depth_max: u8,
    },
    /// It is larger than what is read.
    #[error("an integer lies between -2^127 and 2^127 - 1")]
    Integer,
    /// Erlang has neither infinities nor NaN.
    #[error("a float is a finite number")]
    Float,
    /// Erlang has no longer names.
    #[error("an atom has at most {len_max} characters")]
    Atom {
        /// How long it can be.
        len_max: usize,
    },
    /// The format counts in 32 bits.
    #[error("a binary, list, tuple or map has less than 2^32 elements")]
    TooLarge,
    /// What the serialisation of the data says.
    #[error("{0}")]
    Custom(String),
}

impl serde::ser::Error for TermError {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self::Custom(message.to_string())
    }
}

/// Why a token is refused. The peer may see it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PhoenixTokenError {
    /// There is none.
    #[error("a token is required")]
    Missing,
    /// It was not made with that secret and salt, or was changed since; or it
    /// is signed in the future, is longer than 8 KiB, or contains a term that
    /// is not read.
    #[error("the token is invalid")]
    Invalid,
    /// It is older than it may be.
    #[error("token expired")]
    Expired,
    /// It is good, and its data are not what the application expects.
    #[error("the token's data do not fit at {path}")]
    Data {
        /// Where.
        path: String,
    },
}

impl PhoenixTokenError {
    /// One word, as metrics and logs have it.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Invalid => "invalid",
            Self::Expired => "expired",
            Self::Data { .. } => "data",
        }
    }
}
