//! Makes tokens, and says which ones are good.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::derived_keys::{Derivation, DerivedKeys};
use super::{
    KeyDigest, MaxAge, PhoenixKeyError, PhoenixSignError, PhoenixTokenError, Term, cipher, payload,
    signer,
};
use crate::wall;

/// Phoenix takes no shorter secret.
const SECRET_LEN_MIN: usize = 20;

/// The shortest and the longest key that is derived.
const KEY_LEN_MIN: usize = 16;
const KEY_LEN_MAX: usize = 1024;

/// The longest token that is read: a header field of most servers holds no more.
const TOKEN_LEN_MAX: usize = 8 << 10;

/// How old a token becomes if nothing is said: a day, as in Phoenix.
const MAX_AGE: Duration = Duration::from_secs(86_400);

/// By how much the clocks of issuer and workers may differ.
const LEEWAY: Duration = Duration::from_secs(30);

/// Makes and reads the tokens of `Phoenix.Token`, together with a Phoenix
/// application that has the same secret.
///
/// The secret is the `secret_key_base` of its endpoint. From it a key is derived
/// for each salt, so that a token for one purpose is none for another. A signed
/// token can be read by whoever has it, an encrypted one cannot; neither can be
/// changed. Cloning is cheap.
///
/// The data are what serialises, such as the id of a user; [`Term`] says what
/// becomes of them in Elixir. A token has 8 KiB at most.
///
/// ```
/// use std::time::Duration;
///
/// use serde::{Deserialize, Serialize};
/// use towpath_worker::{PhoenixTokenError, PhoenixTokens};
///
/// #[derive(Serialize, Deserialize)]
/// struct User {
///     id: u64,
/// }
///
/// let tokens = PhoenixTokens::new("a secret of 20 bytes at least")?;
/// let token = tokens.sign("user auth", &User { id: 7 })?;
/// let user: User = tokens.verify("user auth", token.as_str())?;
/// assert_eq!(user.id, 7);
///
/// let other = tokens.verify::<User>("room auth", token.as_str());
/// assert_eq!(other.err(), Some(PhoenixTokenError::Invalid));
/// let absent: Option<&str> = None;
/// let missing = tokens.verify::<User>("user auth", absent);
/// assert_eq!(missing.err(), Some(PhoenixTokenError::Missing));
///
/// let secret = tokens.encrypt("user auth", &User { id: 7 })?;
/// let user: User = tokens.decrypt_within("user auth", &*secret, Duration::from_mins(5))?;
/// assert_eq!(user.id, 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Encrypted tokens of before 2023 (Plug.Crypto 1, they begin with
/// `QTEyOEdDTQ.`) are not read: they are [`Invalid`](PhoenixTokenError::Invalid).
#[derive(Clone)]
pub struct PhoenixTokens {
    keys: Arc<DerivedKeys>,
    max_age: MaxAge,
    leeway: Duration,
}

impl PhoenixTokens {
    /// Tokens of a secret of 20 bytes at least; Phoenix generates 64.
    ///
    /// # Errors
    ///
    /// [`PhoenixKeyError`] if it is too short.
    pub fn new(secret_key_base: impl AsRef<[u8]>) -> Result<Self, PhoenixKeyError> {
        let secret = secret_key_base.as_ref();
        let (len, len_min) = (secret.len(), SECRET_LEN_MIN);
        if len < len_min {
            return Err(PhoenixKeyError::SecretTooShort { len, len_min });
        }
        let derivation = Derivation {
            digest: KeyDigest::default(),
            iterations: 1000,
            len: 32,
        };
        Ok(Self {
            keys: Arc::new(DerivedKeys::new(secret.into(), derivation)),
            max_age: MAX_AGE.into(),
            leeway: LEEWAY,
        })
    }

    /// The hash with which keys are derived, `key_digest` in Phoenix. Default:
    /// SHA-256.
    #[must_use]
    pub fn key_digest(self, digest: KeyDigest) -> Self {
        let derivation = self.keys.derivation();
        self.derived(Derivation {
            digest,
            ..derivation
        })
    }

    /// The iterations with which keys are derived, `key_iterations` in Phoenix.
    /// Default: 1000. They are made once for each salt, of which 64 are
    /// remembered.
    ///
    /// # Errors
    ///
    /// [`PhoenixKeyError`] if there are none.
    pub fn key_iterations(self, iterations: u32) -> Result<Self, PhoenixKeyError> {
        if iterations == 0 {
            return Err(PhoenixKeyError::NoIterations);
        }
        let derivation = self.keys.derivation();
        Ok(self.derived(Derivation {
            iterations,
            ..derivation
        }))
    }

    /// The bytes of a key, 16 to 1024, `key_length` in Phoenix. Default: 32,
    /// without which nothing can be encrypted.
    ///
    /// # Errors
    ///
    /// [`PhoenixKeyError`] if it is too short or too long.
    pub fn key_length(self, len: usize) -> Result<Self, PhoenixKeyError> {
        let (len_min, len_max) = (KEY_LEN_MIN, KEY_LEN_MAX);
        if !(len_min..=len_max).contains(&len) {
            return Err(PhoenixKeyError::KeyLength {
                len,
                len_min,
                len_max,
            });
        }
        let derivation = self.keys.derivation();
        Ok(self.derived(Derivation { len, ..derivation }))
    }

    /// How old the tokens that are made may become; it is written into them.
    /// Default: a day.
    #[must_use]
    pub fn max_age(mut self, max_age: impl Into<MaxAge>) -> Self {
        self.max_age = max_age.into();
        self
    }

