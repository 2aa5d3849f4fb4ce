//! What makes a token good, and all that does not.

use proptest::prelude::*;
use serde::Deserialize;
use serde_json::json;

use super::*;

const RSA: &str = include_str!("../../../tests/keys/rsa-private.pem");
const RSA_PUBLIC: &str = include_str!("../../../tests/keys/rsa-public.pem");
const P256: &str = include_str!("../../../tests/keys/p256-private.pem");
const P256_PUBLIC: &str = include_str!("../../../tests/keys/p256-public.pem");
const P384: &str = include_str!("../../../tests/keys/p384-private.pem");
const ED25519: &str = include_str!("../../../tests/keys/ed25519-private.pem");
const ED25519_PUBLIC: &str = include_str!("../../../tests/keys/ed25519-public.pem");

const NOW: Duration = Duration::from_secs(1_800_000_000);
const HOUR: Duration = Duration::from_hours(1);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct User {
    sub: String,
    level: u8,
}

fn ada() -> User {
    User {
        sub: "ada".to_owned(),
        level: 7,
    }
}

fn secret(byte: u8) -> Key {
    Key::secret(Algorithm::Hs256, [byte; 64]).unwrap()
}

fn keys(keys: impl IntoIterator<Item = Key>) -> Keys {
    Keys::new(keys).unwrap()
}

#[track_caller]
fn refused(keys: &Keys, token: &str, error: &TokenError) {
    assert_eq!(&keys.verify_at::<User>(token, NOW).unwrap_err(), error);
}

/// A token whose claims are signed by a secret, whatever they are.
fn forged(claims: &Value) -> (Keys, String) {
    let key = secret(1);
    let token = key.sign(claims.as_object().unwrap()).unwrap();
    (keys([key]), token)
}

#[test]
fn what_each_algorithm_signs_it_verifies() {
    use Algorithm::*;
    let signing = [
        Key::secret(Hs256, [1; 32]).unwrap(),
        Key::secret(Hs384, [2; 48]).unwrap(),
        Key::secret(Hs512, [3; 64]).unwrap(),
        Key::private_pem(Es256, P256).unwrap(),
        Key::private_pem(Es384, P384).unwrap(),
        Key::private_pem(EdDsa, ED25519).unwrap(),
        Key::private_pem(Rs256, RSA).unwrap(),
        Key::private_pem(Rs384, RSA).unwrap(),
        Key::private_pem(Rs512, RSA).unwrap(),
        Key::private_pem(Ps256, RSA).unwrap(),
        Key::private_pem(Ps384, RSA).unwrap(),
        Key::private_pem(Ps512, RSA).unwrap(),
    ];
    for key in signing {
        let label = format!("{key:?}");
        let keys = keys([key]);
        let token = keys.sign_at(&ada(), HOUR, NOW).unwrap();
        let claims = keys.verify_at::<User>(&token, NOW).expect(&label);
        assert_eq!(claims.custom(), &ada(), "{label}");
        assert_eq!(claims.subject(), Some("ada"));
        assert_eq!(claims.expires_at(), NOW + HOUR);
    }
}

#[test]
fn a_public_key_verifies_what_its_private_key_signed_and_signs_nothing() {
    use Algorithm::*;
    let pairs = [
        (Es256, P256, P256_PUBLIC),
        (EdDsa, ED25519, ED25519_PUBLIC),
        (Rs256, RSA, RSA_PUBLIC),
    ];
    for (algorithm, private, public) in pairs {
        let private = keys([Key::private_pem(algorithm, private).unwrap()]);
        let public = keys([Key::public_pem(algorithm, public).unwrap()]);
        let token = private.sign_at(&ada(), HOUR, NOW).unwrap();
        assert!(public.verify_at::<User>(&token, NOW).is_ok(), "{algorithm}");
        let cannot = public.sign_at(&ada(), HOUR, NOW).unwrap_err();
        assert!(matches!(cannot, SignError::CannotSign));
    }
}

