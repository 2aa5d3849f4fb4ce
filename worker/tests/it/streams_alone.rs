//! A stream of a demultiplexer fails alone.

use std::cell::RefCell;
use std::fmt;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Value, json};
use towpath_layer_core::{ChannelName, GroupChange, Outcome};
use towpath_worker::{
    Context, Demultiplexer, Error, Groups, Json, Outbox, Payload, Result, Router, Session, Socket,
    Websocket, demultiplexer, websocket,
};

use crate::recorder::Counts;
use crate::stage::{Peer, Stage, Turn};
use crate::streams::{count, frame, peer_of};

/// An error frame.
#[derive(Deserialize)]
struct Refusal {
    stream: Value,
    error: Reason,
}

#[derive(Deserialize)]
struct Reason {
    code: String,
    reason: String,
}

/// What the only frame says, which is an error frame.
#[track_caller]
fn refused(turn: &Turn) -> (Value, String, String) {
    let Refusal { stream, error } = serde_json::from_str(turn.text()).unwrap();
    assert_eq!(turn.texts().len(), 1, "{:?}", turn.texts());
    (stream, error.code, error.reason)
}

/// Panics when it is shown.
#[derive(Debug)]
struct Unspeakable;

impl fmt::Display for Unspeakable {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("it cannot be said")
    }
}

impl std::error::Error for Unspeakable {}

/// Fails in the way it is told, and leaves something of everything behind.
async fn fails(
    Json(how): Json<String>,
    mut heard: Session<Vec<String>>,
    groups: Groups,
    outbox: Outbox,
) -> Result {
    heard.push(how.clone());
    groups.add("failed").await?;
    outbox.json("never sent")?;
    match how.as_str() {
        "rejected" => Err(Error::rejected("not you")),
        "denied" => Err(Error::deny(418, "teapot")),
        "internal" => Err(Error::internal("secret")),
        "panic" => panic!("secret"),
        "unspeakable" => Err(Unspeakable.into()),
        "large" => {
            heard.push("x".repeat(16 << 10));
            Ok(())
        }
        "full" => outbox.send("jobs.full", "one too many"),
        _ => outbox.json(&*heard),
    }
}

fn failing() -> Demultiplexer {
    demultiplexer()
        .stream("fails", websocket().receive(fails))
        .stream("counts", websocket().receive(count))
        .stream("silent", websocket())
}

