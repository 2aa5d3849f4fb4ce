//! Property tests of the codec: what is written is read, and garbage is refused.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what it expects by unwrapping"
)]

use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use towpath_layer_core::presence::{Change, ChangeKind, Entry, Source};
use towpath_layer_core::{
    Application, Broadcast, ChannelName, CodecError, Completion, Content, Event, EventKind, Frame,
    GroupChange, GroupName, Handshake, InboxEntry, Join, LocalId, Message, MessageId, NodeId,
    Outcome, Poll, PollAnswer, PollFrom, Position, Push, Reference, Reply, Resume, SeededEntropy,
    Taken, Tick, TopicReply, Tracking, decode, encode,
};

fn frame() -> impl Strategy<Value = Frame> {
    prop_oneof![
        any::<String>().prop_map(|text| Frame::Text(text.into())),
        any::<Vec<u8>>().prop_map(|bytes| Frame::Bytes(bytes.into())),
    ]
}

fn application() -> impl Strategy<Value = Application> {
    let stream = proptest::option::of(any::<String>());
    (any::<String>(), any::<Vec<u8>>(), stream).prop_map(|(name, content, stream)| Application {
        name: name.into(),
        content: Content::from_encoded(content.into()),
        stream: stream.map(Into::into),
    })
}

fn reference() -> impl Strategy<Value = Reference> {
    prop_oneof![
        any::<String>().prop_map(|text| Reference::Text(text.into())),
        any::<i64>().prop_map(Reference::Number),
    ]
}

fn push() -> impl Strategy<Value = Push> {
    let stream = proptest::option::of(any::<String>());
    let reference = proptest::option::of(reference());
    (any::<String>(), frame(), reference, stream).prop_map(|(event, payload, reference, stream)| {
        Push {
            event: event.into(),
            payload,
            reference,
            stream: stream.map(Into::into),
        }
    })
}

fn presence() -> impl Strategy<Value = Change> {
    fn entry(
        (reference, previous, key, meta): (String, Option<String>, String, String),
    ) -> Arc<Entry> {
        Arc::new(Entry {
            reference: reference.into(),
            previous: previous.map(Into::into),
            key: key.into(),
            meta: meta.into(),
        })
    }
    let entries = || {
        proptest::collection::vec(
            any::<(String, Option<String>, String, String)>().prop_map(entry),
            0..3,
        )
    };
    let kind = prop_oneof![
        (entries(), any::<Vec<String>>()).prop_map(|(joins, leaves)| ChangeKind::Delta {
            joins,
            leaves: leaves.into_iter().map(Into::into).collect(),
        }),
        entries().prop_map(|entries| ChangeKind::Full { entries }),
        any::<u64>().prop_map(|digest| ChangeKind::Beat { digest }),
    ];
    (any::<u64>(), any::<u8>(), any::<u64>(), kind).prop_map(
        |(incarnation, shard, version, kind)| Change {
            source: Source {
                node: node(),
                incarnation,
                shard,
            },
            version,
            kind,
        },
    )
}

fn tracking() -> impl Strategy<Value = Tracking> {
    let text = || any::<String>().prop_map(bytestring::ByteString::from);
    prop_oneof![
        (text(), text(), text()).prop_map(|(topic, key, meta)| Tracking::Track {
            topic,
            key,
            meta
        }),
        (text(), text()).prop_map(|(topic, key)| Tracking::Untrack { topic, key }),
        (text(), any::<bool>()).prop_map(|(topic, diffs)| Tracking::Watch { topic, diffs }),
    ]
}

