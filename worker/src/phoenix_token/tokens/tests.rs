//! What makes a token good, and all that does not.

use proptest::prelude::*;

use super::*;
use PhoenixTokenError::{Expired, Invalid, Missing};

/// 64 times `a`, as the vectors have it.
const SECRET: [u8; 64] = [b'a'; 64];
const SALT: &str = "user auth";

/// The two kinds of tokens, about which the same can be said.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Signed,
    Encrypted,
}

use Kind::{Encrypted, Signed};

impl Kind {
    fn make<T: Serialize>(self, tokens: &PhoenixTokens, data: &T) -> String {
        self.make_at(tokens, data, wall::now())
    }

    fn make_at<T: Serialize>(self, tokens: &PhoenixTokens, data: &T, at: Duration) -> String {
        match self {
            Signed => tokens.sign_at(SALT, data, at).unwrap(),
            Encrypted => tokens.encrypt_at(SALT, data, at).unwrap(),
        }
    }

    fn open(self, tokens: &PhoenixTokens, token: &str) -> Result<u64, PhoenixTokenError> {
        match self {
            Signed => tokens.verify(SALT, token),
            Encrypted => tokens.decrypt(SALT, token),
        }
    }

    fn open_within(
        self,
        tokens: &PhoenixTokens,
        token: &str,
        max_age: impl Into<MaxAge>,
    ) -> Result<u64, PhoenixTokenError> {
        match self {
            Signed => tokens.verify_within(SALT, token, max_age),
            Encrypted => tokens.decrypt_within(SALT, token, max_age),
        }
    }
}

