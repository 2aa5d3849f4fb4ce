//! Terms, as Erlang writes them and as serde sees them.

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn decoded(bytes: &[u8]) -> Result<Term, DecodeError> {
    Term::decode(&[&[tag::VERSION], bytes].concat())
}

fn list(terms: impl IntoIterator<Item = Term>) -> Term {
    Term::List(terms.into_iter().collect())
}

fn tuple(terms: impl IntoIterator<Item = Term>) -> Term {
    Term::Tuple(terms.into_iter().collect())
}

fn integers(integers: impl IntoIterator<Item = i128>) -> Term {
    list(integers.into_iter().map(Term::Integer))
}

/// Terms, and what `erlang:term_to_binary/1` makes of them; before OTP 26, atoms
/// were written in Latin-1.
fn written() -> Vec<(Term, Vec<u8>)> {
    let pair = |term, bytes: &[u8]| (term, bytes.to_vec());
    vec![
        pair(Term::Integer(0), b"\x83a\0"),
        pair(Term::Integer(255), b"\x83a\xff"),
        pair(Term::Integer(256), b"\x83b\0\0\x01\0"),
        pair(Term::Integer(-1), b"\x83b\xff\xff\xff\xff"),
        pair(Term::Integer(i32::MIN.into()), b"\x83b\x80\0\0\0"),
        pair(Term::Integer(1 << 31), b"\x83n\x04\0\0\0\0\x80"),
        pair(Term::Integer(-(1 << 31) - 1), b"\x83n\x04\x01\x01\0\0\x80"),
        pair(
            Term::Integer(1_700_000_000_000),
            b"\x83n\x06\0\0\x68\xe5\xcf\x8b\x01",
        ),
        pair(Term::Float(1.5), b"\x83F\x3f\xf8\0\0\0\0\0\0"),
        pair(Term::atom("ok"), b"\x83w\x02ok"),
        pair(Term::atom("é"), b"\x83w\x02\xc3\xa9"),
        pair(Term::binary("u-42"), b"\x83m\0\0\0\x04u-42"),
        pair(list([]), b"\x83j"),
        pair(integers([1, 2, 255]), b"\x83k\0\x03\x01\x02\xff"),
        pair(integers([256]), b"\x83l\0\0\0\x01b\0\0\x01\0j"),
        pair(
            tuple([Term::atom("a"), list([list([])])]),
            b"\x83h\x02w\x01al\0\0\0\x01jj",
        ),
        pair(
            Term::Map(vec![(Term::atom("a"), Term::Integer(1))]),
            b"\x83t\0\0\0\x01w\x01aa\x01",
        ),
    ]
}

#[test]
fn terms_are_written_and_read_as_erlang_does() {
    for (term, bytes) in written() {
        assert_eq!(term.encode().unwrap(), bytes, "{term:?}");
        assert_eq!(Term::decode(&bytes), Ok(term));
    }
}

#[test]
fn an_atom_is_read_in_every_encoding() {
    let e = Ok(Term::atom("é"));
    assert_eq!(decoded(b"d\0\x01\xe9"), e);
    assert_eq!(decoded(b"s\x01\xe9"), e);
    assert_eq!(decoded(b"v\0\x02\xc3\xa9"), e);
    assert_eq!(decoded(b"w\x02\xc3\xa9"), e);
    assert_eq!(decoded(b"w\x01\xe9"), Err(DecodeError::Atom));
}

#[test]
fn an_atom_has_255_characters_at_most() {
    let longest = Term::atom("ü".repeat(255));
    let bytes = longest.encode().unwrap();
    assert_eq!(bytes[1], tag::ATOM_UTF8);
    assert_eq!(Term::decode(&bytes), Ok(longest));
    let len_max = ATOM_LEN_MAX;
    let longer = Term::atom("a".repeat(256)).encode();
    assert_eq!(longer, Err(TermError::Atom { len_max }));
    let longer = [b"v\x01\0".as_slice(), &[b'a'; 256]].concat();
    assert_eq!(decoded(&longer), Err(DecodeError::Atom));
}

