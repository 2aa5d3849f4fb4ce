//! A set of keys: makes tokens, and says which ones are good.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use super::claims::Registered;
use super::{Algorithm, Claims, Key, KeyError, SignError, TokenError};
use crate::wall;

/// Keys that a set has at most: so many are tried for a token that names none.
const KEYS_LEN_MAX: usize = 32;

/// The longest token that is read: a header field of most servers holds no more.
const TOKEN_LEN_MAX: usize = 8 << 10;

/// By how much the clocks of issuer and workers may differ.
const LEEWAY: Duration = Duration::from_secs(30);

/// A set of keys for tokens: the first signs, all verify.
///
/// To replace a key, put the new one in front, give it an id, and drop the old
/// one when its last token has expired. Cloning is cheap.
///
/// ```
/// use std::time::Duration;
///
/// use serde::{Deserialize, Serialize};
/// use towpath_worker::{Algorithm, Key, Keys, TokenError};
///
/// #[derive(Serialize, Deserialize)]
/// struct User {
///     sub: String,
///     admin: bool,
/// }
///
/// let new = Key::secret(Algorithm::Hs256, [7; 32])?.id("2026-11");
/// let old = Key::secret(Algorithm::Hs256, [3; 32])?.id("2026-10");
/// let keys = Keys::new([new, old])?;
///
/// let ada = User { sub: "ada".to_owned(), admin: true };
/// let token = keys.sign(&ada, Duration::from_secs(900))?;
/// let claims = keys.verify::<User>(&token)?;
/// assert!(claims.admin);
/// assert_eq!(claims.subject(), Some("ada"));
///
/// let other = Keys::hs256([9; 32])?;
/// assert_eq!(other.verify::<User>(&token).unwrap_err(), TokenError::BadSignature);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Keys {
    keys: Arc<[Key]>,
    audience: Vec<String>,
    issuer: Vec<String>,
    leeway: Duration,
}

impl Keys {
    /// A set of keys, 32 at most.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if there are none or too many, or two have the same id.
    pub fn new(keys: impl IntoIterator<Item = Key>) -> Result<Self, KeyError> {
        let keys: Arc<[Key]> = keys.into_iter().collect();
        let (len, len_max) = (keys.len(), KEYS_LEN_MAX);
        if len == 0 {
            return Err(KeyError::NoKeys);
        }
        if len > len_max {
            return Err(KeyError::TooMany { len, len_max });
        }
        let mut ids: Vec<&str> = keys.iter().filter_map(Key::known_as).collect();
        ids.sort_unstable();
        let mut pairs = ids.windows(2);
        let repeated = pairs.find_map(|pair| match pair {
            [one, other] if one == other => Some((*one).to_owned()),
            _ => None,
        });
        if let Some(id) = repeated {
            return Err(KeyError::Repeated { id });
        }
        Ok(Self {
            keys,
            audience: Vec::new(),
            issuer: Vec::new(),
            leeway: LEEWAY,
        })
    }

    /// One secret of at least 32 random bytes, without an id.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if it is too short.
    pub fn hs256(secret: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        Self::new([Key::secret(Algorithm::Hs256, secret)?])
    }

