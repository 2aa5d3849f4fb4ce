//! Groups: fan-out over shards, in order, with and without members.

use bytes::Bytes;
use towpath_layer_core::{
    Application, ChannelLayer, ChannelName, Content, EventKind, GroupName, LocalId, Reply,
};

use crate::client::{Client, Raw, request};
use crate::rig::{Rig, config, until};

fn room() -> GroupName {
    GroupName::new("room").unwrap()
}

async fn members(rig: &Rig, count: usize) -> Vec<Client> {
    let mut worker = rig.worker();
    let mut clients = Vec::new();
    for _ in 0..count {
        let (client, ()) = tokio::join!(rig.connect("/chat"), async {
            let event = worker.next().await;
            rig.layer
                .group_add(&room(), &event.reply_channel, Bytes::new())
                .await
                .unwrap();
            worker.accept(&event).await;
            worker.done(&event).await;
        });
        clients.push(client);
    }
    clients
}

#[tokio::test]
async fn a_group_send_reaches_every_member_on_every_shard_in_order() {
    let rig = Rig::start(config()).await;
    let mut clients = members(&rig, 100).await;
    for number in 0..200 {
        let sent = rig
            .layer
            .group_send(&room(), Reply::text(number.to_string()))
            .await
            .unwrap();
        assert_eq!((sent.nodes, sent.delivered, sent.dropped), (1, 1, 0));
    }
    for client in &mut clients {
        for number in 0..200 {
            assert_eq!(client.text().await, number.to_string());
        }
    }
    rig.end().await;
}

#[tokio::test]
async fn a_direct_reply_does_not_overtake_a_group_message() {
    let rig = Rig::start(config()).await;
    let mut worker = rig.worker();
    let (mut client, event) = tokio::join!(rig.connect("/chat"), worker.welcome());
    // A large group is written in slices, after which its members have turns.
    let mut others = members(&rig, 100).await;
    rig.layer
        .group_add(&room(), &event.reply_channel, Bytes::new())
        .await
        .unwrap();
    for number in 0..50 {
        rig.layer
            .group_send(&room(), Reply::text(format!("group {number}")))
            .await
            .unwrap();
        worker
            .reply(&event, Reply::text(format!("direct {number}")))
            .await;
    }
    for number in 0..50 {
        assert_eq!(client.text().await, format!("group {number}"));
        assert_eq!(client.text().await, format!("direct {number}"));
    }
    assert_eq!(others[0].text().await, "group 0");
    rig.end().await;
}

#[tokio::test]
async fn a_send_after_an_add_reaches_and_one_after_a_discard_does_not() {
    let rig = Rig::start(config()).await;
    let mut worker = rig.worker();
    let (mut client, event) = tokio::join!(rig.connect("/chat"), worker.welcome());
    let channel = &event.reply_channel;
    for number in 0..100 {
        rig.layer
            .group_add(&room(), channel, Bytes::new())
            .await
            .unwrap();
        rig.layer
            .group_send(&room(), Reply::text(format!("in {number}")))
            .await
            .unwrap();
        rig.layer.group_discard(&room(), channel).await.unwrap();
        rig.layer
            .group_send(&room(), Reply::text("out"))
            .await
            .unwrap();
    }
    for number in 0..100 {
        assert_eq!(client.text().await, format!("in {number}"));
    }
    worker.reply(&event, Reply::text("end")).await;
    assert_eq!(client.text().await, "end");
    rig.end().await;
}

#[tokio::test]
async fn a_membership_ends_with_its_connection() {
    let rig = Rig::start(config()).await;
    let mut clients = members(&rig, 3).await;
    clients[0].close().await;
    drop(clients.pop());
    until(async || rig.layer.group_count(&room()).await.unwrap() == 1).await;
    let sent = rig
        .layer
        .group_send(&room(), Reply::text("you"))
        .await
        .unwrap();
    assert_eq!(sent.nodes, 1);
    assert_eq!(clients[1].text().await, "you");
    rig.end().await;
}

#[tokio::test]
async fn the_membership_of_a_connection_that_is_gone_is_undone() {
    let rig = Rig::start(config()).await;
    let ghost = ChannelName::reply(rig.layer.node(), LocalId(0x00ff_ff00));
    rig.layer
        .group_add(&room(), &ghost, Bytes::new())
        .await
        .unwrap();
    until(async || rig.layer.group_count(&room()).await.unwrap() == 0).await;

    let mut worker = rig.worker();
    let (client, event) = tokio::join!(rig.connect("/chat"), worker.welcome());
    drop(client);
    let disconnect = worker.next().await;
    assert!(matches!(disconnect.kind, EventKind::Disconnect { .. }));
    // The consumer of the end joins once more: too late.
    rig.layer
        .group_add(&room(), &event.reply_channel, Bytes::new())
        .await
        .unwrap();
    until(async || rig.layer.group_count(&room()).await.unwrap() == 0).await;
    worker.done(&disconnect).await;
    until(async || rig.handle.conversations() == 0).await;
    rig.end().await;
}

#[tokio::test]
async fn a_group_message_waits_for_the_answer_to_the_handshake() {
    let rig = Rig::start(config()).await;
    let mut worker = rig.worker();
    for accepted in [true, false] {
        let mut raw = Raw::connect(rig.address).await;
        raw.write(request("/chat", "").as_bytes()).await;
        let event = worker.next().await;
        rig.layer
            .group_add(&room(), &event.reply_channel, Bytes::new())
            .await
            .unwrap();
        rig.layer
            .group_send(&room(), Reply::text("secret"))
            .await
            .unwrap();
        let answer = if accepted {
            crate::rig::accept()
        } else {
            Reply::close(4000, "")
        };
        worker.reply(&event, answer).await;
        worker.done(&event).await;
        let head = raw.head().await;
        if accepted {
            assert!(head.starts_with("HTTP/1.1 101"), "{head}");
            assert_eq!(raw.frame().await, (0x81, b"secret".to_vec()));
            drop(raw);
            assert_eq!(worker.farewell().await, 1006);
        } else {
            assert!(head.starts_with("HTTP/1.1 403"), "{head}");
        }
    }
    rig.end().await;
}

#[tokio::test]
async fn a_group_message_may_be_an_event_or_a_close_for_every_member() {
    let rig = Rig::start(config()).await;
    let mut clients = members(&rig, 4).await;
    let mut worker = rig.worker();
    let tick = Application::new("tick", Content::default());
    rig.layer
        .group_send(&room(), Reply::event(tick.clone()))
        .await
        .unwrap();
    for _ in 0..4 {
        let event = worker.next().await;
        assert_eq!(event.kind, EventKind::Application(Box::new(tick.clone())));
        worker.done(&event).await;
    }
    rig.layer
        .group_send(&room(), Reply::close(4002, "all out"))
        .await
        .unwrap();
    for client in &mut clients {
        assert_eq!(client.closed().await, 4002);
    }
    for _ in 0..4 {
        assert_eq!(worker.farewell().await, 4002);
    }
    rig.end().await;
}