#[test]
fn a_token_ends_with_its_time_and_the_leeway() {
    let keys = keys([secret(1)]);
    let token = keys.sign_at(&ada(), HOUR, NOW).unwrap();
    let at = |after: Duration| keys.verify_at::<User>(&token, NOW + after).map(drop);
    assert_eq!(at(HOUR + Duration::from_secs(29)), Ok(()));
    assert_eq!(at(HOUR + LEEWAY), Err(TokenError::Expired));
    let strict = keys.clone().leeway(Duration::ZERO);
    let ended = strict.verify_at::<User>(&token, NOW + HOUR);
    assert_eq!(ended.unwrap_err(), TokenError::Expired);
}

#[test]
fn a_token_that_begins_later_is_not_valid_yet() {
    let begins = |seconds| json!({"sub": "ada", "level": 7, "exp": 2e9, "nbf": seconds});
    let (keys, token) = forged(&begins(1_800_000_031_u64));
    refused(&keys, &token, &TokenError::NotYetValid);
    let (keys, token) = forged(&begins(1_800_000_030_u64));
    assert!(keys.verify_at::<User>(&token, NOW).is_ok());
}

#[test]
fn a_token_has_to_end_and_its_times_have_to_be_times() {
    let (keys, token) = forged(&json!({"sub": "ada", "level": 7}));
    refused(&keys, &token, &TokenError::NoExpiry);
    for exp in [json!("soon"), json!(-1), json!(1e300), json!([])] {
        let (keys, token) = forged(&json!({"sub": "ada", "level": 7, "exp": exp}));
        refused(&keys, &token, &TokenError::Malformed);
    }
}

#[test]
fn another_key_does_not_verify() {
    let token = keys([secret(1)]).sign_at(&ada(), HOUR, NOW).unwrap();
    refused(&keys([secret(2)]), &token, &TokenError::BadSignature);
    refused(
        &keys([secret(2), secret(3)]),
        &token,
        &TokenError::BadSignature,
    );
}

#[test]
fn a_changed_token_does_not_verify() {
    let keys = keys([secret(1)]);
    let mine = keys.sign_at(&ada(), HOUR, NOW).unwrap();
    let other = User { level: 8, ..ada() };
    let other = keys.sign_at(&other, HOUR, NOW).unwrap();
    let (head, signature) = mine.rsplit_once('.').unwrap();
    let (other_head, _) = other.rsplit_once('.').unwrap();
    refused(
        &keys,
        &format!("{other_head}.{signature}"),
        &TokenError::BadSignature,
    );
    refused(&keys, &format!("{head}."), &TokenError::BadSignature);
    refused(&keys, head, &TokenError::Malformed);
}

#[test]
fn keys_are_rotated_without_refusing_anybody() {
    let (old, new) = (secret(1).id("old"), secret(2).id("new"));
    let before = keys([old.clone()]);
    let during = keys([new.clone(), old]);
    let after = keys([new]);
    let old_token = before.sign_at(&ada(), HOUR, NOW).unwrap();
    let new_token = during.sign_at(&ada(), HOUR, NOW).unwrap();
    assert!(during.verify_at::<User>(&old_token, NOW).is_ok());
    assert!(during.verify_at::<User>(&new_token, NOW).is_ok());
    assert!(after.verify_at::<User>(&new_token, NOW).is_ok());
    refused(&after, &old_token, &TokenError::UnknownKey);
    refused(&before, &new_token, &TokenError::UnknownKey);
}

#[test]
fn a_key_without_an_id_and_a_token_without_one_are_tried() {
    let (named, nameless) = (secret(1).id("a"), secret(1));
    let by_nameless = keys([nameless.clone()]).sign_at(&ada(), HOUR, NOW).unwrap();
    let by_named = keys([named.clone()]).sign_at(&ada(), HOUR, NOW).unwrap();
    let keys_of_all = keys([secret(3).id("c"), secret(2).id("b"), named]);
    assert!(keys_of_all.verify_at::<User>(&by_nameless, NOW).is_ok());
    let token = keys([nameless]).verify_at::<User>(&by_named, NOW);
    assert!(token.is_ok());
}