    /// For whom tokens have to be (`aud`), one of those that were said. Without
    /// it, a token that is for anybody in particular is refused
    /// (RFC 7519 §4.1.3).
    #[must_use]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience.push(audience.into());
        self
    }

    /// By whom tokens have to be issued (`iss`), one of those that were said.
    /// Without it, anybody who has the key.
    #[must_use]
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer.push(issuer.into());
        self
    }

    /// By how much the clocks of issuer and workers may differ, where `exp` and
    /// `nbf` are looked at. Default: 30 s.
    #[must_use]
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// Makes a token that is valid from now on for as long as `ttl`. `exp` and
    /// `iat` are set; `iss` and `aud`, where they are expected and the claims
    /// have none.
    ///
    /// # Errors
    ///
    /// [`SignError`] if the first key is a public one, or the claims are no
    /// JSON object.
    pub fn sign<T: Serialize + ?Sized>(
        &self,
        claims: &T,
        ttl: Duration,
    ) -> Result<String, SignError> {
        self.sign_at(claims, ttl, wall::now())
    }

    /// As [`sign`](Self::sign), at a time since 1970.
    ///
    /// # Errors
    ///
    /// As [`sign`](Self::sign).
    pub fn sign_at<T: Serialize + ?Sized>(
        &self,
        claims: &T,
        ttl: Duration,
        now: Duration,
    ) -> Result<String, SignError> {
        let claims = serde_json::to_value(claims);
        let claims = claims.map_err(|error| SignError::Failed(error.into()))?;
        let Value::Object(mut claims) = claims else {
            return Err(SignError::NotAnObject);
        };
        claims.insert("iat".to_owned(), now.as_secs().into());
        let expires_at = now.saturating_add(ttl).as_secs();
        claims.insert("exp".to_owned(), expires_at.into());
        for (name, expected) in [("iss", &self.issuer), ("aud", &self.audience)] {
            if let Some(first) = expected.first() {
                claims
                    .entry(name)
                    .or_insert_with(|| Value::String(first.clone()));
            }
        }
        let first = self.keys.first().ok_or(SignError::CannotSign)?;
        first.sign(&claims)
    }

    /// What a token says, if it is good now. `exp` is required.
    ///
    /// # Errors
    ///
    /// [`TokenError`] says what is wrong with it.
    pub fn verify<T: DeserializeOwned>(&self, token: &str) -> Result<Claims<T>, TokenError> {
        self.verify_at(token, wall::now())
    }

    /// As [`verify`](Self::verify), at a time since 1970.
    ///
    /// # Errors
    ///
    /// As [`verify`](Self::verify).
    pub fn verify_at<T: DeserializeOwned>(
        &self,
        token: &str,
        now: Duration,
    ) -> Result<Claims<T>, TokenError> {
        let claims = self.open(token)?;
        self.expect(&Registered::read(&claims)?, now)?;
        Claims::read(claims)
    }

    /// Whether a token's time is over.
    pub(super) fn is_over(&self, expires_at: Duration, now: Duration) -> bool {
        now >= expires_at.saturating_add(self.leeway)
    }

    /// The claims of a token that one of the keys has signed.
    fn open(&self, token: &str) -> Result<Box<RawValue>, TokenError> {
        let (len, len_max) = (token.len(), TOKEN_LEN_MAX);
        if len > len_max {
            return Err(TokenError::TooLong { len, len_max });
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Malformed)?;
        // Extensions that have to be understood (RFC 7515 §4.1.11): none is.
        if header.crit.is_some() {
            return Err(TokenError::Malformed);
        }
        let mut refused = TokenError::UnknownKey;
        for key in self.keys.iter() {
            if !key.may_be(header.kid.as_deref()) {
                continue;
            }
            if !key.signs_by(header.alg) {
                if refused == TokenError::UnknownKey {
                    refused = TokenError::Algorithm;
                }
                continue;
            }
            match key.open(token) {
                Ok(claims) => return Ok(claims),
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }

    fn expect(&self, claims: &Registered, now: Duration) -> Result<(), TokenError> {
        if self.is_over(claims.expires_at()?, now) {
            return Err(TokenError::Expired);
        }
        if claims.valid_from()? > now.saturating_add(self.leeway) {
            return Err(TokenError::NotYetValid);
        }
        let issuers = &self.issuer;
        let is_expected = |issuer| issuers.iter().any(|expected| expected == issuer);
        if !issuers.is_empty() && !claims.issuer().is_some_and(is_expected) {
            return Err(TokenError::Issuer);
        }
        let audience = claims.audience();
        let is_for_all = audience.is_empty() && self.audience.is_empty();
        if !is_for_all && !audience.iter().any(|one| self.audience.contains(one)) {
            return Err(TokenError::Audience);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
