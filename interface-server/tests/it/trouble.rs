//! Sockets while the layer is in trouble.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use towpath_interface_server::{OnEvent, ServerConfig};
use towpath_layer_core::{ChannelLayer, EventKind, Frame, GlobTable, GroupName, Limits, LocalId};
use towpath_testkit::{Trouble, Troubled};

use crate::client::{Client, Raw, frame, request, status};
use crate::events::open;
use crate::rig::{Rig, config, layer, until};

async fn start(config: ServerConfig, limits: Limits) -> (Rig, Arc<Troubled>) {
    let memory = layer(limits);
    let troubled = Troubled::new(memory.clone());
    let server = Arc::clone(&troubled) as Arc<dyn ChannelLayer>;
    (
        Rig::start_on(config, memory, server, None, None).await,
        troubled,
    )
}

#[tokio::test]
async fn a_handshake_waits_for_a_layer_out_of_reach_as_long_as_for_a_consumer() {
    let short = ServerConfig {
        connect_timeout: Duration::from_millis(500),
        ..config()
    };
    let (rig, troubled) = start(short, Limits::default()).await;
    troubled.set(Trouble::Away);
    let refused = Client::connect(rig.address, "/chat").await;
    assert_eq!(status(&refused), 503);
    rig.end().await;

    let (rig, troubled) = start(config(), Limits::default()).await;
    troubled.set(Trouble::Away);
    let mut waiting = Raw::connect(rig.address).await;
    waiting.write(request("/chat", "").as_bytes()).await;
    until(async || rig.handle.conversations() == 1).await;
    troubled.set(Trouble::None);
    let mut worker = rig.worker();
    worker.welcome().await;
    assert!(waiting.head().await.starts_with("HTTP/1.1 101"));
    rig.end().await;
}

#[tokio::test]
async fn sockets_stay_open_and_events_wait_while_the_layer_is_away() {
    let (rig, troubled) = start(config(), Limits::default()).await;
    let mut worker = rig.worker();
    let mut client = open(&rig, &mut worker).await;
    troubled.set(Trouble::Away);
    for text in ["one", "two"] {
        client.send(text).await;
    }
    assert!(worker.is_idle(Duration::from_millis(300)).await);
    troubled.set(Trouble::None);
    for (order, text) in [(1, "one"), (2, "two")] {
        let event = worker.next().await;
        assert_eq!(event.kind, EventKind::Receive(Frame::Text(text.into())));
        assert_eq!(event.order, order);
        worker.done(&event).await;
    }
    assert_eq!(rig.layer.statistics().await.unwrap().lost, 0);
    rig.end().await;
}

#[tokio::test]
async fn an_event_that_finds_no_room_until_it_expires_closes_with_1013() {
    let limits = Limits {
        expiry: GlobTable::new(Duration::from_mins(1))
            .rule("websocket.receive", Duration::from_millis(600)),
        ..Limits::default()
    };
    for trouble in [Trouble::Full, Trouble::Away] {
        let (rig, troubled) = start(config(), limits.clone()).await;
        let mut worker = rig.worker();
        let mut client = open(&rig, &mut worker).await;
        troubled.set(trouble);
        client.send("one").await;
        assert_eq!(client.closed().await, 1013);
        troubled.set(Trouble::None);
        assert_eq!(worker.farewell().await, 1013);
        rig.end().await;
    }
}

#[tokio::test]
async fn an_event_whose_sending_is_uncertain_is_not_sent_twice() {
    let (rig, troubled) = start(config(), Limits::default()).await;
    let mut worker = rig.worker();
    let mut client = open(&rig, &mut worker).await;
    troubled.set(Trouble::Unknown);
    client.send("one").await;
    let event = worker.next().await;
    assert!(worker.is_idle(Duration::from_millis(200)).await);
    worker.done(&event).await;
    client.send("two").await;
    assert_eq!(worker.next().await.order, 2);
    rig.end().await;
}

