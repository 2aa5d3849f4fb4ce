//! Signed tokens: `<algorithm>.<payload>.<signature>`, each in base64url.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use hmac::{EagerHash, Hmac, KeyInit, Mac};
use sha2::{Sha256, Sha384, Sha512};

/// `HS256` in base64url.
const HS256: &str = "SFMyNTY";
/// `HS384` in base64url.
const HS384: &str = "SFMzODQ";
/// `HS512` in base64url.
const HS512: &str = "SFM1MTI";

/// A token by HMAC-SHA256: `Phoenix.Token` signs with no other.
pub(super) fn sign(key: &[u8], payload: &[u8]) -> String {
    sealed::<Sha256>(HS256, key, payload)
}

/// The payload of a token that this key has signed. As in Phoenix, it may have
/// been signed with a longer hash.
pub(super) fn open(key: &[u8], token: &str) -> Option<Vec<u8>> {
    let (text, signature) = token.rsplit_once('.')?;
    let (algorithm, payload) = text.split_once('.')?;
    let signature = BASE64.decode(signature).ok()?;
    let is_genuine = match algorithm {
        HS256 => is_by::<Sha256>(key, text, &signature),
        HS384 => is_by::<Sha384>(key, text, &signature),
        HS512 => is_by::<Sha512>(key, text, &signature),
        _ => false,
    };
    if is_genuine {
        BASE64.decode(payload).ok()
    } else {
        None
    }
}

fn sealed<D: EagerHash>(algorithm: &str, key: &[u8], payload: &[u8]) -> String {
    let mut token = format!("{algorithm}.");
    BASE64.encode_string(payload, &mut token);
    let signature = mac::<D>(key, &token).finalize().into_bytes();
    token.push('.');
    BASE64.encode_string(signature, &mut token);
    token
}

/// Takes the same time wherever the signatures differ.
fn is_by<D: EagerHash>(key: &[u8], text: &str, signature: &[u8]) -> bool {
    mac::<D>(key, text).verify_slice(signature).is_ok()
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
fn mac<D: EagerHash>(key: &[u8], text: &str) -> Hmac<D> {
    let mut mac = Hmac::<D>::new_from_slice(key).expect("HMAC takes keys of every length");
    Mac::update(&mut mac, text.as_bytes());
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8] = &[7; 32];

    #[test]
    fn a_token_by_a_longer_hash_is_opened_too() {
        for token in [
            sealed::<Sha384>(HS384, KEY, b"payload"),
            sealed::<Sha512>(HS512, KEY, b"payload"),
        ] {
            assert_eq!(open(KEY, &token).as_deref(), Some(b"payload".as_slice()));
            assert_eq!(open(&[8; 32], &token), None);
        }
    }

    #[test]
    fn the_algorithm_is_part_of_what_is_signed() {
        let token = sealed::<Sha256>(HS384, KEY, b"payload");
        assert_eq!(open(KEY, &token), None);
        let token = sign(KEY, b"payload").replacen(HS256, HS512, 1);
        assert_eq!(open(KEY, &token), None);
    }
}