#[tokio::test(start_paused = true)]
async fn what_a_peer_does_wrong_is_answered_and_the_connection_lives() {
    let (_stage, mut peer) = peer_of(failing()).await;
    peer.connect().await.done();
    peer.text(&frame("counts", "5")).await.done();
    let session = peer.session.clone();
    let cases = [
        ("", Value::Null, "malformed"),
        ("[]", Value::Null, "malformed"),
        (r#"{"stream":7,"payload":1}"#, Value::Null, "malformed"),
        (r#"{"payload":1}"#, Value::Null, "malformed"),
        (r#"{"stream":"counts"}"#, json!("counts"), "malformed"),
        (
            r#"{"stream":"Counts","payload":1}"#,
            json!("Counts"),
            "unknown_stream",
        ),
        (
            r#"{"stream":"silent","payload":1}"#,
            json!("silent"),
            "not_taken",
        ),
        (
            r#"{"stream":"counts","payload":"x"}"#,
            json!("counts"),
            "bad_payload",
        ),
    ];
    for (sent, stream, code) in cases {
        let turn = peer.text(sent).await.done();
        let (named, said, reason) = refused(&turn);
        assert_eq!((named, said.as_str()), (stream, code), "{sent}: {reason}");
        assert!(!reason.is_empty() && turn.closed().is_none());
        assert_eq!(peer.session, session, "{sent}");
    }
    let (stream, code, _) = refused(&peer.bytes(b"{}").await.done());
    assert_eq!((stream, code.as_str()), (Value::Null, "malformed"));
    let turn = peer.text(&frame("counts", "1")).await.done();
    assert_eq!(turn.texts(), [frame("counts", "6")]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_fails_leaves_no_session_and_no_outbox() {
    let (stage, mut peer) = peer_of(failing()).await;
    let full = ChannelName::new("jobs.full").unwrap();
    stage.fill(&full).await;
    peer.connect().await.done();
    peer.text(&frame("counts", "5")).await.done();
    for (how, code, shown) in [
        ("rejected", "rejected", "not you"),
        ("denied", "failed", "error "),
        ("internal", "failed", "error "),
        ("panic", "failed", "error "),
        ("unspeakable", "failed", "error "),
        ("large", "failed", "error "),
    ] {
        let turn = peer.text(&frame("fails", &format!("{how:?}"))).await.done();
        let (stream, said, reason) = refused(&turn);
        assert_eq!((stream, said.as_str()), (json!("fails"), code), "{how}");
        assert!(
            reason.starts_with(shown) && !reason.contains("secret"),
            "{reason}"
        );
        assert_eq!(turn.completion.outcome, Outcome::Done { session: None });
        // The membership is there, so the node has to know of it.
        let changes = &turn.completion.groups;
        assert!(
            matches!(&changes[..], [GroupChange::Add { .. }]),
            "{changes:?}"
        );
    }
    let turn = peer.text(&frame("fails", r#""full""#)).await.done();
    // What stood before it in the outbox has been sent.
    assert_eq!(turn.texts()[0], frame("fails", r#""never sent""#));
    assert!(turn.texts()[1].contains(r#""code":"failed""#));
    let turn = peer.text(&frame("fails", r#""well""#)).await.done();
    let expected = [r#""never sent""#, r#"["well"]"#].map(|payload| frame("fails", payload));
    assert_eq!(turn.texts(), expected);
    let turn = peer.text(&frame("counts", "1")).await.done();
    assert_eq!(turn.texts(), [frame("counts", "6")]);
}

/// Refuses to be serialised once it is not empty.
#[derive(Default, Deserialize)]
struct Unwritable(bool);

impl Serialize for Unwritable {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            true => Err(serde::ser::Error::custom("it cannot be written")),
            false => serializer.serialize_bool(false),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_cannot_be_kept_fails_its_stream() {
    let write = async |mut session: Session<Unwritable>| session.0 = true;
    let streams = demultiplexer()
        .stream("writes", websocket().receive(write))
        .stream("counts", websocket().receive(count));
    let (_stage, mut peer) = peer_of(streams).await;
    let (stream, code, _) = refused(&peer.text(&frame("writes", "1")).await.done());
    assert_eq!((stream, code.as_str()), (json!("writes"), "failed"));
    let turn = peer.text(&frame("counts", "1")).await.done();
    assert_eq!(turn.texts(), [frame("counts", "1")]);
}

#[tokio::test(start_paused = true)]
async fn the_sessions_of_all_streams_share_the_bound_of_one() {
    async fn keep(Json(size): Json<usize>, mut kept: Session<String>, socket: Socket) -> Result {
        *kept = "x".repeat(size);
        socket.json("kept").await
    }
    let (_stage, mut peer) = peer_of(
        demultiplexer()
            .stream("a", websocket().receive(keep))
            .stream("b", websocket().receive(keep)),
    )
    .await;
    peer.text(&frame("a", "10000")).await.done();
    let turn = peer.text(&frame("b", "10000")).await.done();
    assert!(
        turn.texts()[1].contains(r#""code":"failed""#),
        "{:?}",
        turn.texts()
    );
    peer.text(&frame("a", "1")).await.done();
    let turn = peer.text(&frame("b", "10000")).await.done();
    assert_eq!(turn.texts(), [frame("b", r#""kept""#)]);
    // To the byte: what a check lets pass, a completion takes.
    let most = 16 << 10;
    let mut fits = 0;
    for size in most - 60..=most {
        let turn = peer.text(&frame("b", &size.to_string())).await.done();
        fits += usize::from(turn.texts().len() == 1);
        assert!(peer.session.len() <= most);
    }
    assert!((1..60).contains(&fits), "{fits}");
}

fn taking(take: Websocket) -> Demultiplexer {
    async fn event(Payload(by): Payload<i64>, mut sum: Session<i64>) {
        *sum += by;
    }
    demultiplexer()
        .stream("first", websocket().receive(count).on("add", event))
        .stream("second", take)
        .stream("third", websocket().receive(count).on("add", event))
}

#[tokio::test(start_paused = true)]
async fn a_stream_closes_the_connection_and_the_others_keep_their_sessions() {
    let close = async || Err::<(), _>(Error::close(4000, "enough"));
    let (_stage, mut peer) = peer_of(taking(websocket().receive(close).on("add", close))).await;
    let turn = peer.application("add", &5).await.done();
    assert_eq!(turn.closed(), Some((4000, "enough".to_owned())));
    for stream in ["first", "third"] {
        let turn = peer.text(&frame(stream, "0")).await.done();
        assert_eq!(turn.texts(), [frame(stream, "5")]);
    }
    let turn = peer.text(&frame("second", "0")).await.done();
    assert_eq!(turn.closed(), Some((4000, "enough".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn a_retry_gives_the_whole_event_back() {
    let retry = async || Err::<(), _>(Error::retry());
    let (_stage, mut peer) = peer_of(taking(websocket().on("add", retry))).await;
    let turn = peer.application("add", &5).await;
    assert_eq!(turn.completion.outcome, Outcome::Retry);
    let turn = peer.text(&frame("first", "0")).await.done();
    assert_eq!(turn.texts(), [frame("first", "0")]);
}

#[tokio::test(start_paused = true)]
async fn what_middleware_keeps_stays_when_its_stream_fails() {
    use tower::util::MapRequestLayer;

    let counted = MapRequestLayer::new(|context: Context| {
        let seen = context.slot("seen").first().copied().unwrap_or_default();
        context.keep_slot("seen", vec![seen + 1].into());
        context
    });
    let streams = demultiplexer()
        .stream("fails", websocket().receive(fails).middleware(counted))
        .stream(
            "tells",
            websocket().receive(async |context: Context, socket: Socket| {
                socket.json(context.slot("seen").as_ref()).await
            }),
        );
    let (_stage, mut peer) = peer_of(streams).await;
    for how in ["rejected", "panic", "well"] {
        peer.text(&frame("fails", &format!("{how:?}"))).await.done();
    }
    let turn = peer.text(&frame("tells", "1")).await.done();
    assert_eq!(turn.texts(), [frame("tells", "[3]")]);
}

#[tokio::test(start_paused = true)]
async fn each_stream_is_counted() {
    // Routes are written down before anything listens to what is measured.
    let router = Router::new().route("/x", failing());
    let counts = Counts::default();
    let _listens = metrics::set_default_local_recorder(&counts);
    let stage = Stage::new(router).await;
    let mut peer = stage.peer("/x");
    peer.connect().await.done();
    for how in ["rejected", "panic", "well", "well"] {
        peer.text(&frame("fails", &format!("{how:?}"))).await.done();
    }
    peer.text(&frame("silent", "1")).await.done();
    peer.text(&frame("counts", "{}")).await.done();
    for (stream, outcome, times) in [
        ("fails", "rejected", 1),
        ("fails", "panicked", 1),
        ("fails", "done", 2),
        ("silent", "ignored", 1),
        ("counts", "bad_payload", 1),
    ] {
        let route = format!("stream {stream}");
        assert_eq!(
            counts.consumed(&route, outcome),
            times,
            "{stream} {outcome}"
        );
    }
}

/// Frames: any text, any JSON, and what looks like a stream's.
fn frames() -> impl Strategy<Value = String> {
    let payload = prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        ".*",
        "[\\[{}\\]\":,0-9a-z]*",
    ];
    let stream = prop_oneof!["counts", "fails", "silent", "[a-z]*"];
    prop_oneof![
        ".*",
        "[\\[{}\\]\":, 0-9a-z\\\\]*",
        (stream, payload).prop_map(|(stream, payload)| frame(&stream, &payload)),
    ]
}

#[test]
fn no_frame_ends_a_connection() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    let (_stage, peer): (Stage, Peer) = runtime.block_on(async {
        let (stage, mut peer) = peer_of(failing()).await;
        peer.connect().await.done();
        (stage, peer)
    });
    let peer = RefCell::new(peer);
    let config = Config {
        failure_persistence: None,
        ..Config::default()
    };
    let checked = TestRunner::new(config).run(&frames(), |sent| {
        let peer = &mut *peer.borrow_mut();
        let before = peer.session.clone();
        let turn = runtime.block_on(peer.text(&sent)).done();
        prop_assert!(turn.closed().is_none());
        let refused = turn.texts().iter().any(|text| text.contains("\"error\""));
        if refused {
            prop_assert_eq!(&peer.session, &before);
        } else {
            prop_assert!(sent.contains("counts") || sent.contains("fails"));
        }
        Ok(())
    });
    checked.unwrap();
}
