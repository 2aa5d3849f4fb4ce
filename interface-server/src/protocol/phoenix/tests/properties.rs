//! What holds for all frames.

use bytestring::ByteString;
use proptest::prelude::*;
use serde_json::{Map, Value};

use super::client::{Content, Told, read_v1, read_v2};
use towpath_layer_core::Frame;

use crate::protocol::phoenix::*;

const BOTH: Carries = Carries::TextAndBytes;

/// Text with all that has to be escaped, short enough for a binary frame.
fn strings() -> impl Strategy<Value = String> {
    let chars = prop_oneof![
        4 => any::<char>(),
        1 => prop::sample::select(vec!['"', '\\', '\n', '\0', '\u{7f}', '\u{2028}']),
    ];
    prop::collection::vec(chars, 0..40).prop_map(|chars| chars.into_iter().collect())
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        strings().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            objects(inner),
        ]
    })
}

fn objects(values: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    prop::collection::vec((strings(), values), 0..5)
        .prop_map(|entries| Value::from(entries.into_iter().collect::<Map<_, _>>()))
}

fn told(content: impl Strategy<Value = Content>) -> impl Strategy<Value = Told> {
    let reference = || prop::option::of(strings());
    (reference(), reference(), strings(), strings(), content).prop_map(
        |(join_ref, reference, topic, event, content)| Told {
            join_ref,
            reference,
            topic,
            event,
            content,
        },
    )
}

fn texts() -> impl Strategy<Value = Told> {
    told(values().prop_map(Content::Json))
}

fn binaries() -> impl Strategy<Value = Told> {
    told(prop::collection::vec(any::<u8>(), 0..100).prop_map(Content::Binary))
}

/// What may be pushed.
fn pushes() -> impl Strategy<Value = Told> {
    let content = prop_oneof![
        objects(values()).prop_map(Content::Json),
        prop::collection::vec(any::<u8>(), 0..100).prop_map(Content::Binary),
    ];
    told(content)
}

fn payload(content: &Content) -> Payload {
    match content {
        Content::Json(value) => Payload::Json(value.to_string().into()),
        Content::Binary(bytes) => Payload::Binary(bytes.clone().into()),
    }
}

fn reference(text: Option<&String>) -> Option<Ref> {
    text.map(|text| Ref::new(text.as_str()))
}

/// As a binary frame tells it: null is the empty string.
fn without_null(reference: Option<String>) -> Option<String> {
    Some(reference.unwrap_or_default())
}

fn decode(serializer: Serializer, text: String) -> Told {
    serializer.decode(Frame::Text(text.into())).unwrap().into()
}

fn written(value: &Value, pretty: bool) -> String {
    if pretty {
        serde_json::to_string_pretty(value).unwrap()
    } else {
        value.to_string()
    }
}

/// Reads a frame in every way; whatever comes out lies in the frame.
fn read_all(bytes: &[u8]) {
    let mut frames = vec![Frame::Bytes(bytes.to_vec().into())];
    if let Ok(text) = ByteString::try_from(bytes) {
        frames.push(Frame::Text(text));
    }
    for serializer in [Serializer::V1, Serializer::V2] {
        for frame in &frames {
            let Ok(message) = serializer.decode(frame.clone()) else {
                continue;
            };
            let payload: &[u8] = match &message.payload {
                Payload::Json(json) => json.as_bytes(),
                Payload::Binary(bytes) => bytes,
            };
            let range = frame.as_bytes().as_ptr_range();
            let references = [&message.join_ref, &message.reference];
            let references = references.into_iter().flatten();
            let strings = message.topic.len() + message.event.len();
            let all: usize = references.map(|reference| reference.text().len()).sum();
            assert!(payload.is_empty() || range.contains(&payload.as_ptr()));
            assert!(all + strings + payload.len() <= bytes.len());
            assert_eq!(message.size, bytes.len());
        }
    }
}

