//! Frames byte for byte: §1.3, §1.4, and the serializer vectors of §5.4.

use bytes::Bytes;
use bytestring::ByteString;

use towpath_layer_core::Frame;

use crate::protocol::phoenix::*;

const BOTH: Carries = Carries::TextAndBytes;

fn json(text: &'static str) -> Payload {
    Payload::Json(ByteString::from_static(text))
}

fn binary() -> Payload {
    Payload::Binary(Bytes::from_static(b"efg"))
}

fn text(frame: &'static str) -> Frame {
    Frame::Text(ByteString::from_static(frame))
}

fn bytes(frame: &[&[u8]]) -> Frame {
    Frame::Bytes(frame.concat().into())
}

fn message(refs: [Option<&str>; 2], topic: &str, event: &str, payload: Payload) -> Incoming {
    let [join_ref, reference] = refs.map(|reference| reference.map(Ref::new));
    Incoming {
        join_ref,
        reference,
        topic: topic.into(),
        event: event.into(),
        payload,
        size: 0,
    }
}

#[track_caller]
fn check_decode(serializer: Serializer, frame: Frame, expected: Incoming) {
    let size = frame.as_bytes().len();
    let expected = Incoming { size, ..expected };
    assert_eq!(serializer.decode(frame).unwrap(), expected);
}

fn push(join_ref: Option<&str>, topic: &str, event: &str, payload: &Payload) -> [Frame; 2] {
    let join_ref = join_ref.map(Ref::new);
    let push = Push {
        join_ref: join_ref.as_ref(),
        topic,
        event,
        payload,
    };
    [Serializer::V1, Serializer::V2].map(|version| version.encode_push(&push, BOTH).unwrap())
}