#[tokio::test]
async fn a_layer_that_answers_late_changes_no_order() {
    let (rig, troubled) = start(config(), Limits::default()).await;
    troubled.set(Trouble::Late);
    let echo = rig.echo();
    let mut raws = Vec::new();
    for _ in 0..20 {
        raws.push(Raw::open(rig.address).await);
    }
    for number in 0..50_u32 {
        for raw in &mut raws {
            raw.write(&frame(0x82, &number.to_be_bytes())).await;
        }
    }
    for number in 0..50_u32 {
        for raw in &mut raws {
            assert_eq!(raw.frame().await, (0x82, number.to_be_bytes().to_vec()));
        }
    }
    drop(raws);
    until(async || echo.disconnects.lock().len() == 20).await;
    until(async || rig.handle.conversations() == 0).await;
    rig.end().await;
}

#[tokio::test]
async fn members_that_may_have_missed_a_message_are_closed_if_so_configured() {
    let strict = ServerConfig {
        on_gap: OnEvent::Close,
        ..config()
    };
    let (rig, troubled) = start(strict, Limits::default()).await;
    let mut worker = rig.worker();
    let mut bystander = open(&rig, &mut worker).await;
    let (mut member, event) = tokio::join!(rig.connect("/chat"), worker.welcome());
    let room = GroupName::new("room").unwrap();
    rig.layer
        .group_add(&room, &event.reply_channel, Bytes::new())
        .await
        .unwrap();
    troubled.sink().mark_gap();
    assert_eq!(member.closed().await, 1012);
    assert_eq!(worker.farewell().await, 1012);
    bystander.send("still here").await;
    worker.next().await;
    rig.end().await;
}

#[tokio::test]
async fn the_layer_may_ask_who_is_there_and_who_is_a_member() {
    let (rig, troubled) = start(config(), Limits::default()).await;
    let mut worker = rig.worker();
    let room = GroupName::new("room").unwrap();
    let mut clients = Vec::new();
    let mut ids = Vec::new();
    for _ in 0..4 {
        let (client, event) = tokio::join!(rig.connect("/chat"), worker.welcome());
        let meta = Bytes::from_static(b"m");
        rig.layer
            .group_add(&room, &event.reply_channel, meta)
            .await
            .unwrap();
        ids.push(event.reply_channel.as_reply().unwrap().1);
        clients.push(client);
    }
    let sink = troubled.sink();
    until(async || sink.memberships().await.len() == 4).await;
    let mut members: Vec<LocalId> = sink
        .memberships()
        .await
        .into_iter()
        .map(|membership| membership.member)
        .collect();
    members.sort_unstable();
    ids.sort_unstable();
    assert_eq!(members, ids);
    assert!(ids.iter().all(|id| sink.is_live(*id)) && !sink.is_live(LocalId(1)));
    clients.clear();
    for _ in 0..4 {
        worker.farewell().await;
    }
    until(async || !ids.iter().any(|id| sink.is_live(*id))).await;
    assert!(sink.memberships().await.is_empty());
    rig.end().await;
}

#[tokio::test]
async fn memberships_end_even_if_the_layer_is_away_at_that_moment() {
    let (rig, troubled) = start(config(), Limits::default()).await;
    let mut worker = rig.worker();
    let (client, event) = tokio::join!(rig.connect("/chat"), worker.welcome());
    let room = GroupName::new("room").unwrap();
    rig.layer
        .group_add(&room, &event.reply_channel, Bytes::new())
        .await
        .unwrap();
    troubled.set(Trouble::Away);
    drop(client);
    assert!(worker.is_idle(Duration::from_millis(200)).await);
    assert_eq!(rig.layer.group_count(&room).await.unwrap(), 1);
    troubled.set(Trouble::None);
    assert_eq!(worker.farewell().await, 1006);
    until(async || rig.layer.group_count(&room).await.unwrap() == 0).await;
    rig.end().await;
}
