//! How a test fails: with what was expected, where, and all that happened.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use towpath::prelude::*;
use towpath::testing::TestApp;

use crate::world::app;

/// What a panic said.
#[track_caller]
pub(crate) fn message<T>(result: Result<T, Box<dyn Any + Send>>) -> String {
    match result {
        Ok(_) => panic!("no panic"),
        Err(panic) => match panic.downcast::<String>() {
            Ok(message) => *message,
            Err(panic) => (*panic.downcast::<&str>().unwrap()).to_owned(),
        },
    }
}

/// Expects that a step fails; what it says.
async fn failure<T>(step: impl Future<Output = T>) -> String {
    message(AssertUnwindSafe(step).catch_unwind().await)
}

#[tokio::test]
async fn a_failure_shows_what_was_expected_where_and_the_conversation() {
    let app = TestApp::memory(app()).await;
    let client = app.websocket("/room/lock").named("ada");
    let mut ada = client.await.accepted();
    let mut ben = app.websocket("/room/lock").await.accepted();
    ada.send_text("hi").await;
    assert_eq!(ada.recv_text().await, "hi");
    app.advance(Duration::from_secs(5)).await;
    app.group_send_text("room.lock", "all").await;
    app.send("somewhere", &1).await;
    ben.close(4000, "bye").await;
    let line = line!() + 1;
    let said = failure(ada.recv_bytes()).await;
    assert!(
        said.starts_with("ada: expected bytes, and \"all\" came\n"),
        "{said}"
    );
    let here = format!("{}:{line}:", file!());
    assert!(said.contains(&here), "{here} in {said}");
    let mut rest = said.as_str();
    for expected in [
        "the conversation so far:",
        "0.000 s  ada → GET /room/lock",
        "ada ← 101",
        "#2 → GET /room/lock",
        "#2 ← 101",
        "ada → \"hi\"",
        "ada ← \"hi\"",
        "… 5s pass",
        "5.0",
        "test → group room.lock",
        "test → channel somewhere",
        "#2 → close 4000 \"bye\"",
        "ada ← \"all\"",
        "#2 ← close 4000 \"bye\"",
        "#2 ← the end",
    ] {
        let (_, after) = rest
            .split_once(expected)
            .unwrap_or_else(|| panic!("no {expected:?} in {said}"));
        rest = after;
    }
    assert_eq!(app.transcript().lines().count() + 2, said.lines().count());
}

#[tokio::test]
async fn each_expectation_says_what_came_instead() {
    let app = TestApp::memory(app()).await;
    let mut ada = app.websocket("/obey").await.accepted();
    let mut fails = async |order: &str, expected: &str, which: u8| {
        if !order.is_empty() {
            ada.send_text(order).await;
        }
        let said = match which {
            0 => failure(ada.recv_text()).await,
            1 => failure(ada.recv_json::<u8>()).await,
            2 => failure(ada.recv_closed()).await,
            _ => failure(ada.assert_nothing()).await,
        };
        let first = said.lines().next().unwrap();
        assert_eq!(first, format!("#1: {expected}"));
    };
    fails("", "expected a text, and nothing came within 1s", 0).await;
    fails("", "expected a close, and nothing came within 1s", 2).await;
    fails("bytes", "expected a text, and b\"three\" (5 bytes) came", 0).await;
    let no_number = "\"one\" is no u8: expected value at line 1 column 1";
    fails("two", no_number, 1).await;
    fails("", "expected a close, and \"two\" came", 2).await;
    fails("two", "expected nothing, and \"one\" came", 3).await;
    fails("", "expected nothing, and \"two\" came", 3).await;
    let closed = "expected a text, and close 4001 \"as you wish\" came";
    fails("close", closed, 0).await;
    fails("", "expected a text, and the connection has ended", 0).await;
}

#[tokio::test]
async fn a_socket_closes_in_order_after_nothing_came() {
    let app = TestApp::memory(app()).await;
    let mut ada = app.websocket("/room/lock").await.accepted();
    failure(ada.recv_text()).await;
    ada.close(1000, "").await;
    assert_eq!(
        app.recv::<(String, u16, String)>("rooms.left").await.1,
        1000
    );
}

#[tokio::test]
async fn handshakes_channels_and_groups_say_what_is_wrong() {
    let app = TestApp::memory(app()).await;
    let denied = failure(async { app.websocket("/refuse/401").await.accepted() }).await;
    let expected = "/refuse/401 was not accepted but denied: 401 b\"who are you?\" (12 bytes)\n";
    assert!(denied.starts_with(expected), "{denied}");
    let accepted = failure(async { app.websocket("/echo").await.denied() }).await;
    assert!(
        accepted.starts_with("/echo was not denied but accepted\n"),
        "{accepted}"
    );

    let empty = failure(app.recv::<u8>("numbers.doubled")).await;
    let expected = "a message on numbers.doubled was expected, and none came within 1s\n";
    assert!(empty.starts_with(expected), "{empty}");
    let taken = failure(async { app.recv::<u8>("numbers.double").await }).await;
    let expected = "a consumer of the application receives from numbers.double\n";
    assert!(taken.starts_with(expected), "{taken}");
    app.send("mine", "text").await;
    let full = failure(app.assert_empty("mine")).await;
    assert!(
        full.starts_with("mine should be empty, and 1 messages wait\n"),
        "{full}"
    );
    let wrong = failure(app.recv::<u8>("mine")).await;
    assert!(wrong.starts_with("a message on mine is no u8: "), "{wrong}");
    let name = failure(async { app.send("no name", &1).await }).await;
    assert!(name.contains("\"no name\""), "{name}");

    let ada = app.websocket("/room/lock").named("ada").await.accepted();
    let not_in = failure(app.assert_member("room.gate", &ada)).await;
    assert!(
        not_in.starts_with("ada is no member of room.gate\n"),
        "{not_in}"
    );
    let still_in = failure(app.assert_no_member("room.lock", &ada)).await;
    assert!(
        still_in.starts_with("ada is still a member of room.lock\n"),
        "{still_in}"
    );
}

#[tokio::test]
async fn an_application_with_mistakes_does_not_start() {
    async fn needs_a_frame(_frame: Frame) {}
    let wrong = App::new().route("/x", websocket().connect(needs_a_frame));
    let said = failure(async { TestApp::memory(wrong).await }).await;
    assert!(
        said.starts_with("the application does not start: "),
        "{said}"
    );
    assert!(said.contains("/x"), "{said}");
}

#[tokio::test]
async fn consumers_that_a_setup_adds_are_known() {
    async fn take() {}
    let app = App::new().setup(async |app| std::io::Result::Ok(app.channel("jobs.run", take)));
    let app = TestApp::memory(app).await;
    let taken = failure(async { app.recv::<u8>("jobs.run").await }).await;
    let expected = "a consumer of the application receives from jobs.run\n";
    assert!(taken.starts_with(expected), "{taken}");
}
