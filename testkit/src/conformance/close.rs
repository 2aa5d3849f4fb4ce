//! Leaving in good order (contract §4, §8).

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use towpath_layer_core::{GroupError, LayerError, SendError};

use super::support::{
    Peer, Reader, add, channel, empty, group, members, message, reply, send, within,
};
use crate::{CollectingSink, Factory};

/// A receiver that waits ends with `Closed` when its layer closes, and so does
/// every later receive.
pub async fn a_close_wakes_who_waits(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let layer = backend.node().await;
    let mut receiver = layer.receiver(vec![channel("work")]).unwrap();
    let mut buffer = Vec::new();
    let receive = within("receive", receiver.receive_many(&mut buffer, 1));
    let (received, ()) = futures_util::join!(receive, within("close", layer.close()));
    assert!(matches!(received.unwrap_err(), LayerError::Closed));
    let received = within("receive", receiver.receive_many(&mut buffer, 1)).await;
    assert!(matches!(received.unwrap_err(), LayerError::Closed));
}

/// After a close every call fails with `Closed`, and closing again is fine.
pub async fn calls_after_a_close_fail_with_closed(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let peer = Peer::new(&*backend).await;
    let layer = &peer.layer;
    let (name, room) = (channel("work"), group("room"));
    let (_, member) = peer.connect();
    within("close", layer.close()).await;
    within("close", layer.close()).await;

    let batch = vec![(name.clone(), message(1)), (member.clone(), message(1))];
    let mut sends = within("send_many", layer.send_many(batch)).await;
    sends.push(within("send", layer.send(&name, message(1))).await);
    let sent = within("group_send", layer.group_send(&room, reply(1))).await;
    sends.push(sent.map(|_| ()));
    for sent in sends {
        assert!(matches!(sent.unwrap_err(), SendError::Closed));
    }
    let changes = [
        within("add", layer.group_add(&room, &member, Bytes::new())).await,
        within("discard", layer.group_discard(&room, &member)).await,
        within("discard", layer.discard_all(&member)).await,
    ];
    for change in changes {
        assert!(matches!(change.unwrap_err(), GroupError::Closed));
    }
    let sink = Arc::new(CollectingSink::new(layer.limits()));
    let answers = [
        layer.receiver(vec![name.clone()]).map(|_| ()),
        within("room", layer.room(&name)).await,
        within("attach", layer.attach(sink)).await,
        within("members", layer.group_members(&room).next())
            .await
            .unwrap()
            .map(|_| ()),
        within("count", layer.group_count(&room)).await.map(|_| ()),
        within("is_member", layer.is_member(&room, &member))
            .await
            .map(|_| ()),
        within("channel_groups", layer.channel_groups(&member))
            .await
            .map(|_| ()),
        within("groups", layer.groups()).await.map(|_| ()),
        within("absent", layer.absent(&[layer.node()]))
            .await
            .map(|_| ()),
        within("statistics", layer.statistics()).await.map(|_| ()),
        within("statistics", layer.channel_statistics(&name))
            .await
            .map(|_| ()),
        within("flush", layer.flush()).await,
        within("ping", layer.ping()).await,
    ];
    for (number, answer) in answers.into_iter().enumerate() {
        let error = answer.unwrap_err();
        assert!(matches!(error, LayerError::Closed), "{number}: {error}");
    }
}

/// A node that closes is absent at once, its memberships are gone, what it had
/// taken and not handed out comes to others, and they go on.
pub async fn a_node_that_closes_leaves_at_once(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let (leaves, stays) = (Peer::new(&*backend).await, Peer::new(&*backend).await);
    let (name, room) = (channel("work"), group("room"));
    let (local, staying) = stays.connect();
    for member in [&leaves.connect().1, &staying] {
        add(&stays.layer, &room, member).await;
    }
    for number in 0..10 {
        send(&stays.layer, &name, number).await;
    }
    let mut reader = Reader::new(&leaves.layer, &[&name]);
    assert_eq!(reader.take(2).await, [0, 1]);
    within("close", leaves.layer.close()).await;

    let node = leaves.layer.node();
    let absent = within("absent", stays.layer.absent(&[node])).await;
    assert_eq!(absent.unwrap(), [node]);
    let left: Vec<_> = members(&stays.layer, &room).await.into_keys().collect();
    assert_eq!(left, [staying]);
    let sent = within("group_send", stays.layer.group_send(&room, reply(1))).await;
    let sent = sent.unwrap();
    assert_eq!((sent.nodes, sent.delivered, sent.dropped), (1, 1, 0));
    stays.sink.expect(local, &reply(1)).await;
    let mut others = Reader::new(&stays.layer, &[&name]);
    assert_eq!(others.take(8).await, (2..10).collect::<Vec<_>>());
}
