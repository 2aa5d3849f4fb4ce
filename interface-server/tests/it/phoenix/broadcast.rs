//! What a topic says to everybody who joined it.

use std::sync::Arc;

use bytes::Bytes;
use tokio_tungstenite::tungstenite::Message;
use towpath_layer_core::{Broadcast, ChannelLayer, EventKind, Frame, GroupName, Reply, TopicReply};

use super::stage::{Stage, json, pushed};

#[tokio::test]
async fn a_broadcast_reaches_every_version_in_its_own_form() {
    let mut stage = Stage::start().await;
    let (mut new, _) = stage.joined("room:1").await;
    let (mut old, _) = stage.connect_to("/socket/websocket?vsn=1.0.0").await;
    old.send(r#"{"topic":"room:1","event":"phx_join","payload":{},"ref":"1"}"#)
        .await;
    let join = stage.worker.next().await;
    stage.welcome(&join).await;
    old.text().await;
    let (mut plain, connect) = stage.connect_to("/chat").await;
    let (mut stream, streams) = stage.connect_to("/chat").await;
    let group = GroupName::topic("room:1");
    for (event, meta) in [(&connect, ""), (&streams, "talk")] {
        let meta = Bytes::from_static(meta.as_bytes());
        stage
            .rig
            .layer
            .group_add(&group, &event.reply_channel, meta)
            .await
            .unwrap();
    }
    stage
        .broadcast("room:1", "said", json(r#"{"text":"hi"}"#))
        .await;
    assert_eq!(
        new.text().await,
        r#"[null,null,"room:1","said",{"text":"hi"}]"#
    );
    let v1 = r#"{"topic":"room:1","event":"said","ref":null,"payload":{"text":"hi"}}"#;
    assert_eq!(old.text().await, v1);
    assert_eq!(plain.text().await, v1);
    let wrapped = format!(r#"{{"stream":"talk","payload":{v1}}}"#);
    assert_eq!(stream.text().await, wrapped);
    // Bytes reach those who can read them.
    let bytes = Frame::Bytes(Bytes::from_static(b"\x65\x66\x67"));
    stage.broadcast("room:1", "event", bytes).await;
    stage.broadcast("room:1", "after", json("{}")).await;
    let Some(Ok(Message::Binary(binary))) = new.next().await else {
        panic!("a binary frame");
    };
    assert_eq!(&binary[..], b"\x02\x06\x05room:1event\x65\x66\x67");
    assert!(old.text().await.contains("after"));
    stage.rig.end().await;
}

#[tokio::test]
async fn a_frame_for_a_group_is_left_out_where_a_topic_is_its_member() {
    let mut stage = Stage::start().await;
    let (mut joined, _) = stage.joined("room:1").await;
    let (mut plain, connect) = stage.connect_to("/chat").await;
    let group = GroupName::topic("room:1");
    let layer = Arc::clone(&stage.rig.layer);
    let added = layer.group_add(&group, &connect.reply_channel, Bytes::new());
    added.await.unwrap();
    layer.group_send(&group, Reply::text("hi")).await.unwrap();
    assert_eq!(plain.text().await, "hi");
    stage.broadcast("room:1", "after", json("{}")).await;
    let after = r#"[null,null,"room:1","after",{}]"#;
    assert_eq!(joined.text().await, after);
    stage.rig.end().await;
}

#[tokio::test]
async fn a_broadcast_may_leave_out_whoever_it_comes_from() {
    let mut stage = Stage::start().await;
    let (mut one, join) = stage.joined("room:1").await;
    let (mut other, _) = stage.joined("room:1").await;
    stage
        .broadcast_from("room:1", "first", json("{}"), Some(&join))
        .await;
    stage.broadcast("room:1", "second", json("{}")).await;
    assert!(one.text().await.contains("second"));
    assert!(other.text().await.contains("first"));
    stage.rig.end().await;
}

#[tokio::test]
async fn an_intercepted_event_goes_to_the_consumer_first_and_others_do_not() {
    let mut stage = Stage::start().await;
    let (mut client, join) = stage.joined("watched:1").await;
    stage
        .broadcast("watched:1", "secret", json(r#"{"n":1}"#))
        .await;
    let event = stage.worker.next().await;
    assert!(matches!(event.kind, EventKind::Out(_)), "{event:?}");
    assert_eq!(event.reply_channel, join.reply_channel);
    assert_eq!(pushed(&event).payload, json(r#"{"n":1}"#));
    stage.broadcast("watched:1", "open", json("{}")).await;
    assert!(client.text().await.contains("open"));
    let push = TopicReply::Push {
        event: "secret".into(),
        payload: json(r#"{"n":2}"#),
    };
    stage.complete(&event, vec![push]).await;
    assert_eq!(
        client.text().await,
        r#"["1",null,"watched:1","secret",{"n":2}]"#
    );
    stage.rig.end().await;
}

#[tokio::test]
async fn a_consumer_hears_of_another_topic_that_it_has_subscribed_to() {
    let mut stage = Stage::start().await;
    let (_client, join) = stage.joined("room:1").await;
    let other = GroupName::topic("news");
    stage
        .rig
        .layer
        .group_add(&other, &join.reply_channel, Bytes::new())
        .await
        .unwrap();
    stage
        .broadcast("news", "headline", json(r#"{"n":1}"#))
        .await;
    let event = stage.worker.next().await;
    let EventKind::Application(told) = &event.kind else {
        panic!("an event of the application, not {event:?}");
    };
    let heard: Broadcast = told.content.decode().unwrap();
    assert_eq!(
        (&*told.name, &*heard.topic, &*heard.event),
        (Broadcast::HEARD, "news", "headline")
    );
    stage.rig.end().await;
}

#[tokio::test]
async fn a_disconnect_on_an_id_ends_its_sockets_with_1001() {
    let mut stage = Stage::start().await;
    let (mut client, connect) = stage.connect_to("/socket/websocket?vsn=2.0.0").await;
    let id = GroupName::topic("user:7");
    stage
        .rig
        .layer
        .group_add(&id, &connect.reply_channel, Bytes::new())
        .await
        .unwrap();
    let join = stage.join(&mut client, "room:1").await;
    stage.broadcast("user:7", "anything", json("{}")).await;
    stage.broadcast("user:7", "disconnect", json("{}")).await;
    assert_eq!(client.closed().await, 1001);
    let mut reasons = Vec::new();
    for _ in 0..2 {
        let event = stage.worker.next().await;
        if event.reply_channel == join.reply_channel {
            reasons.push(super::stage::parting(&event).to_owned());
        }
        stage.worker.done(&event).await;
    }
    assert_eq!(reasons, ["disconnected"]);
    stage.rig.end().await;
}
