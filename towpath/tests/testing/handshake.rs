//! What a client says in its handshake, and how it is answered.

use towpath::testing::TestApp;

use crate::world::{Backend, Opening, app};

on_both! {
    cookies_go_in_one_header
    a_forged_session_is_there_at_connect_and_travels
    the_query_string_is_apart_from_the_path
    a_path_arrives_decoded_and_its_query_string_as_it_was
    a_token_and_an_address_reach_the_consumer
    a_subprotocol_is_chosen_among_those_offered
    a_denied_handshake_shows_status_headers_and_body
    a_page_of_a_foreign_origin_is_refused
    a_session_that_is_too_large_is_refused
}

async fn cookies_go_in_one_header(start: Backend) {
    let app = start(app()).await;
    let client = app.websocket("/tell/x");
    let client = client.cookie("foo", "bar").cookie("qux", "\"qu,x\"");
    let opening: Opening = client.await.accepted().recv_json().await;
    assert_eq!(opening.cookies, ["foo=bar; qux=\"qu,x\""]);
}

async fn a_forged_session_is_there_at_connect_and_travels(start: Backend) {
    let app = start(app()).await;
    let mut ada = app.websocket("/count").session(&41_u32).await.accepted();
    for expected in ["1 42", "2 43"] {
        ada.send_text("").await;
        assert_eq!(ada.recv_text().await, expected);
    }
    let mut ben = app.websocket("/count").await.accepted();
    ben.send_text("").await;
    assert_eq!(ben.recv_text().await, "1 1");
}

async fn the_query_string_is_apart_from_the_path(start: Backend) {
    let app = start(app()).await;
    let client = app
        .websocket("/tell/my/path?test=1")
        .query("token", "a b&c");
    let opening: Opening = client.await.accepted().recv_json().await;
    assert_eq!(opening.path, "/tell/my/path");
    assert_eq!(opening.query, "test=1&token=a%20b%26c");
    assert_eq!(opening.order, 0);
}

async fn a_path_arrives_decoded_and_its_query_string_as_it_was(start: Backend) {
    let app = start(app()).await;
    for path in [
        "/tell/首页/a b?foo=%E9%A6%96",
        "/tell/%E9%A6%96%E9%A1%B5/a%20b?foo=%E9%A6%96",
    ] {
        let opening: Opening = app.websocket(path).await.accepted().recv_json().await;
        assert_eq!(opening.path, "/tell/首页/a b");
        assert_eq!(opening.query, "foo=%E9%A6%96");
    }
}

async fn a_token_and_an_address_reach_the_consumer(start: Backend) {
    let app = start(app()).await;
    let client = app.websocket("/tell/x").bearer("abc");
    let client = client.peer("[2001:db8::1]:5000".parse().unwrap());
    let mut ada = client.await.accepted();
    let opening: Opening = ada.recv_json().await;
    assert_eq!(opening.authorization.as_deref(), Some("Bearer abc"));
    assert_eq!(opening.peer, "2001:db8::1:5000");
    assert_eq!(opening.reply_channel, ada.reply_channel().as_str());
}

async fn a_subprotocol_is_chosen_among_those_offered(start: Backend) {
    let app = start(app()).await;
    let client = app.websocket("/refuse/chat.v2");
    let answer = client.subprotocols(["chat.v1", "chat.v2"]).await;
    assert_eq!(
        (answer.status(), answer.subprotocol()),
        (101, Some("chat.v2"))
    );
    let client = app.websocket("/refuse/chat.v3");
    let answer = client.subprotocols(["chat.v1"]).await;
    assert_eq!(answer.subprotocol(), None);
    drop(answer.accepted());
}

async fn a_denied_handshake_shows_status_headers_and_body(start: Backend) {
    let app = start(app()).await;
    let denied = app.websocket("/refuse/401").await.denied();
    assert_eq!((denied.status, denied.text()), (401, "who are you?"));
    assert_eq!(denied.header("content-length"), Some("12"));
    for (path, status) in [
        ("/refuse/close", 403),
        ("/refuse/error", 500),
        ("/nowhere", 404),
    ] {
        assert_eq!(app.websocket(path).await.denied().status, status, "{path}");
    }
}

async fn a_page_of_a_foreign_origin_is_refused(start: Backend) {
    let app = start(app()).await;
    let foreign = app.websocket("/echo").origin("https://example.org").await;
    assert_eq!(foreign.denied().status, 403);
    let own = app.websocket("/echo").header("host", "example.org");
    drop(own.origin("https://example.org").await.accepted());
}

async fn a_session_that_is_too_large_is_refused(start: Backend) {
    let app = start(app()).await;
    let large = "x".repeat(17 << 10);
    assert_eq!(
        app.websocket("/echo").session(&large).await.denied().status,
        500
    );
}

/// Both backends are named here once, to see that they are two functions of one type.
#[test]
fn the_word_is_the_only_change() {
    let _both: [Backend; 2] = [TestApp::memory, TestApp::redis];
}