fn topic_reply() -> impl Strategy<Value = TopicReply> {
    prop_oneof![
        frame().prop_map(|response| TopicReply::Joined { response }),
        frame().prop_map(|response| TopicReply::Refused { response }),
        (any::<String>(), frame()).prop_map(|(event, payload)| TopicReply::Push {
            event: event.into(),
            payload,
        }),
        (reference(), any::<String>(), frame()).prop_map(|(reference, status, response)| {
            TopicReply::Answer {
                reference,
                status: status.into(),
                response,
            }
        }),
        (any::<(String, String)>(), frame(), any::<Option<u64>>()).prop_map(
            |((topic, event), payload, except)| {
                TopicReply::Broadcast(Broadcast {
                    topic: topic.into(),
                    event: event.into(),
                    payload,
                    except: except.map(|id| ChannelName::reply(node(), LocalId(id))),
                })
            }
        ),
        presence().prop_map(|change| TopicReply::Presence(Box::new(change))),
        tracking().prop_map(TopicReply::Tracking),
        any::<(
            String,
            Option<String>,
            u32,
            Option<(u64, u64)>,
            Option<String>
        )>()
        .prop_map(|(topic, last_seen_id, latest, from, member)| {
            TopicReply::Resume(Box::new(Resume {
                topic: topic.into(),
                last_seen_id: last_seen_id.map(Into::into),
                latest,
                from: from.map(|(epoch, offset)| Position { epoch, offset }),
                member: member.map(Into::into),
            }))
        }),
        Just(TopicReply::Stop),
    ]
}

fn poll() -> impl Strategy<Value = Poll> {
    let from = any::<(u64, Vec<u8>)>().prop_map(|(id, secret)| PollFrom {
        channel: ChannelName::reply(node(), LocalId(id)),
        secret: secret.into(),
    });
    prop_oneof![
        from.clone().prop_map(Poll::Read),
        (from, proptest::collection::vec(frame(), 0..3))
            .prop_map(|(from, frames)| Poll::Write { from, frames }),
        Just(Poll::Waits),
        any::<(u16, Vec<String>)>().prop_map(|(status, messages)| {
            let messages = messages.into_iter().map(Into::into).collect();
            Poll::Answer(PollAnswer { status, messages })
        }),
    ]
}

fn kind() -> impl Strategy<Value = EventKind> {
    prop_oneof![
        (
            any::<Vec<u8>>(),
            any::<Vec<(String, Vec<u8>)>>(),
            any::<Option<(String, u16)>>()
        )
            .prop_map(|(query, headers, client)| {
                EventKind::Connect(Box::new(Handshake {
                    scheme: "ws".into(),
                    query_string: query.into(),
                    headers: headers
                        .into_iter()
                        .map(|(name, value)| (name.into(), value.into()))
                        .collect(),
                    client: client.map(|(host, port)| (host.into(), port)),
                    ..Handshake::default()
                }))
            }),
        frame().prop_map(EventKind::Receive),
        (frame(), any::<Vec<u8>>()).prop_map(|(payload, socket)| {
            let socket = socket.into();
            EventKind::Join(Box::new(Join { payload, socket }))
        }),
        push().prop_map(|push| EventKind::In(Box::new(push))),
        push().prop_map(|push| EventKind::Out(Box::new(push))),
        application().prop_map(|event| EventKind::Application(Box::new(event))),
        (any::<u16>(), any::<String>()).prop_map(|(code, reason)| EventKind::Disconnect {
            code,
            reason: reason.into()
        }),
    ]
}

fn node() -> NodeId {
    NodeId::random(&SeededEntropy::new(3))
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        any::<Option<Vec<u8>>>().prop_map(|session| Outcome::Done {
            session: session.map(Bytes::from)
        }),
        any::<String>().prop_map(|id| Outcome::Failed {
            error_id: id.into()
        }),
        Just(Outcome::Lost),
        Just(Outcome::Retry),
    ]
}