#[test]
fn an_integer_has_16_bytes_at_most() {
    for integer in [i128::MIN, i128::MAX, i64::MIN.into(), u64::MAX.into()] {
        let term = Term::Integer(integer);
        assert_eq!(Term::decode(&term.encode().unwrap()), Ok(term));
    }
    let large = b"o\0\0\0\x05\x01\x01\0\0\0\x01";
    assert_eq!(decoded(large), Ok(Term::Integer(-(1 << 32) - 1)));
    // 2^127, once as it is and once negative; then 17 bytes.
    let mut magnitude = [0; 16];
    magnitude[15] = 0x80;
    let positive = [b"n\x10\0".as_slice(), &magnitude].concat();
    assert_eq!(decoded(&positive), Err(DecodeError::Integer));
    let negative = [b"n\x10\x01".as_slice(), &magnitude].concat();
    assert_eq!(decoded(&negative), Ok(Term::Integer(i128::MIN)));
    let longer = [b"n\x11\0".as_slice(), &[1; 17]].concat();
    assert_eq!(decoded(&longer), Err(DecodeError::Integer));
}

#[test]
fn long_tuples_and_lists_are_written_too() {
    for len in [255, 256, 65_535, 65_536] {
        let terms = || (0..len).map(|_| Term::Integer(7));
        for term in [tuple(terms()), list(terms())] {
            assert_eq!(Term::decode(&term.encode().unwrap()), Ok(term));
        }
    }
}

#[test]
fn what_is_no_data_is_refused() {
    // Compressed, bit strings, floats as text, functions, processes, references,
    // ports, atoms of a cache, terms of one node.
    let tags = b"PMcupqgXrZeYfxRy";
    for tag in tags {
        let bytes = [&[*tag], [0; 64].as_slice()].concat();
        assert_eq!(
            decoded(&bytes),
            Err(DecodeError::Tag),
            "{}",
            char::from(*tag)
        );
    }
}

#[test]
fn what_is_broken_is_refused() {
    assert_eq!(Term::decode(b""), Err(DecodeError::Ends));
    assert_eq!(Term::decode(b"\x82a\x01"), Err(DecodeError::Version));
    assert_eq!(decoded(b""), Err(DecodeError::Ends));
    assert_eq!(decoded(b"b\0\0\0"), Err(DecodeError::Ends));
    assert_eq!(decoded(b"m\xff\xff\xff\xffshort"), Err(DecodeError::Ends));
    assert_eq!(decoded(b"a\x01a\x01"), Err(DecodeError::Goes));
    assert_eq!(
        decoded(b"l\0\0\0\x01a\x01a\x02"),
        Err(DecodeError::Improper)
    );
    for float in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let bytes = [b"F".as_slice(), &float.to_be_bytes()].concat();
        assert_eq!(decoded(&bytes), Err(DecodeError::Float));
        assert_eq!(Term::Float(float).encode(), Err(TermError::Float));
    }
}

#[test]
fn what_is_claimed_is_not_allocated() {
    for claim in [
        b"l\xff\xff\xff\xff",
        b"i\xff\xff\xff\xff",
        b"t\xff\xff\xff\xff",
    ] {
        assert_eq!(decoded(claim), Err(DecodeError::Claims));
    }
    // Each list claims as many elements as there are bytes after it, so each by
    // itself could be true; all of them together cannot.
    let mut bytes = vec![0; 1000];
    for _ in 0..10 {
        let len = u32::try_from(bytes.len()).unwrap();
        let head = [&[tag::LIST], len.to_be_bytes().as_slice()].concat();
        bytes.splice(0..0, head);
    }
    assert_eq!(decoded(&bytes), Err(DecodeError::Claims));
}

