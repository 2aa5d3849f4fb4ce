//! Encrypted tokens: `XCP.` and, in base64url, nonce, tag and ciphertext of
//! XChaCha20-Poly1305.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use chacha20poly1305::{AeadInOut, KeyInit, Tag, XChaCha20Poly1305, XNonce};

const PREFIX: &str = "XCP.";

/// What is authenticated beside the text: the name of the cipher that Plug used
/// before, which it has kept.
const ADDITIONAL_DATA: &[u8] = b"A128GCM";

const NONCE_LEN: usize = 24;
const TAG_LEN: usize = 16;

/// The only length of a key.
pub(super) const KEY_LEN: usize = 32;

/// Encrypts under a nonce that nobody has used: random, and long enough never to
/// come twice. `None` if the key is not of that one length.
pub(super) fn encrypt(key: &[u8], payload: &[u8]) -> Option<String> {
    encrypt_with(key, payload, rand::random())
}

pub(super) fn encrypt_with(key: &[u8], payload: &[u8], nonce: [u8; NONCE_LEN]) -> Option<String> {
    let cipher = XChaCha20Poly1305::new_from_slice(key).ok()?;
    let mut text = payload.to_vec();
    let tag = cipher
        .encrypt_inout_detached(
            &XNonce::from(nonce),
            ADDITIONAL_DATA,
            text.as_mut_slice().into(),
        )
        .ok()?;
    let sealed = [nonce.as_slice(), tag.as_slice(), text.as_slice()].concat();
    let mut token = PREFIX.to_owned();
    BASE64.encode_string(sealed, &mut token);
    Some(token)
}

/// The payload of a token that was encrypted with this key.
pub(super) fn decrypt(key: &[u8], token: &str) -> Option<Vec<u8>> {
    let cipher = XChaCha20Poly1305::new_from_slice(key).ok()?;
    let sealed = BASE64.decode(token.strip_prefix(PREFIX)?).ok()?;
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>()?;
    let (tag, text) = sealed.split_first_chunk::<TAG_LEN>()?;
    let mut text = text.to_vec();
    cipher
        .decrypt_inout_detached(
            &XNonce::from(*nonce),
            ADDITIONAL_DATA,
            text.as_mut_slice().into(),
            &Tag::from(*tag),
        )
        .ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_token_is_like_another() {
        let tokens = [0; 2].map(|_| encrypt(&[7; KEY_LEN], b"payload").unwrap());
        assert_ne!(tokens[0], tokens[1]);
        for token in tokens {
            let payload = decrypt(&[7; KEY_LEN], &token);
            assert_eq!(payload.as_deref(), Some(b"payload".as_slice()));
        }
    }

    #[test]
    fn a_key_of_another_length_does_nothing() {
        assert_eq!(encrypt(&[7; 16], b"payload"), None);
        let token = encrypt(&[7; KEY_LEN], b"payload").unwrap();
        assert_eq!(decrypt(&[7; 16], &token), None);
    }
}
