//! Keys, one for each salt, derived from the secret as Plug does it.

use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;
use parking_lot::Mutex;
use pbkdf2::pbkdf2_hmac;
use sha2::{Sha256, Sha384, Sha512};

/// Salts whose keys are remembered; an application has a handful. Of more, the
/// one unused for longest is forgotten, and derived again when it is needed.
const SALTS_MAX: NonZeroUsize = NonZeroUsize::new(64).unwrap();

/// The hash with which keys are derived (`key_digest`). It does not change how
/// tokens are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum KeyDigest {
    /// SHA-256, which Phoenix takes if nothing is said.
    #[default]
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

/// How a key comes from secret and salt (PBKDF2, RFC 8018 §5.2).
#[derive(Debug, Clone, Copy)]
pub(super) struct Derivation {
    pub(super) digest: KeyDigest,
    pub(super) iterations: u32,
    pub(super) len: usize,
}

impl Derivation {
    fn derive(self, secret: &[u8], salt: &[u8]) -> Box<[u8]> {
        let mut key = vec![0; self.len].into_boxed_slice();
        let derive = match self.digest {
            KeyDigest::Sha256 => pbkdf2_hmac::<Sha256>,
            KeyDigest::Sha384 => pbkdf2_hmac::<Sha384>,
            KeyDigest::Sha512 => pbkdf2_hmac::<Sha512>,
        };
        derive(secret, salt, self.iterations, &mut key);
        key
    }
}

/// A secret, and the keys that were derived from it.
pub(super) struct DerivedKeys {
    secret: Arc<[u8]>,
    derivation: Derivation,
    known: Mutex<LruCache<Box<str>, Arc<[u8]>>>,
}

impl DerivedKeys {
    pub(super) fn new(secret: Arc<[u8]>, derivation: Derivation) -> Self {
        Self {
            secret,
            derivation,
            known: Mutex::new(LruCache::new(SALTS_MAX)),
        }
    }

    pub(super) fn derivation(&self) -> Derivation {
        self.derivation
    }

    /// The same secret with keys derived in another way.
    pub(super) fn with(&self, derivation: Derivation) -> Self {
        Self::new(Arc::clone(&self.secret), derivation)
    }

    /// The key that belongs to a salt. The first time takes as long as the
    /// iterations take, without keeping anybody else waiting.
    pub(super) fn key(&self, salt: &str) -> Arc<[u8]> {
        if let Some(key) = self.known.lock().get(salt) {
            return Arc::clone(key);
        }
        let key: Arc<[u8]> = self.derivation.derive(&self.secret, salt.as_bytes()).into();
        self.known.lock().put(salt.into(), Arc::clone(&key));
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> DerivedKeys {
        let derivation = Derivation {
            digest: KeyDigest::Sha256,
            iterations: 1,
            len: 32,
        };
        DerivedKeys::new(Arc::from([7; 32].as_slice()), derivation)
    }

    #[test]
    fn a_key_is_derived_once() {
        let keys = keys();
        assert!(Arc::ptr_eq(&keys.key("user auth"), &keys.key("user auth")));
        assert_ne!(keys.key("user auth"), keys.key("room auth"));
    }

    #[test]
    fn the_salt_unused_for_longest_is_forgotten() {
        let keys = keys();
        let first = keys.key("first");
        for salt in 0..SALTS_MAX.get() {
            keys.key(&salt.to_string());
        }
        assert_eq!(keys.known.lock().len(), SALTS_MAX.get());
        let again = keys.key("first");
        assert!(!Arc::ptr_eq(&first, &again));
        assert_eq!(first, again);
    }
}