#[test]
fn a_join_is_read_in_both_versions() {
    let join = message(
        [Some("1"), Some("1")],
        "room:1",
        "phx_join",
        json(r#"{"token":"x"}"#),
    );
    let v1 =
        r#"{"topic":"room:1","event":"phx_join","payload":{"token":"x"},"ref":"1","join_ref":"1"}"#;
    let v2 = r#"["1","1","room:1","phx_join",{"token":"x"}]"#;
    check_decode(Serializer::V1, text(v1), join.clone());
    check_decode(Serializer::V2, text(v2), join);
}

#[test]
fn version_1_reads_the_vector_of_phoenix() {
    let vector = r#"{"event":"e","payload":"m","ref":null,"topic":"t"}"#;
    let expected = message([None, None], "t", "e", json("\"m\""));
    check_decode(Serializer::V1, text(vector), expected);
}

#[test]
fn version_2_reads_the_vector_of_phoenix() {
    let expected = message([None, None], "t", "e", json(r#"{"m":1}"#));
    check_decode(
        Serializer::V2,
        text(r#"[null,null,"t","e",{"m":1}]"#),
        expected,
    );
}

#[test]
fn version_2_reads_the_binary_vector_of_phoenix() {
    let frame = bytes(&[&[0, 2, 3, 5, 5], b"12", b"123", b"topic", b"event", b"efg"]);
    let expected = message([Some("12"), Some("123")], "topic", "event", binary());
    check_decode(Serializer::V2, frame, expected);
}

#[test]
fn a_push_carries_its_join_ref_in_version_2_alone() {
    let payload = json(r#"{"m":1}"#);
    let [v1, v2] = push(Some("1"), "room:1", "new_msg", &payload);
    assert_eq!(
        v1,
        text(r#"{"topic":"room:1","event":"new_msg","ref":null,"payload":{"m":1}}"#)
    );
    assert_eq!(v2, text(r#"["1",null,"room:1","new_msg",{"m":1}]"#));
    let [_, v2] = push(None, "t", "e", &payload);
    assert_eq!(v2, text(r#"[null,null,"t","e",{"m":1}]"#));
}

#[test]
fn a_reply_holds_a_status_and_a_response() {
    let one = Ref::new("1");
    let reply = Reply {
        join_ref: Some(&one),
        reference: Some(&one),
        topic: "room:1",
        status: "ok",
        response: &Payload::empty(),
    };
    assert_eq!(
        Serializer::V1.encode_reply(&reply, BOTH).unwrap(),
        text(
            r#"{"topic":"room:1","event":"phx_reply","ref":"1","payload":{"status":"ok","response":{}}}"#
        )
    );
    assert_eq!(
        Serializer::V2.encode_reply(&reply, BOTH).unwrap(),
        text(r#"["1","1","room:1","phx_reply",{"status":"ok","response":{}}]"#)
    );
    let heartbeat = Reply {
        join_ref: None,
        reference: None,
        topic: "phoenix",
        response: &json("[1]"),
        ..reply
    };
    assert_eq!(
        Serializer::V2.encode_reply(&heartbeat, BOTH).unwrap(),
        text(r#"[null,null,"phoenix","phx_reply",{"status":"ok","response":[1]}]"#)
    );
}

#[test]
fn a_broadcast_has_no_refs() {
    let broadcast = Broadcast {
        topic: "t",
        event: "e",
        payload: &json(r#"{"m":1}"#),
    };
    assert_eq!(
        Serializer::V1.encode_broadcast(&broadcast, BOTH).unwrap(),
        text(r#"{"topic":"t","event":"e","ref":null,"payload":{"m":1}}"#)
    );
    assert_eq!(
        Serializer::V2.encode_broadcast(&broadcast, BOTH).unwrap(),
        text(r#"[null,null,"t","e",{"m":1}]"#)
    );
}

#[test]
fn an_end_has_the_join_ref_twice() {
    let one = Ref::new("1");
    let (v1, v2) = (Serializer::V1, Serializer::V2);
    assert_eq!(
        v1.encode_close("room:1", Some(&one)),
        text(r#"{"topic":"room:1","event":"phx_close","ref":"1","payload":{}}"#)
    );
    assert_eq!(
        v2.encode_close("room:1", Some(&one)),
        text(r#"["1","1","room:1","phx_close",{}]"#)
    );
    assert_eq!(
        v2.encode_error("room:1", Some(&one)),
        text(r#"["1","1","room:1","phx_error",{"reason":"channel_crash"}]"#)
    );
    assert_eq!(
        v1.encode_error("room:1", None),
        text(
            r#"{"topic":"room:1","event":"phx_error","ref":null,"payload":{"reason":"channel_crash"}}"#
        )
    );
}

#[test]
fn binary_frames_are_laid_out_as_phoenix_does() {
    let (twelve, more) = (Ref::new("12"), Ref::new("123"));
    let payload = &binary();
    let (topic, event) = ("topic", "event");
    let v2 = Serializer::V2;
    let push = Push {
        join_ref: Some(&twelve),
        topic,
        event,
        payload,
    };
    assert_eq!(
        v2.encode_push(&push, BOTH).unwrap(),
        bytes(&[&[0, 2, 5, 5], b"12", b"topic", b"event", b"efg"])
    );
    let reply = Reply {
        join_ref: Some(&twelve),
        reference: Some(&more),
        topic,
        status: "ok",
        response: payload,
    };
    assert_eq!(
        v2.encode_reply(&reply, BOTH).unwrap(),
        bytes(&[&[1, 2, 3, 5, 2], b"12", b"123", b"topic", b"ok", b"efg"])
    );
    let broadcast = Broadcast {
        topic,
        event,
        payload,
    };
    assert_eq!(
        v2.encode_broadcast(&broadcast, BOTH).unwrap(),
        bytes(&[&[2, 5, 5], b"topic", b"event", b"efg"])
    );
}

#[test]
fn a_ref_that_is_null_has_no_length_in_a_binary_frame() {
    let reply = Reply {
        join_ref: None,
        reference: None,
        topic: "t",
        status: "ok",
        response: &binary(),
    };
    assert_eq!(
        Serializer::V2.encode_reply(&reply, BOTH).unwrap(),
        bytes(&[&[1, 0, 0, 1, 2], b"t", b"ok", b"efg"])
    );
}

#[test]
fn a_string_too_long_for_a_binary_frame_is_an_error() {
    let long = "t".repeat(256);
    // 254 bytes and two: what counts is bytes.
    let wide = format!("{}é", "t".repeat(254));
    let long_ref = Ref::new(long.as_str());
    let payload = &binary();
    let field = |result: Result<Frame, EncodeError>| match result {
        Err(EncodeError::HeaderTooLong { field, len: 256 }) => field,
        other => panic!("{other:?}"),
    };
    let push = |join_ref, topic, event| {
        let push = Push {
            join_ref,
            topic,
            event,
            payload,
        };
        Serializer::V2.encode_push(&push, BOTH)
    };
    assert_eq!(field(push(None, &long, "e")), "topic");
    assert_eq!(field(push(None, &wide, "e")), "topic");
    assert_eq!(field(push(None, "t", &long)), "event");
    assert_eq!(field(push(Some(&long_ref), "t", "e")), "join_ref");
    assert!(push(None, &long[1..], &long[1..]).is_ok());
    let reply = |reference, status| {
        let reply = Reply {
            join_ref: None,
            reference,
            topic: "t",
            status,
            response: payload,
        };
        Serializer::V2.encode_reply(&reply, BOTH)
    };
    assert_eq!(field(reply(Some(&long_ref), "ok")), "ref");
    assert_eq!(field(reply(None, &long)), "status");
    let broadcast = |topic, event| {
        let broadcast = Broadcast {
            topic,
            event,
            payload,
        };
        Serializer::V2.encode_broadcast(&broadcast, BOTH)
    };
    assert_eq!(field(broadcast(&long, "e")), "topic");
    assert_eq!(field(broadcast("t", &long)), "event");
}

#[test]
fn bytes_go_to_version_2_over_websocket_alone() {
    let payload = &binary();
    let (topic, event) = ("t", "e");
    let broadcast = Broadcast {
        topic,
        event,
        payload,
    };
    let v1 = Serializer::V1.encode_broadcast(&broadcast, BOTH);
    assert_eq!(v1, Err(EncodeError::BinaryInV1));
    let polled = Serializer::V2.encode_broadcast(&broadcast, Carries::TextOnly);
    assert_eq!(polled, Err(EncodeError::BinaryOverText));
    let reply = Reply {
        join_ref: None,
        reference: None,
        topic,
        status: "ok",
        response: payload,
    };
    let polled = Serializer::V2.encode_reply(&reply, Carries::TextOnly);
    assert_eq!(polled, Err(EncodeError::BinaryOverText));
    let push = Push {
        join_ref: None,
        topic,
        event,
        payload,
    };
    let polled = Serializer::V2.encode_push(&push, Carries::TextOnly);
    assert_eq!(polled, Err(EncodeError::BinaryOverText));
}

#[test]
fn version_2_sends_objects_and_replies_anything() {
    let payload = &json("\"invalid\"");
    let (topic, event) = ("t", "e");
    let refused = Err(EncodeError::NotAnObject {
        event: event.to_owned(),
    });
    let broadcast = Broadcast {
        topic,
        event,
        payload,
    };
    let push = Push {
        join_ref: None,
        topic,
        event,
        payload,
    };
    let v2 = Serializer::V2;
    assert_eq!(v2.encode_broadcast(&broadcast, BOTH), refused);
    assert_eq!(v2.encode_push(&push, BOTH), refused);
    assert!(Serializer::V1.encode_push(&push, BOTH).is_ok());
    let reply = Reply {
        join_ref: None,
        reference: None,
        topic,
        status: "ok",
        response: payload,
    };
    assert_eq!(
        v2.encode_reply(&reply, BOTH).unwrap(),
        text(r#"[null,null,"t","phx_reply",{"status":"ok","response":"invalid"}]"#)
    );
}

#[test]
fn strings_are_escaped_on_the_way_out() {
    let (quote, backslash) = (Ref::new("\""), Ref::new("\\"));
    let reply = Reply {
        join_ref: Some(&quote),
        reference: Some(&backslash),
        topic: "a\nb",
        status: "\u{1}",
        response: &Payload::empty(),
    };
    assert_eq!(
        Serializer::V2.encode_reply(&reply, BOTH).unwrap(),
        text(r#"["\"","\\","a\nb","phx_reply",{"status":"\u0001","response":{}}]"#)
    );
}
