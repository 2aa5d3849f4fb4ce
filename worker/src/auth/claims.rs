//! What a verified token says.

use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::TokenError;

/// The claims that have a meaning of their own (RFC 7519 §4.1).
#[derive(Deserialize)]
pub(super) struct Registered {
    sub: Option<String>,
    exp: Option<f64>,
    nbf: Option<f64>,
    iss: Option<String>,
    aud: Option<OneOrMany>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl Registered {
    pub(super) fn read(claims: &RawValue) -> Result<Self, TokenError> {
        serde_json::from_str(claims.get()).map_err(|_| TokenError::Malformed)
    }

    /// When the token ends, since 1970.
    pub(super) fn expires_at(&self) -> Result<Duration, TokenError> {
        date(self.exp.ok_or(TokenError::NoExpiry)?)
    }

    /// From when on the token is valid, since 1970.
    pub(super) fn valid_from(&self) -> Result<Duration, TokenError> {
        self.nbf.map_or(Ok(Duration::ZERO), date)
    }

    pub(super) fn into_subject(self) -> Option<String> {
        self.sub
    }

    pub(super) fn issuer(&self) -> Option<&str> {
        self.iss.as_deref()
    }

    pub(super) fn audience(&self) -> &[String] {
        match &self.aud {
            None => &[],
            Some(OneOrMany::One(one)) => std::slice::from_ref(one),
            Some(OneOrMany::Many(many)) => many,
        }
    }
}

fn date(seconds: f64) -> Result<Duration, TokenError> {
    Duration::try_from_secs_f64(seconds).map_err(|_| TokenError::Malformed)
}

/// What a verified token says: the application's own claims, which it
/// dereferences to, and those that every token has.
pub struct Claims<T> {
    custom: T,
    subject: Option<String>,
    expires_at: Duration,
    json: Box<RawValue>,
}

impl<T: DeserializeOwned> Claims<T> {
    /// Reads claims that were verified.
    pub(super) fn read(json: Box<RawValue>) -> Result<Self, TokenError> {
        let registered = Registered::read(&json)?;
        let expires_at = registered.expires_at()?;
        let mut reader = serde_json::Deserializer::from_str(json.get());
        // What the reader says of a value may repeat it; where it stands does not.
        let custom = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
            let path = error.path().to_string();
            TokenError::Claims { path }
        })?;
        Ok(Self {
            custom,
            subject: registered.sub,
            expires_at,
            json,
        })
    }
}

impl<T> Claims<T> {
    /// The application's own claims.
    #[must_use]
    pub fn custom(&self) -> &T {
        &self.custom
    }

    /// The application's own claims.
    #[must_use]
    pub fn into_custom(self) -> T {
        self.custom
    }

    /// Whom the token is about (`sub`).
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// When the token ends (`exp`), since 1970.
    #[must_use]
    pub fn expires_at(&self) -> Duration {
        self.expires_at
    }

    /// All claims, as they were signed.
    pub(super) fn json(&self) -> &str {
        self.json.get()
    }
}

impl<T> Deref for Claims<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.custom
    }
}

/// Without what the token says.
impl<T> fmt::Debug for Claims<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claims")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}