proptest! {
    #[test]
    fn a_clients_text_is_read_as_it_was_written(told in texts(), pretty in any::<bool>()) {
        let v1 = written(&told.to_v1(), pretty);
        prop_assert_eq!(&decode(Serializer::V1, v1), &told);
        let v2 = written(&told.to_v2(), pretty);
        prop_assert_eq!(&decode(Serializer::V2, v2), &told);
    }

    #[test]
    fn a_clients_bytes_are_read_as_they_were_written(told in binaries()) {
        let frame = Frame::Bytes(told.to_binary());
        let read = Told::from(Serializer::V2.decode(frame).unwrap());
        let expected = Told {
            join_ref: without_null(told.join_ref),
            reference: without_null(told.reference),
            ..told
        };
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn a_client_reads_a_push_as_it_was_meant(told in pushes()) {
        let join_ref = reference(told.join_ref.as_ref());
        let payload = payload(&told.content);
        let push = Push {
            join_ref: join_ref.as_ref(),
            topic: &told.topic,
            event: &told.event,
            payload: &payload,
        };
        let v2 = Serializer::V2.encode_push(&push, BOTH).unwrap();
        let v1 = Serializer::V1.encode_push(&push, BOTH);
        let told = Told { reference: None, ..told };
        if matches!(told.content, Content::Json(_)) {
            prop_assert_eq!(read_v2(&v2), told.clone());
            prop_assert_eq!(read_v1(&v1.unwrap()), Told { join_ref: None, ..told });
        } else {
            let join_ref = without_null(told.join_ref.clone());
            prop_assert_eq!(read_v2(&v2), Told { join_ref, ..told });
            prop_assert_eq!(v1, Err(EncodeError::BinaryInV1));
        }
    }

    #[test]
    fn a_client_reads_a_broadcast_as_it_was_meant(told in pushes()) {
        let payload = payload(&told.content);
        let broadcast = Broadcast {
            topic: &told.topic,
            event: &told.event,
            payload: &payload,
        };
        let v2 = Serializer::V2.encode_broadcast(&broadcast, BOTH).unwrap();
        let v1 = Serializer::V1.encode_broadcast(&broadcast, BOTH);
        let told = Told { join_ref: None, reference: None, ..told };
        prop_assert_eq!(read_v2(&v2), told.clone());
        if matches!(told.content, Content::Json(_)) {
            prop_assert_eq!(read_v1(&v1.unwrap()), told);
        } else {
            prop_assert_eq!(v1, Err(EncodeError::BinaryInV1));
        }
    }

    #[test]
    fn a_client_reads_a_reply_as_it_was_meant(
        told in prop_oneof![texts(), binaries()],
        status in strings(),
    ) {
        let join_ref = reference(told.join_ref.as_ref());
        let own = reference(told.reference.as_ref());
        let response = payload(&told.content);
        let reply = Reply {
            join_ref: join_ref.as_ref(),
            reference: own.as_ref(),
            topic: &told.topic,
            status: &status,
            response: &response,
        };
        let v2 = read_v2(&Serializer::V2.encode_reply(&reply, BOTH).unwrap());
        let v1 = Serializer::V1.encode_reply(&reply, BOTH);
        if let Content::Json(response) = &told.content {
            let content = serde_json::json!({"status": status, "response": response});
            let expected = Told {
                event: "phx_reply".into(),
                content: Content::Json(content),
                ..told
            };
            prop_assert_eq!(&v2, &expected);
            let expected = Told { join_ref: None, ..expected };
            prop_assert_eq!(read_v1(&v1.unwrap()), expected);
        } else {
            let expected = Told {
                join_ref: without_null(told.join_ref),
                reference: without_null(told.reference),
                event: status,
                ..told
            };
            prop_assert_eq!(v2, expected);
            prop_assert_eq!(v1, Err(EncodeError::BinaryInV1));
        }
    }

    #[test]
    fn no_bytes_upset_a_decoder(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        read_all(&bytes);
    }

    #[test]
    fn no_damage_upsets_a_decoder(
        told in prop_oneof![texts(), binaries()],
        version_1 in any::<bool>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
        keep in any::<bool>(),
    ) {
        let mut frame = match &told.content {
            Content::Binary(_) => told.to_binary().to_vec(),
            Content::Json(_) if version_1 => told.to_v1().to_string().into_bytes(),
            Content::Json(_) => told.to_v2().to_string().into_bytes(),
        };
        for (at, byte) in damage {
            let at = at.index(frame.len());
            frame[at] = byte;
        }
        if !keep {
            frame.truncate(cut.index(frame.len()));
        }
        read_all(&frame);
    }

    #[test]
    fn no_text_upsets_the_negotiation(vsn in "[0-9a-z.+~> -]{0,12}") {
        let negotiated = negotiate(Some(&vsn));
        prop_assert!(negotiated.is_none() || vsn.starts_with("1.0.") || vsn.starts_with("2.0."));
    }
}
