//! Tokens of a Phoenix application: any text, and genuine ones with any payload.
#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use libfuzzer_sys::fuzz_target;
use sha2::Sha256;
use towpath_worker::{MaxAge, PhoenixTokens, Term};

const SECRET: &str = "a secret that is long enough";
const SALT: &str = "salt";

/// How the key is derived, as in Phoenix if nothing else is said.
const ITERATIONS: u32 = 1000;
const KEY_LEN: usize = 32;

/// What stands around the data of a payload: `{data, 0, infinity}`.
const BEFORE: &[u8] = &[131, 104, 3];
const AFTER: &[u8] = b"\x61\x00\x77\x08infinity";

static TOKENS: LazyLock<PhoenixTokens> =
    LazyLock::new(|| PhoenixTokens::new(SECRET).expect("the secret is long enough"));

static KEY: LazyLock<[u8; KEY_LEN]> = LazyLock::new(|| {
    let mut key = [0; KEY_LEN];
    pbkdf2::pbkdf2_hmac::<Sha256>(SECRET.as_bytes(), SALT.as_bytes(), ITERATIONS, &mut key);
    key
});

fn signed(payload: &[u8]) -> String {
    let mut token = format!("SFMyNTY.{}", BASE64.encode(payload));
    let mut mac = Hmac::<Sha256>::new_from_slice(&*KEY).expect("keys have any length");
    mac.update(token.as_bytes());
    let signature = mac.finalize().into_bytes();
    token.push('.');
    BASE64.encode_string(signature, &mut token);
    token
}

/// Terms and their bytes.
fn size(term: &Term) -> usize {
    1 + match term {
        Term::Integer(_) | Term::Float(_) => 0,
        Term::Atom(name) => name.len(),
        Term::Binary(bytes) => bytes.len(),
        Term::Tuple(terms) | Term::List(terms) => terms.iter().map(size).sum(),
        Term::Map(entries) => entries
            .iter()
            .map(|(key, value)| size(key) + size(value))
            .sum(),
    }
}

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        TOKENS
            .verify::<Term>(SALT, text)
            .expect_err("nobody has signed it");
        TOKENS
            .decrypt::<Term>(SALT, text)
            .expect_err("nobody has encrypted it");
    }
    let token = signed(bytes);
    let any = TOKENS.verify_within::<Term>(SALT, token.as_str(), MaxAge::Infinity);
    let payload = [BEFORE, bytes, AFTER].concat();
    let data = TOKENS.verify_within::<Term>(SALT, signed(&payload).as_str(), MaxAge::Infinity);
    for term in [any, data].into_iter().flatten() {
        // An atom of Latin-1 has up to twice as many bytes in UTF-8.
        assert!(size(&term) <= 2 * bytes.len());
        let again = TOKENS.sign_at(SALT, &term, Duration::from_secs(1)).ok();
        let read =
            again.map(|token| TOKENS.verify_within::<Term>(SALT, token.as_str(), MaxAge::Infinity));
        assert!(read.is_none_or(|read| read == Ok(term)));
    }
});