#[test]
fn a_term_is_64_deep_at_most() {
    let nested = |depth| (0..depth).fold(Term::Integer(256), |term, _| list([term]));
    let deepest = nested(64);
    assert_eq!(Term::decode(&deepest.encode().unwrap()), Ok(deepest));
    let depth_max = DEPTH_MAX;
    assert_eq!(nested(65).encode(), Err(TermError::TooDeep { depth_max }));
    for open in [
        b"l\0\0\0\x01".as_slice(),
        b"h\x01",
        b"i\0\0\0\x01",
        b"t\0\0\0\x01",
    ] {
        assert_eq!(decoded(&open.repeat(100_000)), Err(DecodeError::Depth));
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct User {
    id: u64,
    name: Option<String>,
    admin: bool,
    place: (f64, f64),
    rooms: Vec<String>,
    role: Role,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Role {
    Guest,
    Since(u16),
    Between(u16, u16),
    Of { room: String },
}

fn ada(role: Role) -> User {
    User {
        id: u64::MAX,
        name: None,
        admin: true,
        place: (1.0, -0.5),
        rooms: vec!["lobby".to_owned()],
        role,
    }
}

#[test]
fn data_become_what_elixir_expects() {
    let term = Term::of(&ada(Role::Guest)).unwrap();
    let key = Term::binary;
    let expected = Term::Map(vec![
        (key("id"), Term::Integer(u64::MAX.into())),
        (key("name"), Term::atom("nil")),
        (key("admin"), Term::atom("true")),
        (key("place"), tuple([1.0, -0.5].map(Term::Float))),
        (key("rooms"), list([Term::binary("lobby")])),
        (key("role"), Term::binary("Guest")),
    ]);
    assert_eq!(term, expected);
}

#[test]
fn data_come_back_as_they_were() {
    let room = "lobby".to_owned();
    let roles = [
        Role::Guest,
        Role::Since(1),
        Role::Between(1, 2),
        Role::Of { room },
    ];
    for role in roles {
        let user = ada(role);
        let read: User = Term::of(&user).unwrap().into_data().unwrap();
        assert_eq!(read, user);
    }
    let ids = BTreeMap::from([(1_u8, 'a'), (2, 'b')]);
    assert_eq!(Term::of(&ids).unwrap().into_data(), Ok(ids));
    assert_eq!(Term::of(&u128::MAX), Err(TermError::Integer));
    assert_eq!(Term::of(&i128::MIN).unwrap().into_data(), Ok(i128::MIN));
    assert_eq!(Term::of(&f32::NAN), Err(TermError::Float));
}

#[test]
fn atoms_serve_as_strings_and_as_names() {
    let key = Term::atom;
    let pairs = vec![
        (key("__struct__"), key("Elixir.MyApp.User")),
        (key("id"), Term::Integer(7)),
        (key("name"), key("ada")),
        (key("admin"), key("false")),
        (key("place"), integers([1, 2])),
        (key("rooms"), tuple([key("lobby"), Term::binary("attic")])),
        (
            key("role"),
            Term::Map(vec![(key("Since"), Term::Integer(3))]),
        ),
    ];
    let user: User = Term::Map(pairs).into_data().unwrap();
    let expected = User {
        id: 7,
        name: Some("ada".to_owned()),
        admin: false,
        place: (1.0, 2.0),
        rooms: vec!["lobby".to_owned(), "attic".to_owned()],
        role: Role::Since(3),
    };
    assert_eq!(user, expected);
    assert_eq!(key("Guest").into_data(), Ok(Role::Guest));
}

#[test]
fn nil_is_no_string() {
    assert!(Term::atom("nil").into_data::<String>().is_err());
    assert!(Term::atom("true").into_data::<String>().is_err());
    assert_eq!(Term::atom("nil").into_data(), Ok(None::<String>));
    assert_eq!(Term::atom("nil").into_data(), Ok(()));
    assert_eq!(Term::binary("nil").into_data(), Ok(Some("nil".to_owned())));
}

#[test]
fn bytes_are_binaries_and_need_not_be_text() {
    let bytes = serde_bytes::ByteBuf::from([0xff, 0, 7]);
    let term = Term::of(&bytes).unwrap();
    assert_eq!(term, Term::binary([0xff, 0, 7]));
    assert!(term.clone().into_data::<String>().is_err());
    assert_eq!(term.clone().into_data(), Ok([0xff_u8, 0, 7]));
    assert_eq!(term.into_data(), Ok(bytes));
    assert_eq!(Term::of(&vec![1_u8, 2]).unwrap(), integers([1, 2]));
}

#[test]
fn every_element_of_a_tuple_has_to_be_wanted() {
    let three = tuple([1, 2, 3].map(Term::Integer));
    assert_eq!(three.clone().into_data(), Ok((1, 2, 3)));
    assert!(three.clone().into_data::<(u8, u8)>().is_err());
    assert!(three.into_data::<(u8, u8, u8, u8)>().is_err());
}

#[test]
fn what_does_not_fit_is_named_by_its_place_alone() {
    let rooms = Term::Map(vec![(
        Term::binary("rooms"),
        list([Term::binary("secret"), Term::binary("more secret")]),
    )]);
    let read = rooms.into_data::<HashMap<String, (String, u8)>>();
    assert_eq!(read, Err("rooms[1]".to_owned()));
}

#[test]
fn a_term_survives_json_and_stands_inside_of_data() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Tagged {
        tag: Term,
        rest: Option<Term>,
    }
    let tagged = Tagged {
        tag: Term::atom("user"),
        rest: Some(Term::Map(vec![(
            Term::Integer(1),
            tuple([Term::atom("nil")]),
        )])),
    };
    let json = serde_json::to_value(&tagged).unwrap();
    assert_eq!(json["tag"], json!({"Atom": "user"}));
    assert_eq!(serde_json::from_value::<Tagged>(json).unwrap(), tagged);
    let term = Term::of(&tagged).unwrap();
    let Term::Map(pairs) = &term else {
        panic!("{term:?}")
    };
    assert_eq!(pairs[0].1, tagged.tag);
    assert_eq!(term.into_data(), Ok(tagged));
}

fn any_term() -> impl Strategy<Value = Term> {
    let small = any::<u8>().prop_map(|byte| Term::Integer(byte.into()));
    let leaf = prop_oneof![
        any::<i128>().prop_map(Term::Integer),
        any::<i32>().prop_map(|integer| Term::Integer(integer.into())),
        small.clone(),
        (-1e300..1e300_f64).prop_map(Term::Float),
        "\\PC{0,255}".prop_map(Term::Atom),
        any::<Vec<u8>>().prop_map(Term::Binary),
        prop::collection::vec(small, 0..40).prop_map(Term::List),
    ];
    leaf.prop_recursive(6, 128, 8, |inner| {
        let terms = prop::collection::vec(inner.clone(), 0..8);
        prop_oneof![
            terms.clone().prop_map(Term::Tuple),
            terms.prop_map(Term::List),
            prop::collection::vec((inner.clone(), inner), 0..4).prop_map(Term::Map),
        ]
    })
}

/// What terms there are in a term, itself included.
fn count(term: &Term) -> usize {
    1 + match term {
        Term::Tuple(terms) | Term::List(terms) => terms.iter().map(count).sum(),
        Term::Map(pairs) => pairs.iter().map(|(k, v)| count(k) + count(v)).sum(),
        _ => 0,
    }
}

proptest! {
    #[test]
    fn every_term_survives(term in any_term()) {
        let bytes = term.encode().unwrap();
        prop_assert_eq!(Term::decode(&bytes), Ok(term.clone()));
        prop_assert_eq!(Term::of(&term), Ok(term.clone()));
        prop_assert_eq!(term.clone().into_data::<Term>(), Ok(term));
    }

    #[test]
    fn no_bytes_panic_and_none_make_more_terms_than_they_are(
        bytes in prop::collection::vec(prop_oneof![any::<u8>(), 97_u8..120, 0_u8..4], 0..300),
    ) {
        if let Ok(term) = decoded(&bytes) {
            prop_assert!(count(&term) <= bytes.len());
        }
    }

    #[test]
    fn a_changed_term_never_panics(
        term in any_term(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = term.encode().unwrap();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(term) = Term::decode(&bytes) {
            prop_assert!(count(&term) < bytes.len());
        }
    }
}
