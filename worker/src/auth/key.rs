//! One key: what it is for is said once, and never by a token.

use std::fmt;
use std::sync::Once;

use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
use jsonwebtoken::errors::{Error as JwtError, ErrorKind};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{AlgorithmFamily, DecodingKey, EncodingKey, Header, Validation};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::{Algorithm, KeyError, SignError, TokenError};

const PUBLIC: &str = "a public key in PEM (SPKI, `BEGIN PUBLIC KEY`)";
const PRIVATE: &str = "a private key in PEM (PKCS #8, `BEGIN PRIVATE KEY`)";

/// A key for tokens: a secret, a public key that can only verify, or a private
/// key that signs as well. It has one algorithm; a token that names another one
/// is refused.
#[derive(Clone)]
pub struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    verifying: DecodingKey,
    signing: Option<EncodingKey>,
    validation: Validation,
}

impl Key {
    /// A secret that signs and verifies, of random bytes: 32 at least for
    /// HS256, 48 for HS384, 64 for HS512.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if it is too short, or the algorithm takes no secret.
    pub fn secret(algorithm: Algorithm, secret: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        let secret = secret.as_ref();
        let Some(len_min) = algorithm.secret_len_min() else {
            let expected = "a key in PEM and no secret";
            return Err(KeyError::Kind {
                algorithm,
                expected,
            });
        };
        let len = secret.len();
        if len < len_min {
            return Err(KeyError::TooShort {
                algorithm,
                len,
                len_min,
            });
        }
        let signing = EncodingKey::from_secret(secret);
        Ok(Self::new(
            algorithm,
            DecodingKey::from_secret(secret),
            Some(signing),
        ))
    }

    /// A public key in PEM (`BEGIN PUBLIC KEY`), which can only verify.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if it is no such key.
    pub fn public_pem(algorithm: Algorithm, pem: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        let pem = pem.as_ref();
        // An RSA key is read from either kind of text, and would verify nothing.
        if pem.windows(7).any(|word| word == b"PRIVATE") {
            let expected = "a public key here; Key::private_pem takes a private one";
            return Err(KeyError::Kind {
                algorithm,
                expected,
            });
        }
        let read = match algorithm.jws().family() {
            AlgorithmFamily::Hmac => return Err(takes_a_secret(algorithm)),
            AlgorithmFamily::Rsa => DecodingKey::from_rsa_pem(pem),
            AlgorithmFamily::Ec => DecodingKey::from_ec_pem(pem),
            AlgorithmFamily::Ed => DecodingKey::from_ed_pem(pem),
        };
        let verifying = read.map_err(|error| unreadable(algorithm, PUBLIC, error))?;
        let len = verifying.try_get_as_bytes().map_or(0, <[u8]>::len);
        if algorithm
            .public_len()
            .is_some_and(|expected| expected != len)
        {
            let error = JwtError::from(ErrorKind::InvalidKeyFormat);
            return Err(unreadable(algorithm, PUBLIC, error));
        }
        Ok(Self::new(algorithm, verifying, None))
    }

    /// A private key in PEM (PKCS #8, `BEGIN PRIVATE KEY`), which signs and
    /// verifies.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if it is no such key.
    pub fn private_pem(algorithm: Algorithm, pem: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        install_provider();
        let pem = pem.as_ref();
        let read = match algorithm.jws().family() {
            AlgorithmFamily::Hmac => return Err(takes_a_secret(algorithm)),
            AlgorithmFamily::Rsa => EncodingKey::from_rsa_pem(pem),
            AlgorithmFamily::Ec => EncodingKey::from_ec_pem(pem),
            AlgorithmFamily::Ed => EncodingKey::from_ed_pem(pem),
        };
        let fail = |error| unreadable(algorithm, PRIVATE, error);
        let signing = read.map_err(fail)?;
        let public = Jwk::from_encoding_key(&signing, algorithm.jws()).map_err(fail)?;
        let verifying = DecodingKey::from_jwk(&public).map_err(fail)?;
        Ok(Self::new(algorithm, verifying, Some(signing)))
    }

    fn new(algorithm: Algorithm, verifying: DecodingKey, signing: Option<EncodingKey>) -> Self {
        install_provider();
        Self {
            id: None,
            algorithm,
            verifying,
            signing,
            validation: signature_only(algorithm),
        }
    }

    /// Gives the key an id (`kid`): tokens that it signs name it, and tokens
    /// that name another one are not verified by it. A key without an id
    /// verifies whatever fits.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    pub(super) fn known_as(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Whether a token that names a key, or none, can be this key's.
    pub(super) fn may_be(&self, id: Option<&str>) -> bool {
        id.is_none() || self.id.is_none() || self.id.as_deref() == id
    }

    pub(super) fn signs_by(&self, algorithm: jsonwebtoken::Algorithm) -> bool {
        self.algorithm.jws() == algorithm
    }

    /// The claims of a token that this key has signed.
    pub(super) fn open(&self, token: &str) -> Result<Box<RawValue>, TokenError> {
        let opened = jsonwebtoken::decode(token, &self.verifying, &self.validation);
        match opened {
            Ok(token) => Ok(token.claims),
            Err(error) => Err(match error.kind() {
                ErrorKind::InvalidSignature => TokenError::BadSignature,
                ErrorKind::InvalidAlgorithm => TokenError::Algorithm,
                _ => TokenError::Malformed,
            }),
        }
    }

    pub(super) fn sign(&self, claims: &Map<String, Value>) -> Result<String, SignError> {
        let signing = self.signing.as_ref().ok_or(SignError::CannotSign)?;
        let header = Header {
            kid: self.id.clone(),
            ..Header::new(self.algorithm.jws())
        };
        let signed = jsonwebtoken::encode(&header, claims, signing);
        signed.map_err(|error| SignError::Failed(error.into()))
    }
}

/// By its id and algorithm; never the key itself.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("id", &self.id)
            .field("algorithm", &self.algorithm)
            .field("signs", &self.signing.is_some())
            .finish_non_exhaustive()
    }
}

/// Everything but the signature is checked by ourselves: the times, because
/// they are measured by a clock that a test can move.
fn signature_only(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm.jws());
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation
}

/// Where another crate of the application has switched on the other provider as
/// well, none is chosen by itself, and the first token would panic.
fn install_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if DEFAULT_PROVIDER.install_default().is_err() {
            tracing::debug!("tokens are verified by the provider that was installed before");
        }
    });
}

fn takes_a_secret(algorithm: Algorithm) -> KeyError {
    KeyError::Kind {
        algorithm,
        expected: "a secret: Key::secret",
    }
}

fn unreadable(algorithm: Algorithm, expected: &'static str, error: JwtError) -> KeyError {
    KeyError::Unreadable {
        algorithm,
        expected,
        source: error.into(),
    }
}