fn reply() -> impl Strategy<Value = Reply> {
    let parts = (
        any::<Option<u64>>(),
        proptest::option::of(frame()),
        (
            proptest::collection::vec(topic_reply(), 0..3),
            proptest::option::of(poll()),
            proptest::option::of(application()),
        ),
        any::<Option<(String, Option<std::time::Duration>)>>(),
        any::<Option<(u16, String)>>(),
        proptest::option::of((any::<u64>(), outcome())),
        any::<Option<(u64, u64)>>(),
    );
    parts.prop_map(
        |(taken, frame, (topic, poll, event), tick, close, completion, position)| Reply {
            position: position.map(|(epoch, offset)| Box::new(Position { epoch, offset })),
            taken: taken.map(|attempt| Taken {
                attempt,
                worker: node(),
            }),
            frame,
            topic,
            poll: poll.map(Box::new),
            event: event.map(Box::new),
            tick: tick.map(|(name, every)| {
                let stream = every.map(|_| "news".into());
                Box::new(Tick {
                    name: name.into(),
                    every,
                    stream,
                })
            }),
            close: close.and_then(|(code, reason)| Reply::close(code, reason).close),
            completion: completion.map(|(attempt, outcome)| {
                let group = GroupName::new("room").unwrap();
                let listener = u8::try_from(attempt % 3).unwrap_or_default();
                let groups = vec![GroupChange::Add {
                    group,
                    meta: Bytes::from_static(b"\x00\xff"),
                    listener,
                }];
                Box::new(Completion {
                    attempt,
                    outcome,
                    groups,
                })
            }),
            ..Reply::default()
        },
    )
}

fn message() -> impl Strategy<Value = Message> {
    let event = (
        any::<u64>(),
        any::<u64>(),
        any::<Vec<u8>>(),
        any::<(String, Option<String>)>(),
        kind(),
    )
        .prop_map(|(order, attempt, session, (path, topic), kind)| {
            Message::Event(Event {
                reply_channel: ChannelName::reply(node(), LocalId(order)),
                path: path.into(),
                topic: topic.map(Into::into),
                order,
                attempt,
                session: session.into(),
                kind,
            })
        });
    prop_oneof![
        event,
        reply().prop_map(Message::Reply),
        any::<Vec<u8>>().prop_map(|bytes| Message::Custom(Content::from_encoded(bytes.into()))),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read(id in any::<u128>(), message in message()) {
        let entry = encode(MessageId(id), &message).unwrap();
        prop_assert_eq!(decode::<Message>(&entry).unwrap(), (MessageId(id), message));
    }

    #[test]
    fn an_inbox_entry_is_read_back(id in any::<u128>(), reply in reply(), to in any::<u64>()) {
        let entry = InboxEntry::Reply { to: LocalId(to), reply };
        let wire = encode(MessageId(id), &entry).unwrap();
        prop_assert_eq!(decode::<InboxEntry>(&wire).unwrap(), (MessageId(id), entry));
    }

    #[test]
    fn garbage_is_refused_without_harm(garbage in any::<Vec<u8>>()) {
        drop(decode::<Message>(&garbage));
        let mut versioned = vec![1];
        versioned.extend_from_slice(&garbage);
        drop(decode::<Message>(&versioned));
    }

    #[test]
    fn a_truncated_entry_is_refused(message in message(), cut in any::<prop::sample::Index>()) {
        let entry = encode(MessageId(1), &message).unwrap();
        let cut = cut.index(entry.len());
        prop_assert!(decode::<Message>(&entry[..cut]).is_err());
    }
}

#[test]
fn an_unknown_version_is_refused_by_name() {
    let message = Message::Custom(Content::default());
    let mut entry = encode(MessageId(1), &message).unwrap().to_vec();
    entry[0] = 9;
    let error = decode::<Message>(&entry).unwrap_err();
    assert!(matches!(error, CodecError::Version { found: 9 }), "{error}");
    assert_eq!(
        error.to_string(),
        "entry of version 9; versions 1 to 1 are read"
    );
}

#[test]
fn an_entry_is_a_map_with_named_fields() {
    let message = Message::Reply(Reply::text("hi"));
    let entry = encode(MessageId(2), &message).unwrap();
    assert_eq!(
        &entry[..17],
        [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]
    );
    assert_eq!(
        &entry[17..],
        b"\x81\xa5reply\x81\xa5frame\x81\xa4text\xa2hi"
    );
}