fn tokens() -> PhoenixTokens {
    PhoenixTokens::new(SECRET).unwrap()
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

#[test]
fn tokens_are_those_of_phoenix_to_the_byte() {
    let signed_at = Duration::from_secs(1_700_000_000);
    let one = "SFMyNTY.g2gDYQFuBgAAaOXPiwFiAAFRgA.9gShOaPCMVYklRMi2bi1jGGGEQ1n5rsnhPvGUJk-QLQ";
    let text = "SFMyNTY.g2gDbQAAAAR1LTQybgYAAGjlz4sBYgABUYA.\
                7hMNMQzUAMLcYSqu-k0QKgOvtsVgokGhipXtDgNGbFY";
    let tokens = tokens();
    assert_eq!(tokens.sign_at(SALT, &1, signed_at).unwrap(), one);
    assert_eq!(tokens.sign_at(SALT, "u-42", signed_at).unwrap(), text);
    let endless = MaxAge::Infinity;
    assert_eq!(tokens.verify_within(SALT, one, endless), Ok(1));
    let read = tokens.verify_within(SALT, text, endless);
    assert_eq!(read, Ok("u-42".to_owned()));
    assert_eq!(tokens.verify::<u64>(SALT, one), Err(Expired));
}

/// What Plug.Crypto's steps give in Erlang for `{1, signed_at, 86400}` and the
/// nonce 0, 1, … 23.
#[test]
fn encrypted_tokens_are_those_of_phoenix_to_the_byte() {
    let one = "XCP.AAECAwQFBgcICQoLDA0ODxAREhMUFRYXwVdp-MKK16GDPhZeS0HhinRXgxMyJna5mGwL0sqHfEdrtTw";
    let signed_at = Duration::from_secs(1_700_000_000);
    let payload = payload::write(Term::Integer(1), signed_at, MAX_AGE.into()).unwrap();
    let nonce = std::array::from_fn(|at| u8::try_from(at).unwrap());
    let token = cipher::encrypt_with(&tokens().keys.key(SALT), &payload, nonce);
    assert_eq!(token.as_deref(), Some(one));
    let opened = Encrypted.open_within(&tokens(), one, MaxAge::Infinity);
    assert_eq!(opened, Ok(1));
}

/// Made in Erlang of `#{user_id => 42, name => <<"ada">>, score => 0.5, x => nil,
/// roles => [admin, {since, 2024}]}`, never to expire.
#[test]
fn a_map_of_erlang_is_read_into_a_struct() {
    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct User {
        user_id: u64,
        name: String,
        roles: (String, (String, u16)),
        score: f64,
        x: Option<u8>,
    }
    let token = "SFMyNTY.g2gDdAAAAAVkAARuYW1lbQAAAANhZGFkAAVyb2xlc2wAAAACZAAFYWRtaW5oAmQABXNpbmNl\
                 YgAAB-hqZAAFc2NvcmVGP-AAAAAAAABkAAd1c2VyX2lkYSpkAAF4ZAADbmlsbgYAAGjlz4sBZAAIaW5maW5p\
                 dHk.sGmgzb3JS9qrkAXmVK1BbKDzYhgcp7inh4eJF9f1lG0";
    let since = ("since".to_owned(), 2024);
    let expected = User {
        user_id: 42,
        name: "ada".to_owned(),
        roles: ("admin".to_owned(), since),
        score: 0.5,
        x: None,
    };
    assert_eq!(tokens().verify(SALT, token), Ok(expected));
}

#[test]
fn the_digest_is_that_of_the_key_and_not_of_the_signature() {
    let one = "SFMyNTY.g2gDYQFuBgAAaOXPiwFiAAFRgA.tNtYqQaE1g8bvCtNKV0rWwo5EAIcEjXPiTvg0m0vD2Y";
    let tokens = tokens().key_digest(KeyDigest::Sha512);
    let signed_at = Duration::from_secs(1_700_000_000);
    assert_eq!(tokens.sign_at(SALT, &1, signed_at).unwrap(), one);
}

#[test]
fn what_a_secret_makes_it_opens() {
    let tokens = PhoenixTokens::new("abc123".repeat(5)).unwrap();
    for kind in [Signed, Encrypted] {
        let token = kind.make(&tokens, &1);
        assert_eq!(kind.open(&tokens, &token), Ok(1), "{kind:?}");
        let other = PhoenixTokens::new("abc124".repeat(5)).unwrap();
        assert_eq!(kind.open(&other, &token), Err(Invalid), "{kind:?}");
    }
}

#[test]
fn a_secret_has_20_bytes_at_least() {
    assert!(PhoenixTokens::new([7; 20]).is_ok());
    let short = PhoenixTokens::new([7; 19]).unwrap_err();
    assert_eq!(
        short.to_string(),
        "a secret_key_base has at least 20 bytes, this one has 19"
    );
}

#[test]
fn a_token_that_is_not_there_is_missing() {
    assert_eq!(tokens().verify::<u64>(SALT, None::<&str>), Err(Missing));
    assert_eq!(tokens().decrypt::<u64>(SALT, None::<&str>), Err(Missing));
    let limit = Duration::from_secs(1);
    let missing = tokens().verify_within::<u64>(SALT, None::<&str>, limit);
    assert_eq!(missing, Err(Missing));
}

#[test]
fn garbage_is_invalid() {
    let garbage = [
        "",
        "garbage",
        ".",
        "..",
        "...",
        "SFMyNTY.",
        "SFMyNTY..",
        "XCP.",
        "XCP.AAAA",
    ];
    for kind in [Signed, Encrypted] {
        for token in garbage {
            assert_eq!(
                kind.open(&tokens(), token),
                Err(Invalid),
                "{kind:?} {token}"
            );
        }
        let token = kind.make(&tokens(), &1);
        for token in [
            format!("{token}="),
            format!("{token}."),
            format!(" {token}"),
        ] {
            assert_eq!(
                kind.open(&tokens(), &token),
                Err(Invalid),
                "{kind:?} {token}"
            );
        }
    }
}

#[test]
fn a_token_for_another_purpose_is_invalid() {
    let tokens = tokens();
    let signed = Signed.make(&tokens, &1);
    let encrypted = Encrypted.make(&tokens, &1);
    assert_eq!(tokens.verify::<u64>("not_id", &*signed), Err(Invalid));
    assert_eq!(tokens.decrypt::<u64>("not_id", &*encrypted), Err(Invalid));
    assert_eq!(tokens.verify::<u64>(SALT, &*encrypted), Err(Invalid));
    assert_eq!(tokens.decrypt::<u64>(SALT, &*signed), Err(Invalid));
}

#[tokio::test(start_paused = true)]
async fn the_reader_may_say_how_old_a_token_can_be() {
    let tokens = tokens();
    for kind in [Signed, Encrypted] {
        let token = kind.make(&tokens, &1);
        let within = |limit| kind.open_within(&tokens, &token, seconds(limit));
        assert_eq!(within(1000.0), Ok(1), "{kind:?}");
        assert_eq!(within(0.1), Ok(1), "{kind:?}");
        assert_eq!(within(0.0), Err(Expired), "{kind:?}");
        tokio::time::advance(Duration::from_millis(150)).await;
        assert_eq!(within(0.1), Err(Expired), "{kind:?}");
        assert_eq!(within(1000.0), Ok(1), "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_says_itself_how_old_it_can_be() {
    for kind in [Signed, Encrypted] {
        let short = tokens().max_age(seconds(0.1));
        let token = kind.make(&short, &1);
        assert_eq!(kind.open(&tokens(), &token), Ok(1), "{kind:?}");
        tokio::time::advance(Duration::from_millis(150)).await;
        assert_eq!(kind.open(&tokens(), &token), Err(Expired), "{kind:?}");
        let within = kind.open_within(&tokens(), &token, Duration::from_mins(1));
        assert_eq!(within, Ok(1), "{kind:?}");

        let token = kind.make(&tokens().max_age(Duration::ZERO), &1);
        assert_eq!(kind.open(&tokens(), &token), Err(Expired), "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_lives_for_a_day_if_nothing_is_said() {
    for kind in [Signed, Encrypted] {
        let day = Duration::from_hours(24);
        let token = kind.make(&tokens(), &1);
        tokio::time::advance(day - Duration::from_secs(1)).await;
        assert_eq!(kind.open(&tokens(), &token), Ok(1), "{kind:?}");
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(kind.open(&tokens(), &token), Err(Expired), "{kind:?}");
    }
}

#[test]
fn an_endless_token_never_expires() {
    for kind in [Signed, Encrypted] {
        let endless = tokens().max_age(MaxAge::Infinity);
        let token = kind.make_at(&endless, &1, Duration::ZERO);
        assert_eq!(kind.open(&tokens(), &token), Ok(1), "{kind:?}");
        let hour = Duration::from_hours(1);
        let within = kind.open_within(&tokens(), &token, hour);
        assert_eq!(within, Err(Expired), "{kind:?}");

        let token = kind.make_at(&tokens(), &1, Duration::ZERO);
        let within = kind.open_within(&tokens(), &token, MaxAge::Infinity);
        assert_eq!(within, Ok(1), "{kind:?}");
    }
}

#[test]
fn the_age_counts_from_when_it_was_signed() {
    let day = 24.0 * 60.0 * 60.0;
    for kind in [Signed, Encrypted] {
        let token = kind.make_at(&tokens(), &1, wall::now() - seconds(day));
        let within = |limit| kind.open_within(&tokens(), &token, seconds(limit));
        assert_eq!(within(day + 10.0), Ok(1), "{kind:?}");
        assert_eq!(within(day - 10.0), Err(Expired), "{kind:?}");
    }
}

#[test]
fn a_token_signed_in_the_future_is_invalid() {
    for kind in [Signed, Encrypted] {
        let ahead = |by| kind.make_at(&tokens(), &1, wall::now() + seconds(by));
        assert_eq!(kind.open(&tokens(), &ahead(20.0)), Ok(1), "{kind:?}");
        assert_eq!(kind.open(&tokens(), &ahead(40.0)), Err(Invalid), "{kind:?}");
        let endless = kind.open_within(&tokens(), &ahead(40.0), MaxAge::Infinity);
        assert_eq!(endless, Err(Invalid), "{kind:?}");
        let strict = tokens().leeway(Duration::ZERO);
        assert_eq!(kind.open(&strict, &ahead(20.0)), Err(Invalid), "{kind:?}");
    }
}

#[test]
fn keys_depend_on_iterations_digest_and_length() {
    let signed = |tokens: &PhoenixTokens| tokens.sign_at(SALT, &1, Duration::ZERO).unwrap();
    let other = [
        tokens().key_iterations(1).unwrap(),
        tokens().key_iterations(2).unwrap(),
        tokens().key_digest(KeyDigest::Sha384),
        tokens().key_digest(KeyDigest::Sha512),
        tokens().key_length(16).unwrap(),
    ];
    let mut distinct: Vec<String> = other.iter().map(signed).collect();
    distinct.push(signed(&tokens()));
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), other.len() + 1);
    for other in other {
        let token = Signed.make(&other, &1);
        assert_eq!(Signed.open(&other, &token), Ok(1), "{other:?}");
        assert_eq!(Signed.open(&tokens(), &token), Err(Invalid), "{other:?}");
    }
    for other in [
        tokens().key_iterations(1).unwrap(),
        tokens().key_digest(KeyDigest::Sha512),
    ] {
        let token = Encrypted.make(&other, &1);
        assert_eq!(Encrypted.open(&other, &token), Ok(1), "{other:?}");
        assert_eq!(Encrypted.open(&tokens(), &token), Err(Invalid), "{other:?}");
    }
}

#[test]
fn the_defaults_are_those_of_phoenix() {
    let said = tokens()
        .key_digest(KeyDigest::Sha256)
        .key_length(32)
        .unwrap()
        .key_iterations(1000)
        .unwrap()
        .max_age(Duration::from_secs(86_400));
    let at = Duration::ZERO;
    assert_eq!(said.sign_at(SALT, &1, at), tokens().sign_at(SALT, &1, at));
    let token = Encrypted.make(&said, &1);
    assert_eq!(Encrypted.open(&tokens(), &token), Ok(1));
}

#[test]
fn keys_that_make_no_sense_are_refused() {
    let none = tokens().key_iterations(0).unwrap_err();
    assert_eq!(none, PhoenixKeyError::NoIterations);
    for len in [0, 15, 1025] {
        let refused = tokens().key_length(len).unwrap_err();
        assert!(
            matches!(refused, PhoenixKeyError::KeyLength { .. }),
            "{len}"
        );
    }
    let short = tokens().key_length(16).unwrap();
    let expected = 32;
    assert_eq!(
        short.encrypt(SALT, &1),
        Err(PhoenixSignError::KeyLength { expected })
    );
    let token = Encrypted.make(&tokens(), &1);
    assert_eq!(Encrypted.open(&short, &token), Err(Invalid));
}

#[test]
fn a_token_has_8_kib_at_most() {
    for (len, is_short) in [(6000, true), (6200, false)] {
        let data = "a".repeat(len);
        let signed = tokens().sign(SALT, &data);
        let encrypted = tokens().encrypt(SALT, &data);
        for made in [signed, encrypted] {
            match made {
                Ok(token) => assert!(is_short && token.len() <= TOKEN_LEN_MAX),
                Err(error) => {
                    assert!(matches!(error, PhoenixSignError::TooLong { .. }), "{error}");
                    assert!(!is_short, "{len}");
                }
            }
        }
    }
    let payload = payload::write(Term::binary(vec![7; 6200]), wall::now(), MaxAge::Infinity);
    let long = signer::sign(&tokens().keys.key(SALT), &payload.unwrap());
    assert_eq!(tokens().verify::<Term>(SALT, &*long), Err(Invalid));
}

#[test]
fn a_genuine_payload_that_is_no_term_is_invalid() {
    let key = tokens().keys.key(SALT);
    for payload in [b"".as_slice(), b"\x83", b"\x83P\0\0\0\x01", b"{\"id\":1}"] {
        let signed = signer::sign(&key, payload);
        assert_eq!(Signed.open(&tokens(), &signed), Err(Invalid));
        let encrypted = cipher::encrypt(&key, payload).unwrap();
        assert_eq!(Encrypted.open(&tokens(), &encrypted), Err(Invalid));
    }
}

#[test]
fn an_encrypted_token_of_plug_crypto_1_is_invalid() {
    let old = "QTEyOEdDTQ.AAAAAAAAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAA.AAAA.AAAAAAAAAAAAAAAAAAAAAA";
    assert_eq!(Encrypted.open(&tokens(), old), Err(Invalid));
}

#[test]
fn what_was_encrypted_cannot_be_read() {
    use base64::Engine;
    let token = tokens().encrypt(SALT, "sesame").unwrap();
    let bytes = base64::prelude::BASE64_URL_SAFE_NO_PAD
        .decode(token.strip_prefix("XCP.").unwrap())
        .unwrap();
    assert!(!bytes.windows(6).any(|part| part == b"sesame"));
}

#[test]
fn nothing_that_is_shown_repeats_token_or_secret() {
    let tokens = PhoenixTokens::new("the secret that is not shown").unwrap();
    assert!(!format!("{tokens:?}").contains("not shown"));
    let token = tokens.sign(SALT, "sesame").unwrap();
    let error = tokens.verify::<u64>(SALT, &*token).unwrap_err();
    let path = ".".to_owned();
    assert_eq!(error, PhoenixTokenError::Data { path });
    assert_eq!(error.code(), "data");
    assert!(!format!("{error} {error:?}").contains("sesame"));
}

#[test]
fn a_bit_flipped_anywhere_makes_a_token_invalid() {
    for kind in [Signed, Encrypted] {
        let tokens = tokens();
        let token = kind.make(&tokens, &1);
        for (at, bit) in (0..token.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
            let mut bytes = token.clone().into_bytes();
            bytes[at] ^= 1 << bit;
            // What is no text can be no token.
            let Ok(changed) = String::from_utf8(bytes) else {
                continue;
            };
            assert_eq!(
                kind.open(&tokens, &changed),
                Err(Invalid),
                "{kind:?} {at} {bit}"
            );
        }
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in "(SFMyNTY\\.|XCP\\.)?[A-Za-z0-9_.-]{0,200}") {
        let tokens = tokens().key_iterations(1).unwrap();
        prop_assert_eq!(Signed.open(&tokens, &text), Err(Invalid));
        prop_assert_eq!(Encrypted.open(&tokens, &text), Err(Invalid));
    }

    #[test]
    fn whatever_text_is_put_in_comes_out(text in any::<String>(), salt in any::<String>()) {
        let tokens = tokens().key_iterations(1).unwrap();
        let signed = tokens.sign(&salt, &text).unwrap();
        prop_assert_eq!(tokens.verify(&salt, &*signed), Ok(text.clone()));
        let encrypted = tokens.encrypt(&salt, &text).unwrap();
        prop_assert_eq!(tokens.decrypt(&salt, &*encrypted), Ok(text));
    }
}
