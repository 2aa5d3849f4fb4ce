//! Errors, each with its limit (contract §2, §7).

use bytes::Bytes;
use towpath_layer_core::{Content, Event, EventKind, Frame, Message, Reply, SendError};

use super::support::{
    Peer, Reader, add, channel, empty, group, limits, message, nothing_waits, send, within,
};
use crate::Factory;

fn content(size: usize) -> Message {
    Content::from_encoded(Bytes::from(vec![0; size])).into()
}

#[track_caller]
fn too_large(sent: &SendError, size_max: usize) {
    match sent {
        SendError::MessageTooLarge { size, size_max: of } => {
            assert_eq!((*size, *of), (size_max + 1, size_max));
        }
        other => panic!("{other}"),
    }
}

/// A message of the largest size passes, one byte more is refused, on channels
/// of all kinds and to groups.
pub async fn the_largest_message_passes_and_one_byte_more_does_not(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let peer = Peer::new(&*backend).await;
    let layer = &peer.layer;
    let size_max = layer.limits().message_size_max;
    let name = channel("work");
    let room = group("room");
    let (local, member) = peer.connect();
    add(layer, &room, &member).await;

    let sent = within("send", layer.send(&name, content(size_max + 1))).await;
    too_large(&sent.unwrap_err(), size_max);
    let batch = vec![
        (name.clone(), content(size_max + 1)),
        (name.clone(), content(size_max)),
    ];
    let sent = within("send_many", layer.send_many(batch)).await;
    too_large(sent[0].as_ref().unwrap_err(), size_max);
    assert!(sent[1].is_ok());
    let mut reader = Reader::new(layer, &[&name]);
    assert_eq!(reader.received(1).await[0].message.payload_size(), size_max);
    reader.close().await;
    nothing_waits(layer, &name).await;

    let reply = |size| Reply::bytes(vec![0; size]);
    let sent = layer.send(&member, reply(size_max + 1).into());
    too_large(&within("send", sent).await.unwrap_err(), size_max);
    let sent = layer.group_send(&room, reply(size_max + 1));
    too_large(&within("send", sent).await.unwrap_err(), size_max);
    let sent = layer.group_send(&room, reply(size_max));
    assert_eq!(within("send", sent).await.unwrap().delivered, 1);
    let received = peer.sink.next(local).await;
    assert_eq!(received.payload_size(), size_max);
}

/// What goes with the payload has a limit of its own.
pub async fn the_envelope_has_a_limit_of_its_own(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let peer = Peer::new(&*backend).await;
    let size_max = peer.layer.limits().envelope_size_max;
    let (_, reply_channel) = peer.connect();
    let event = |size: usize| {
        Message::Event(Event {
            reply_channel: reply_channel.clone(),
            path: "/".into(),
            topic: None,
            order: 1,
            attempt: 1,
            session: Bytes::from(vec![0; size - 1]),
            kind: EventKind::Receive(Frame::Bytes(Bytes::new())),
        })
    };
    let name = channel("work");
    let sent = within("send", peer.layer.send(&name, event(size_max))).await;
    sent.unwrap();
    let sent = within("send", peer.layer.send(&name, event(size_max + 1))).await;
    too_large(&sent.unwrap_err(), size_max);
}

/// `ChannelFull` may pass later, `MessageTooLarge` never does.
pub async fn errors_say_whether_to_try_again(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let layer = backend.node().await;
    let name = channel("small.work");
    for number in 0..3 {
        send(&layer, &name, number).await;
    }
    let full = within("send", layer.send(&name, message(3))).await;
    assert!(full.unwrap_err().is_transient());
    let size = layer.limits().message_size_max + 1;
    let large = within("send", layer.send(&name, content(size))).await;
    assert!(!large.unwrap_err().is_transient());
}

/// A backend that is there answers a ping, and keeps the limits it was given.
pub async fn a_backend_that_is_there_answers(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let layer = backend.node().await;
    within("ping", layer.ping()).await.unwrap();
    assert_eq!(layer.limits(), &limits());
    assert!(!layer.backend().is_empty());
}