#[test]
fn a_public_key_is_no_secret() {
    let public = keys([Key::public_pem(Algorithm::Rs256, RSA_PUBLIC).unwrap()]);
    let confusing = Key::secret(Algorithm::Hs256, RSA_PUBLIC).unwrap();
    let token = keys([confusing]).sign_at(&ada(), HOUR, NOW).unwrap();
    refused(&public, &token, &TokenError::Algorithm);
}

#[test]
fn a_token_cannot_choose_its_algorithm() {
    let long = keys([Key::secret(Algorithm::Hs512, [1; 64]).unwrap()]);
    let short = keys([Key::secret(Algorithm::Hs256, [1; 64]).unwrap()]);
    let token = long.sign_at(&ada(), HOUR, NOW).unwrap();
    refused(&short, &token, &TokenError::Algorithm);
}

/// `{"alg":…}` and the claims of a good token, in base64.
fn with_header(header: &str) -> [String; 3] {
    let keys = keys([secret(1)]);
    let token = keys.sign_at(&ada(), HOUR, NOW).unwrap();
    let mut parts = token.split('.').skip(1).map(str::to_owned);
    [
        header.to_owned(),
        parts.next().unwrap(),
        parts.next().unwrap(),
    ]
}

#[test]
fn an_unsigned_token_is_none() {
    // {"alg":"none"}, {"alg":"None","typ":"JWT"}
    for header in ["eyJhbGciOiJub25lIn0", "eyJhbGciOiJOb25lIiwidHlwIjoiSldUIn0"] {
        let [header, claims, signature] = with_header(header);
        let keys = keys([secret(1)]);
        refused(
            &keys,
            &format!("{header}.{claims}."),
            &TokenError::Malformed,
        );
        let signed = format!("{header}.{claims}.{signature}");
        refused(&keys, &signed, &TokenError::Malformed);
    }
}

#[test]
fn an_extension_that_has_to_be_understood_is_refused() {
    // {"alg":"HS256","crit":["b64"],"b64":false}
    let header = "eyJhbGciOiJIUzI1NiIsImNyaXQiOlsiYjY0Il0sImI2NCI6ZmFsc2V9";
    let token = with_header(header).join(".");
    refused(&keys([secret(1)]), &token, &TokenError::Malformed);
}

#[test]
fn a_token_is_for_its_audience_and_from_its_issuer() {
    let plain = keys([secret(1)]);
    let ours = plain
        .clone()
        .issuer("id.example")
        .audience("chat")
        .audience("api");
    let token = ours.sign_at(&ada(), HOUR, NOW).unwrap();
    assert!(ours.verify_at::<User>(&token, NOW).is_ok());
    refused(&plain, &token, &TokenError::Audience);
    refused(
        &plain.clone().audience("mail"),
        &token,
        &TokenError::Audience,
    );
    refused(
        &plain.clone().issuer("other").audience("chat"),
        &token,
        &TokenError::Issuer,
    );
    let anybodys = plain.sign_at(&ada(), HOUR, NOW).unwrap();
    refused(&ours, &anybodys, &TokenError::Issuer);
    refused(
        &plain.clone().audience("chat"),
        &anybodys,
        &TokenError::Audience,
    );
    let (_, for_two) = forged(&json!({"sub": "ada", "level": 7, "exp": 2e9, "aud": ["x", "api"]}));
    assert!(
        plain
            .audience("api")
            .verify_at::<User>(&for_two, NOW)
            .is_ok()
    );
}

