//! Channels, groups, the layer, and the end of the application.

use std::time::Duration;

use towpath::prelude::*;

use crate::world::{Backend, app};

on_both! {
    a_test_sends_to_a_consumer_and_takes_what_it_sends_on
    groups_are_seen_with_their_metadata
    a_test_sends_to_a_group
    two_applications_know_nothing_of_each_other
    a_stop_sees_everybody_off
    a_dropped_application_ends_by_itself
    a_configuration_is_the_tests_own
    ticks_come_until_they_are_stopped
}

async fn a_test_sends_to_a_consumer_and_takes_what_it_sends_on(start: Backend) {
    let app = start(app()).await;
    for number in [1, 2, 3] {
        app.send("numbers.double", &number).await;
        assert_eq!(app.recv::<i64>("numbers.doubled").await, number * 2);
    }
    app.assert_empty("numbers.double").await;
    app.assert_empty("numbers.doubled").await;
    let own = app.layer().new_channel("answers").unwrap();
    app.send(own.as_str(), &"mine").await;
    assert_eq!(app.recv::<String>(own.as_str()).await, "mine");
}

async fn groups_are_seen_with_their_metadata(start: Backend) {
    let app = start(app()).await;
    let ada = app.websocket("/room/lock").await.accepted();
    let ben = app.websocket("/echo").await.accepted();
    app.assert_member("room.lock", &ada).await;
    app.assert_no_member("room.lock", &ben).await;
    assert_eq!(app.groups_of(&ada).await, ["room.lock"]);
    assert!(app.groups_of(&ben).await.is_empty());
    let members = app.members("room.lock").await;
    let [Member { channel, meta }] = &members[..] else {
        panic!("one member, not {members:?}");
    };
    assert_eq!(channel, ada.reply_channel());
    let meta: String = Content::from_encoded(meta.clone()).decode().unwrap();
    assert_eq!(meta, "lock");
}

async fn a_test_sends_to_a_group(start: Backend) {
    let app = start(app()).await;
    let mut ada = app.websocket("/room/lock").await.accepted();
    app.group_send_text("room.lock", "text").await;
    assert_eq!(ada.recv_text().await, "text");
    app.group_send_bytes("room.lock", "bytes").await;
    assert_eq!(ada.recv_bytes().await, "bytes");
    app.group_send_json("room.lock", &[1, 2]).await;
    assert_eq!(ada.recv_json::<Vec<u8>>().await, [1, 2]);
    app.group_send_event("room.lock", "shout", "event").await;
    assert_eq!(ada.recv_text().await, "EVENT");
    app.group_send("room.lock", Reply::close(4003, "over"))
        .await;
    assert_eq!(ada.recv_closed().await, (4003, "over".to_owned()));
}

async fn two_applications_know_nothing_of_each_other(start: Backend) {
    let (one, two) = (start(app()).await, start(app()).await);
    let mut ada = one.websocket("/room/lock").await.accepted();
    let mut ben = two.websocket("/room/lock").await.accepted();
    one.group_send_text("room.lock", "here").await;
    assert_eq!(ada.recv_text().await, "here");
    ben.assert_nothing().await;
    one.send("shared", &1).await;
    two.assert_empty("shared").await;
}

async fn a_stop_sees_everybody_off(start: Backend) {
    let app = start(app()).await;
    let mut ada = app.websocket("/room/lock").await.accepted();
    let layer = std::sync::Arc::clone(app.layer());
    app.stop().await;
    let (code, _) = ada.recv_closed().await;
    assert_eq!(code, 1012);
    let closed = layer.ping().await;
    assert!(closed.is_err(), "{closed:?}");
}

async fn a_dropped_application_ends_by_itself(start: Backend) {
    let app = start(app()).await;
    let mut ada = app.websocket("/room/lock").await.accepted();
    drop(app);
    assert_eq!(ada.recv_closed().await.0, 1012);
}

async fn a_configuration_is_the_tests_own(start: Backend) {
    let app = start(app())
        .configure(|config| config.server.message_size_max = 10)
        .patience(Duration::from_secs(20))
        .await;
    let mut ada = app.websocket("/echo").await.accepted();
    ada.send_text("01234567890").await;
    assert_eq!(ada.recv_closed().await.0, 1009);
}

async fn ticks_come_until_they_are_stopped(start: Backend) {
    let app = start(app()).await;
    let mut ada = app.websocket("/obey").await.accepted();
    ada.send_text("tick").await;
    for number in 1..=3 {
        assert_eq!(ada.recv_text().await, format!("tick {number}"));
    }
    ada.assert_nothing_for(Duration::from_millis(600)).await;
}
