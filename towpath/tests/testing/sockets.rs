//! What goes over an open socket.

use serde_json::json;
use towpath::testing::TestApp;

use crate::world::{Backend, Opening, app};

on_both! {
    text_bytes_and_json_come_back_from_an_echo
    a_path_inside_a_payload_is_payload
    order_counts_from_0_at_connect
    messages_are_answered_in_the_order_they_were_sent
    an_error_of_a_consumer_closes_as_it_says
    a_close_tells_its_code_both_ways
    a_lost_connection_is_1006
    empty_frames_are_frames
    a_large_message_goes_both_ways
    nothing_comes_to_who_is_alone
}

async fn text_bytes_and_json_come_back_from_an_echo(start: Backend) {
    let app = start(app()).await;
    let answer = app.websocket("/echo").await;
    assert_eq!(answer.subprotocol(), None);
    let mut ada = answer.accepted();
    ada.send_text("hello").await;
    assert_eq!(ada.recv_text().await, "hello");
    ada.send_bytes(b"w\0\0\0".as_slice()).await;
    assert_eq!(ada.recv_bytes().await, b"w\0\0\0".as_slice());
    ada.send_json(&json!({"hello": "world"})).await;
    let back: serde_json::Value = ada.recv_json().await;
    assert_eq!(back, json!({"hello": "world"}));
    ada.close(1000, "").await;
}

async fn a_path_inside_a_payload_is_payload(start: Backend) {
    let app = start(app()).await;
    let mut ada = app.websocket("/tell/my/path").await.accepted();
    let opening: Opening = ada.recv_json().await;
    assert_eq!(opening.path, "/tell/my/path");
    let mut ben = app.websocket("/echo").await.accepted();
    ben.send_json(&json!({"path": "hi"})).await;
    assert_eq!(ben.recv_text().await, r#"{"path":"hi"}"#);
}

async fn order_counts_from_0_at_connect(start: Backend) {
    let app = start(app()).await;
    let mut ada = app.websocket("/tell/x").await.accepted();
    let opening: Opening = ada.recv_json().await;
    assert_eq!(opening.order, 0);
    for expected in ["1 1", "2 2", "3 3"] {
        ada.send_text("next").await;
        assert_eq!(ada.recv_text().await, expected);
    }
}

async fn messages_are_answered_in_the_order_they_were_sent(start: Backend) {
    let app = start(app()).await;
    let mut ada = app.websocket("/echo").await.accepted();
    for number in 0..20 {
        ada.send_text(number.to_string()).await;
    }
    for number in 0..20 {
        assert_eq!(ada.recv_text().await, number.to_string());
    }
}

async fn an_error_of_a_consumer_closes_as_it_says(start: Backend) {
    let app = start(app()).await;
    let mut ada = app.websocket("/obey").await.accepted();
    ada.send_text("reject").await;
    assert_eq!(ada.recv_closed().await, (1008, "not that".to_owned()));
    let mut ben = app.websocket("/obey").await.accepted();
    ben.send_text("fail").await;
    let (code, reason) = ben.recv_closed().await;
    assert_eq!(code, 1011);
    assert!(reason.starts_with("internal error "), "{reason}");
    assert!(!reason.contains("broken"), "{reason}");
}

async fn a_close_tells_its_code_both_ways(start: Backend) {
    let app = start(app()).await;
    let mut ada = app.websocket("/obey").await.accepted();
    ada.send_text("close").await;
    assert_eq!(ada.recv_closed().await, (4001, "as you wish".to_owned()));

    let mut ben = app.websocket("/room/lock").await.accepted();
    ben.close(4002, "bye").await;
    let left: (String, u16, String) = app.recv("rooms.left").await;
    assert_eq!(left, ("lock".to_owned(), 4002, "bye".to_owned()));
    app.assert_empty("rooms.left").await;
    app.assert_no_member("room.lock", &ben).await;
}

async fn a_lost_connection_is_1006(start: Backend) {
    let app = start(app()).await;
    let ada = app.websocket("/room/lock").await.accepted();
    ada.drop_without_close().await;
    let left: (String, u16, String) = app.recv("rooms.left").await;
    assert_eq!(left, ("lock".to_owned(), 1006, String::new()));
    drop(app.websocket("/room/gate").await.accepted());
    let left: (String, u16, String) = app.recv("rooms.left").await;
    assert_eq!((left.0.as_str(), left.1), ("gate", 1006));
}

async fn empty_frames_are_frames(start: Backend) {
    let app = start(app()).await;
    let mut ada = app.websocket("/echo").await.accepted();
    ada.send_text("").await;
    assert_eq!(ada.recv_text().await, "");
    ada.send_bytes(b"".as_slice()).await;
    assert_eq!(ada.recv_bytes().await, b"".as_slice());
}

async fn a_large_message_goes_both_ways(start: Backend) {
    let app = start(app()).await;
    let mut ada = app.websocket("/echo").await.accepted();
    let large = vec![7; 1 << 20];
    ada.send_bytes(large.clone()).await;
    assert_eq!(ada.recv_bytes().await, large);
}

async fn nothing_comes_to_who_is_alone(start: Backend) {
    let app = start(app()).await;
    let mut ada = app.websocket("/room/lock").await.accepted();
    let mut ben = app.websocket("/room/gate").await.accepted();
    ada.send_text("hi").await;
    assert_eq!(ada.recv_text().await, "hi");
    ben.assert_nothing().await;
    ben.close(1000, "").await;
    ben.assert_nothing().await;
}

#[tokio::test]
async fn a_client_whose_test_reads_nothing_is_a_slow_one_at_last() {
    let app = TestApp::memory(app()).await;
    let mut ada = app.websocket("/room/lock").await.accepted();
    let text = "x".repeat(4 << 10);
    for _ in 0..1200 {
        app.group_send_text("room.lock", text.as_str()).await;
        app.settle().await;
    }
    for _ in 0..1024 {
        assert_eq!(ada.recv_text().await, text);
    }
    let mut more = 0;
    let closed = loop {
        let next = std::panic::AssertUnwindSafe(ada.recv_text());
        match futures_util::FutureExt::catch_unwind(next).await {
            Ok(_) => more += 1,
            Err(_) => break app.transcript(),
        }
    };
    assert!(more < 100, "{more}");
    assert!(closed.contains("close 1013"), "{closed}");
}
