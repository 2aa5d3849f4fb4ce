//! What is a message of a client, and what is not.

use std::error::Error;

use bytes::Bytes;
use bytestring::ByteString;

use towpath_layer_core::Frame;

use crate::protocol::phoenix::*;

fn v1(text: &str) -> Result<Incoming, DecodeError> {
    Serializer::V1.decode(Frame::Text(text.into()))
}

fn v2(text: &str) -> Result<Incoming, DecodeError> {
    Serializer::V2.decode(Frame::Text(text.into()))
}

fn binary(frame: &[u8]) -> Result<Incoming, DecodeError> {
    Serializer::V2.decode(Frame::Bytes(Bytes::copy_from_slice(frame)))
}

/// The error and what is beneath it, in one line.
#[track_caller]
fn chain(result: Result<Incoming, DecodeError>) -> String {
    let error = result.unwrap_err();
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

#[test]
fn keys_stand_in_any_order_and_others_are_ignored() {
    let message = v1(
        r#" { "x": [{"topic": 1}], "payload": [ 1 ], "ref": "2", "topic": "t", "event": "e" } "#,
    )
    .unwrap();
    assert_eq!((&*message.topic, &*message.event), ("t", "e"));
    assert_eq!(message.reference, Some(Ref::new("2")));
    assert_eq!(message.join_ref, None);
    assert_eq!(message.payload, Payload::Json("[ 1 ]".into()));
}

#[test]
fn a_missing_key_is_an_error_that_names_it() {
    let keys = [
        r#""topic":"t""#,
        r#""event":"e""#,
        r#""payload":{}"#,
        r#""ref":null"#,
    ];
    for (left_out, name) in ["topic", "event", "payload", "ref"].iter().enumerate() {
        let mut rest = keys.to_vec();
        rest.remove(left_out);
        let error = chain(v1(&format!("{{{}}}", rest.join(","))));
        assert!(
            error.contains(&format!("missing field `{name}`")),
            "{error}"
        );
    }
    assert!(v1(&format!("{{{}}}", keys.join(","))).is_ok());
}

#[test]
fn of_a_key_that_stands_twice_the_last_counts() {
    let message = v1(r#"{"topic":"a","topic":"b","event":"e","payload":1,"payload":2,"ref":null}"#);
    let message = message.unwrap();
    assert_eq!(message.topic, "b");
    assert_eq!(message.payload, Payload::Json("2".into()));
}

#[test]
fn version_1_takes_its_text_in_a_binary_frame() {
    let text = r#"{"topic":"t","event":"e","payload":{},"ref":"1"}"#;
    let decoded = Serializer::V1.decode(Frame::Bytes(text.into())).unwrap();
    assert_eq!(decoded, v1(text).unwrap());
    let error = Serializer::V1.decode(Frame::Bytes(Bytes::from_static(b"{\"\xff")));
    assert!(matches!(error, Err(DecodeError::NotUtf8 { .. })));
}

#[test]
fn each_version_refuses_the_shape_of_the_other() {
    let error = chain(v1(r#"["1","1","t","e",{}]"#));
    assert!(error.starts_with("the text is not an object with topic, event, payload and ref"));
    let error = chain(v2(r#"{"topic":"t","event":"e","payload":{},"ref":"1"}"#));
    assert!(error.starts_with("the text is not [join_ref, ref, topic, event, payload]"));
}

#[test]
fn an_array_of_any_length_is_no_message_of_version_1() {
    let five = ["\"t\"", "\"e\"", "{}", "\"1\"", "\"1\""];
    for len in 0..=5 {
        let error = chain(v1(&format!("[{}]", five[..len].join(","))));
        assert!(error.contains("invalid type: sequence"), "{error}");
    }
}

#[test]
fn elements_beyond_the_fifth_are_ignored() {
    let message = v2(r#" [ null , "2" , "t" , "e" , null , {"a":[1]} , 7 ] "#).unwrap();
    assert_eq!(message.reference, Some(Ref::new("2")));
    assert_eq!(message.payload, Payload::Json("null".into()));
}

#[test]
fn fewer_than_five_elements_are_an_error_that_counts_them() {
    let five = ["null", "\"1\"", "\"t\"", "\"e\"", "{}"];
    for len in 0..5 {
        let error = chain(v2(&format!("[{}]", five[..len].join(","))));
        assert!(error.contains(&format!("invalid length {len}")), "{error}");
    }
}

#[test]
fn a_ref_is_a_string_a_whole_number_or_null() {
    for other in ["1.5", "9223372036854775808", "true", "{}", "[]"] {
        let error = chain(v2(&format!(r#"[null,{other},"t","e",{{}}]"#)));
        assert!(
            error.contains("a string, a whole number or null") || error.contains("63 bits"),
            "{error}"
        );
        let text = format!(r#"{{"topic":"t","event":"e","payload":{{}},"ref":{other}}}"#);
        let error = chain(v1(&text));
        assert!(
            error.contains("a string, a whole number or null") || error.contains("63 bits"),
            "{error}"
        );
    }
    let message = v2(r#"[7,-1,"t","e",{}]"#).unwrap();
    assert_eq!(message.join_ref, Some(Ref::number(7)));
    assert_eq!(message.reference, Some(Ref::number(-1)));
    let message = v2(r#"["","null","t","e",{}]"#).unwrap();
    assert_eq!(message.join_ref, Some(Ref::new("")));
    assert_eq!(message.reference, Some(Ref::new("null")));
}

#[test]
fn a_ref_has_255_bytes_at_most() {
    let frame = |len: usize| format!(r#"["{}",null,"t","e",{{}}]"#, "r".repeat(len));
    assert!(v2(&frame(255)).is_ok());
    assert_eq!(
        chain(v2(&frame(256))),
        "join_ref has 256 bytes: 255 at most"
    );
}

#[test]
fn a_topic_and_an_event_are_strings() {
    for text in [r#"[null,null,null,"e",{}]"#, r#"[null,null,"t",5,{}]"#] {
        assert!(chain(v2(text)).contains("expected a string"), "{text}");
    }
}

#[test]
fn what_is_not_json_is_an_error() {
    for text in [
        "",
        "[",
        "nothing",
        r#"[null,null,"t","e",{}]x"#,
        r#"[null,null,"t","e",{]"#,
        r#"[null,null,"t","e",01]"#,
        r#"[null,null,"t","e",{"a":tru}]"#,
        r#"[null,null,"\ud800","e",{}]"#,
        "[null,null,\"t\",\"e\",\"\n\"]",
    ] {
        assert!(matches!(v2(text), Err(DecodeError::Text { .. })), "{text}");
        assert!(matches!(v1(text), Err(DecodeError::Text { .. })), "{text}");
    }
}

#[test]
fn an_error_does_not_repeat_what_the_client_sent() {
    let secret = "s3cr3t";
    for text in [
        format!(r#""{secret}""#),
        format!(r#"["{secret}"]"#),
        format!(r#"[null,null,"{secret}",{{"a":"{secret}"}},1]"#),
        format!(r#"[["{secret}"]]"#),
        format!(r#"{{"{secret}":"{secret}"}}"#),
        format!(r#"{{"topic":["{secret}"]}}"#),
        format!(r#"{{"topic":"{secret}","#),
    ] {
        for error in [chain(v1(&text)), chain(v2(&text))] {
            assert!(!error.contains(secret), "{error}");
        }
    }
}

#[test]
fn nesting_without_end_is_read_without_a_stack() {
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let message = v2(&format!(r#"[null,null,"t","e",{deep},{deep}]"#)).unwrap();
    assert_eq!(message.payload, Payload::Json(deep.as_str().into()));
    assert!(v2(&"[".repeat(200_000)).is_err());
    assert!(v1(&"{\"a\":".repeat(200_000)).is_err());
}

#[test]
fn an_escaped_string_is_read_as_what_it_means() {
    let message = v2(r#"["\u0031",null,"room\u003a\"1","\ud83d\ude00",{}]"#).unwrap();
    assert_eq!(message.join_ref, Some(Ref::new("1")));
    assert_eq!(message.topic, "room:\"1");
    assert_eq!(message.event, "😀");
}

#[test]
fn a_message_lies_in_its_frame() {
    let frame = ByteString::from(r#"["1","2","room:1","e", {"a" : "\n"} ]"#);
    let range = frame.as_bytes().as_ptr_range();
    let message = Serializer::V2.decode(Frame::Text(frame.clone())).unwrap();
    let Payload::Json(payload) = &message.payload else {
        panic!("not JSON");
    };
    assert_eq!(payload, r#"{"a" : "\n"}"#);
    let references = [&message.join_ref, &message.reference];
    let references = references.map(|reference| reference.as_ref().unwrap().text());
    let parts = [&**payload, &*message.topic, &*message.event];
    let references = references.each_ref().map(|reference| &**reference);
    for part in parts.into_iter().chain(references) {
        assert!(range.contains(&part.as_ptr()), "{part}");
    }
    assert_eq!(message.size, frame.len());
}

#[test]
fn a_binary_payload_lies_in_its_frame() {
    let frame = Bytes::from_static(b"\x00\x01\x01\x01\x01jrtepayload");
    let range = frame.as_ptr_range();
    let message = Serializer::V2.decode(Frame::Bytes(frame.clone())).unwrap();
    let Payload::Binary(payload) = message.payload else {
        panic!("not bytes");
    };
    assert_eq!(payload, "payload");
    assert!(range.contains(&payload.as_ptr()) && range.contains(&message.topic.as_ptr()));
}

#[test]
fn a_binary_push_without_a_join_ref_has_the_empty_one() {
    let message = binary(b"\x00\x00\x00\x01\x01te").unwrap();
    assert_eq!(message.join_ref, Some(Ref::new("")));
    assert_eq!(message.payload, Payload::Binary(Bytes::new()));
}

#[test]
fn a_client_sends_binary_pushes_only() {
    for kind in 1..=255 {
        let error = chain(binary(&[kind, 0, 0, 1, 1, b't', b'e']));
        assert!(error.contains(&format!("kind {kind}:")), "{error}");
    }
    assert!(matches!(binary(&[1]), Err(DecodeError::Kind { kind: 1 })));
}

#[test]
fn a_binary_frame_that_ends_too_early_is_an_error() {
    let whole = b"\x00\x02\x03\x05\x0512123topicevent";
    assert!(binary(whole).is_ok());
    for len in 0..whole.len() {
        let error = binary(&whole[..len]).unwrap_err();
        assert!(
            matches!(error, DecodeError::Overrun { len: told, .. } if told == len),
            "{error}"
        );
    }
    let error = chain(binary(&[0, 255, 255, 255, 255]));
    assert_eq!(error, "a binary frame of 5 bytes announces 1025");
}

#[test]
fn the_strings_of_a_binary_frame_are_utf_8() {
    for (at, name) in ["join_ref", "ref", "topic", "event"].iter().enumerate() {
        let mut frame = *b"\x00\x01\x01\x01\x01jrte";
        frame[5 + at] = 0xe9;
        let error = chain(binary(&frame));
        assert!(
            error.starts_with(&format!("{name} is not UTF-8")),
            "{error}"
        );
    }
    // The payload is anything.
    assert!(binary(b"\x00\x01\x01\x01\x01jrte\xff").is_ok());
}
