//! First in, first out, and unchanged (contract §2, §3.1; I1, I11).

use bytes::Bytes;
use towpath_layer_core::{
    Accept, Application, Completion, Content, Deny, Event, EventKind, Frame, GroupChange,
    Handshake, Message, NodeId, Outcome, Reply, SeededEntropy, Taken,
};

use super::support::{Peer, Reader, channel, empty, group, message, send, within};
use crate::Factory;

/// What was sent first is received first.
pub async fn messages_come_in_the_order_of_sending(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let layer = backend.node().await;
    let name = channel("big.work");
    for number in 0..500 {
        send(&layer, &name, number).await;
    }
    let mut reader = Reader::new(&layer, &[&name]);
    assert_eq!(reader.take(500).await, (0..500).collect::<Vec<_>>());
}

/// A batch is in order, also beside other channels in it.
pub async fn a_batch_is_in_order(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let layer = backend.node().await;
    let (even, odd) = (channel("big.even"), channel("big.odd"));
    let batch = (0..400).map(|number| {
        let name = if number % 2 == 0 { &even } else { &odd };
        (name.clone(), message(number))
    });
    let sent = within("send_many", layer.send_many(batch.collect())).await;
    assert_eq!(sent.len(), 400);
    assert!(sent.iter().all(Result::is_ok));
    for (name, first) in [(even, 0), (odd, 1)] {
        let mut reader = Reader::new(&layer, &[&name]);
        let expected: Vec<_> = (first..400).step_by(2).collect();
        assert_eq!(reader.take(200).await, expected, "{name}");
    }
}

/// The order holds when the messages are sent by turns from two nodes, while a
/// third receives.
pub async fn the_order_holds_between_nodes(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let senders = [backend.node().await, backend.node().await];
    let layer = backend.node().await;
    let name = channel("work");
    let mut reader = Reader::new(&layer, &[&name]);
    let sending = async {
        for number in 0..300 {
            let sender = &senders[usize::from(number % 2 == 0)];
            let room = within("room", sender.room(&name));
            room.await.unwrap();
            send(sender, &name, number).await;
        }
    };
    let (numbers, ()) = futures_util::join!(reader.take(300), sending);
    assert_eq!(numbers, (0..300).collect::<Vec<_>>());
}

/// A single-reader channel is read in another node than it is filled from.
pub async fn a_single_reader_channel_keeps_the_order(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let (sender, layer) = (backend.node().await, backend.node().await);
    let name = layer.new_channel("body").unwrap();
    for number in 0..50 {
        send(&sender, &name, number).await;
    }
    let mut reader = Reader::new(&layer, &[&name]);
    assert_eq!(reader.take(50).await, (0..50).collect::<Vec<_>>());
}

/// Every kind of message comes out as it went in: text stays text, bytes stay
/// bytes, empty stays empty, and a payload of the largest size is whole.
pub async fn every_message_arrives_as_it_was_sent(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let (sender, peer) = (backend.node().await, Peer::new(&*backend).await);
    let name = channel("work");
    let mut reader = Reader::new(&peer.layer, &[&name]);
    let (local, reply_channel) = peer.connect();
    let event = |kind| {
        Message::Event(Event {
            reply_channel: reply_channel.clone(),
            path: "/chat/ä".into(),
            topic: None,
            order: u64::MAX,
            attempt: 7,
            session: Bytes::from_static(b"\x81\xa1a\x01"),
            kind,
        })
    };
    let large: Vec<u8> = (0..1 << 20).map(|at: u32| at.to_le_bytes()[0]).collect();
    let messages = [
        event(EventKind::Connect(Box::new(handshake()))),
        event(EventKind::Receive(Frame::Text("\u{0}é🛶".into()))),
        event(EventKind::Receive(Frame::Bytes(Bytes::new()))),
        event(EventKind::Receive(Frame::Text("".into()))),
        event(EventKind::Receive(Frame::Bytes(large.into()))),
        event(EventKind::Application(Box::new(Application::new(
            "chat.message",
            Content::encode(&("a", 1)).unwrap(),
        )))),
        event(EventKind::Disconnect {
            code: 1006,
            reason: "gone".into(),
        }),
        Message::Custom(Content::default()),
        Message::Reply(full_reply()),
    ];
    for message in messages {
        let sent = within("send", sender.send(&name, message.clone())).await;
        sent.unwrap();
        let received = reader.received(1).await.remove(0);
        assert_eq!(received.channel, name);
        assert!(received.message == message, "it came as another message");
    }
    for reply in [full_reply(), Reply::text(""), Reply::bytes("")] {
        let sent = sender.send(&reply_channel, reply.clone().into());
        within("send", sent).await.unwrap();
        peer.sink.expect(local, &reply).await;
    }
}

fn handshake() -> Handshake {
    Handshake {
        scheme: "wss".into(),
        query_string: Bytes::from_static(b"a=%20"),
        headers: vec![("cookie".into(), Bytes::from_static(b"\xff\x01"))],
        client: Some(("::1".into(), 65_535)),
        server: None,
        subprotocols: vec!["v1".into(), "v2".into()],
    }
}

fn full_reply() -> Reply {
    Reply {
        taken: Some(Taken {
            attempt: 3,
            worker: NodeId::random(&SeededEntropy::new(1)),
        }),
        accept: Some(Box::new(Accept {
            subprotocol: Some("v1".into()),
            headers: vec![("x-a".into(), Bytes::from_static(b"1"))],
        })),
        deny: Some(Box::new(Deny {
            status: 403,
            headers: Vec::new(),
            body: Bytes::from_static(b"no"),
        })),
        completion: Some(Box::new(Completion {
            attempt: 3,
            outcome: Outcome::Done {
                session: Some(Bytes::from_static(b"s")),
            },
            groups: vec![
                GroupChange::add(group("room"), Bytes::from_static(b"m")),
                GroupChange::Discard {
                    group: group("hall"),
                    listener: 7,
                },
            ],
        })),
        frame: Some(Frame::Bytes(Bytes::from_static(b"\x00\xff"))),
        event: Some(Box::new(Application::new(
            "tick",
            Content::encode(&1).unwrap(),
        ))),
        ..Reply::close(4000, "bye")
    }
}