#[test]
fn claims_that_do_not_fit_are_named_and_not_repeated() {
    let (keys, token) = forged(&json!({"sub": "ada", "level": "hush", "exp": 2e9}));
    let error = keys.verify_at::<User>(&token, NOW).unwrap_err();
    assert_eq!(error.to_string(), "the token's claims do not fit at level");
    let keys_shown = format!("{:?}", Keys::hs256([77; 32]).unwrap());
    assert!(!keys_shown.contains("77"), "{keys_shown}");
    let claims = keys.verify_at::<serde_json::Map<String, Value>>(&token, NOW);
    assert!(!format!("{claims:?}").contains("hush"));
}

#[test]
fn a_token_has_a_greatest_length() {
    let keys = keys([secret(1)]);
    let long = json!({"name": "x".repeat(TOKEN_LEN_MAX)});
    let token = keys.sign_at(&long, HOUR, NOW).unwrap();
    let len_max = TOKEN_LEN_MAX;
    let len = token.len();
    refused(&keys, &token, &TokenError::TooLong { len, len_max });
}

#[test]
fn only_objects_are_signed() {
    let keys = keys([secret(1)]);
    let error = keys.sign_at(&7, HOUR, NOW).unwrap_err();
    assert!(matches!(error, SignError::NotAnObject));
}

#[test]
fn keys_that_cannot_work_are_found_when_they_are_made() {
    use Algorithm::*;
    let message = |error: KeyError| error.to_string();
    assert_eq!(
        message(Key::secret(Hs512, [1; 63]).unwrap_err()),
        "a secret for HS512 has at least 64 bytes, this one has 63"
    );
    let kind = |made: Result<Key, KeyError>| matches!(made, Err(KeyError::Kind { .. }));
    assert!(kind(Key::secret(Es256, [1; 64])));
    assert!(kind(Key::public_pem(Hs256, RSA_PUBLIC)));
    assert!(kind(Key::public_pem(Rs256, RSA)));
    let unreadable = |made| matches!(made, Err(KeyError::Unreadable { .. }));
    assert!(unreadable(Key::public_pem(Rs256, P256_PUBLIC)));
    assert!(unreadable(Key::public_pem(Es384, P256_PUBLIC)));
    assert!(unreadable(Key::public_pem(EdDsa, "no key")));
    assert!(unreadable(Key::private_pem(Es256, P384)));
    assert!(unreadable(Key::private_pem(EdDsa, RSA_PUBLIC)));
    assert!(matches!(Keys::new([]), Err(KeyError::NoKeys)));
    let twice = Keys::new([secret(1).id("a"), secret(2).id("a")]);
    assert!(matches!(twice, Err(KeyError::Repeated { id }) if id == "a"));
    let many = Keys::new((0..=32).map(secret));
    assert!(matches!(many, Err(KeyError::TooMany { len: 33, .. })));
}

proptest! {
    #[test]
    fn garbage_is_refused_and_nothing_panics(token in ".{0,200}") {
        prop_assert!(keys([secret(1)]).verify_at::<User>(&token, NOW).is_err());
    }

    #[test]
    fn garbage_between_dots_is_refused(
        parts in prop::collection::vec("[A-Za-z0-9_=-]{0,60}", 0..5),
    ) {
        let token = parts.join(".");
        let all = keys([
            secret(1),
            Key::public_pem(Algorithm::Es256, P256_PUBLIC).unwrap(),
            Key::public_pem(Algorithm::Rs256, RSA_PUBLIC).unwrap(),
            Key::public_pem(Algorithm::EdDsa, ED25519_PUBLIC).unwrap(),
        ]);
        prop_assert!(all.verify_at::<User>(&token, NOW).is_err());
    }

    #[test]
    fn a_token_with_one_byte_changed_is_refused(position in 0..120_usize, byte in 0..=127_u8) {
        let keys = keys([secret(1)]);
        let mut token = keys.sign_at(&ada(), HOUR, NOW).unwrap().into_bytes();
        let position = position.min(token.len() - 1);
        prop_assume!(token[position] != byte);
        token[position] = byte;
        let token = String::from_utf8(token).unwrap();
        prop_assert!(keys.verify_at::<User>(&token, NOW).is_err());
    }
}