    /// By how much a token may have been signed in the future, because the
    /// clocks of issuer and workers differ. Default: 30 s. It makes no token
    /// live longer.
    #[must_use]
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// Makes a token that is signed now: whoever has it can read the data, and
    /// not change them.
    ///
    /// # Errors
    ///
    /// [`PhoenixSignError`] if the data are too much or no Erlang term.
    pub fn sign<T: Serialize + ?Sized>(
        &self,
        salt: &str,
        data: &T,
    ) -> Result<String, PhoenixSignError> {
        self.sign_at(salt, data, wall::now())
    }

    /// As [`sign`](Self::sign), at a time since 1970 (`signed_at` in Phoenix).
    ///
    /// # Errors
    ///
    /// As [`sign`](Self::sign).
    pub fn sign_at<T: Serialize + ?Sized>(
        &self,
        salt: &str,
        data: &T,
        signed_at: Duration,
    ) -> Result<String, PhoenixSignError> {
        let payload = payload::write(Term::of(data)?, signed_at, self.max_age)?;
        short(signer::sign(&self.keys.key(salt), &payload))
    }

    /// Makes a token that is signed now and that nobody can read without the
    /// secret. No two are alike.
    ///
    /// # Errors
    ///
    /// [`PhoenixSignError`] if the data are too much or no Erlang term, or the
    /// keys are not of 32 bytes.
    pub fn encrypt<T: Serialize + ?Sized>(
        &self,
        salt: &str,
        data: &T,
    ) -> Result<String, PhoenixSignError> {
        self.encrypt_at(salt, data, wall::now())
    }

    /// As [`encrypt`](Self::encrypt), at a time since 1970 (`signed_at` in
    /// Phoenix).
    ///
    /// # Errors
    ///
    /// As [`encrypt`](Self::encrypt).
    pub fn encrypt_at<T: Serialize + ?Sized>(
        &self,
        salt: &str,
        data: &T,
        signed_at: Duration,
    ) -> Result<String, PhoenixSignError> {
        let payload = payload::write(Term::of(data)?, signed_at, self.max_age)?;
        let expected = cipher::KEY_LEN;
        let token = cipher::encrypt(&self.keys.key(salt), &payload);
        short(token.ok_or(PhoenixSignError::KeyLength { expected })?)
    }

    /// The data of a signed token, if it is good now and no older than it says
    /// itself. Where there may be no token, give an `Option`.
    ///
    /// # Errors
    ///
    /// [`PhoenixTokenError`] says what is wrong with it.
    pub fn verify<'t, T: DeserializeOwned>(
        &self,
        salt: &str,
        token: impl Into<Option<&'t str>>,
    ) -> Result<T, PhoenixTokenError> {
        self.open(signer::open, salt, token.into(), None)
    }

    /// The data of a signed token, if it is good now and no older than is said
    /// here, whatever it says itself.
    ///
    /// # Errors
    ///
    /// [`PhoenixTokenError`] says what is wrong with it.
    pub fn verify_within<'t, T: DeserializeOwned>(
        &self,
        salt: &str,
        token: impl Into<Option<&'t str>>,
        max_age: impl Into<MaxAge>,
    ) -> Result<T, PhoenixTokenError> {
        self.open(signer::open, salt, token.into(), Some(max_age.into()))
    }

    /// The data of an encrypted token, as [`verify`](Self::verify).
    ///
    /// # Errors
    ///
    /// As [`verify`](Self::verify).
    pub fn decrypt<'t, T: DeserializeOwned>(
        &self,
        salt: &str,
        token: impl Into<Option<&'t str>>,
    ) -> Result<T, PhoenixTokenError> {
        self.open(cipher::decrypt, salt, token.into(), None)
    }

    /// The data of an encrypted token, as
    /// [`verify_within`](Self::verify_within).
    ///
    /// # Errors
    ///
    /// As [`verify`](Self::verify).
    pub fn decrypt_within<'t, T: DeserializeOwned>(
        &self,
        salt: &str,
        token: impl Into<Option<&'t str>>,
        max_age: impl Into<MaxAge>,
    ) -> Result<T, PhoenixTokenError> {
        self.open(cipher::decrypt, salt, token.into(), Some(max_age.into()))
    }

    fn open<T: DeserializeOwned>(
        &self,
        payload_of: fn(&[u8], &str) -> Option<Vec<u8>>,
        salt: &str,
        token: Option<&str>,
        max_age: Option<MaxAge>,
    ) -> Result<T, PhoenixTokenError> {
        let token = token.ok_or(PhoenixTokenError::Missing)?;
        if token.len() > TOKEN_LEN_MAX {
            return Err(PhoenixTokenError::Invalid);
        }
        let payload = payload_of(&self.keys.key(salt), token).ok_or(PhoenixTokenError::Invalid)?;
        let data = payload::read(&payload, max_age, wall::now(), self.leeway)?;
        data.into_data()
            .map_err(|path| PhoenixTokenError::Data { path })
    }

    fn derived(mut self, derivation: Derivation) -> Self {
        self.keys = Arc::new(self.keys.with(derivation));
        self
    }
}

/// How keys are derived; never the secret.
impl fmt::Debug for PhoenixTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PhoenixTokens")
            .field("derivation", &self.keys.derivation())
            .field("max_age", &self.max_age)
            .field("leeway", &self.leeway)
            .finish_non_exhaustive()
    }
}

fn short(token: String) -> Result<String, PhoenixSignError> {
    let (len, len_max) = (token.len(), TOKEN_LEN_MAX);
    if len > len_max {
        return Err(PhoenixSignError::TooLong { len, len_max });
    }
    Ok(token)
}

#[cfg(test)]
mod tests;
