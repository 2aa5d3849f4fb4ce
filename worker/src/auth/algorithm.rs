//! The algorithms by which tokens are signed.

use std::fmt;

use jsonwebtoken::Algorithm as Jws;

/// How a token is signed (RFC 7518 §3.1). There is no `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// A shared secret, HMAC with SHA-256.
    Hs256,
    /// A shared secret, HMAC with SHA-384.
    Hs384,
    /// A shared secret, HMAC with SHA-512.
    Hs512,
    /// A key pair, ECDSA on P-256.
    Es256,
    /// A key pair, ECDSA on P-384.
    Es384,
    /// A key pair, Ed25519.
    EdDsa,
    /// A key pair, RSA PKCS #1 with SHA-256.
    Rs256,
    /// A key pair, RSA PKCS #1 with SHA-384.
    Rs384,
    /// A key pair, RSA PKCS #1 with SHA-512.
    Rs512,
    /// A key pair, RSA PSS with SHA-256.
    Ps256,
    /// A key pair, RSA PSS with SHA-384.
    Ps384,
    /// A key pair, RSA PSS with SHA-512.
    Ps512,
}

impl Algorithm {
    pub(super) fn jws(self) -> Jws {
        match self {
            Self::Hs256 => Jws::HS256,
            Self::Hs384 => Jws::HS384,
            Self::Hs512 => Jws::HS512,
            Self::Es256 => Jws::ES256,
            Self::Es384 => Jws::ES384,
            Self::EdDsa => Jws::EdDSA,
            Self::Rs256 => Jws::RS256,
            Self::Rs384 => Jws::RS384,
            Self::Rs512 => Jws::RS512,
            Self::Ps256 => Jws::PS256,
            Self::Ps384 => Jws::PS384,
            Self::Ps512 => Jws::PS512,
        }
    }

    /// The bytes that a secret has at least: as many as the hash (RFC 7518 §3.2).
    pub(super) fn secret_len_min(self) -> Option<usize> {
        match self {
            Self::Hs256 => Some(32),
            Self::Hs384 => Some(48),
            Self::Hs512 => Some(64),
            _ => None,
        }
    }

    /// The bytes of a public key whose length says its curve.
    pub(super) fn public_len(self) -> Option<usize> {
        match self {
            Self::Es256 => Some(65),
            Self::Es384 => Some(97),
            Self::EdDsa => Some(32),
            _ => None,
        }
    }
}

/// As a token's header names it.
impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.jws(), f)
    }
}
