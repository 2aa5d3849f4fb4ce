//! What a consumer may do wrong, and what becomes of it.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};
use towpath_layer_core::{Handshake, Outcome};
use towpath_testkit::{Trouble, Troubled};
use towpath_worker::{
    Context, Error, FromContext, Groups, Payload, Result, Router, Session, Socket, State, States,
    Text, Worker, WorkerConfig, blocking, wait, websocket,
};

use crate::recorder::Counts;
use crate::stage::Stage;

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("the bomb goes off");
    }
}

impl FromContext for Bomb {
    async fn from_context(_: &Context) -> Result<Self> {
        Ok(Self)
    }
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

/// Panics when it is serialised.
#[derive(Default, Deserialize)]
struct Unwritable;

impl Serialize for Unwritable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        panic!("it cannot be written")
    }
}

async fn panics(Text(text): Text) {
    panic!("received {text}");
}

async fn panics_later(Text(text): Text) {
    tokio::task::yield_now().await;
    panic!("received {text}");
}

async fn waits_with_a_bomb(_bomb: Bomb) {
    std::future::pending::<()>().await;
}

#[tokio::test(start_paused = true)]
async fn the_worker_survives_what_a_consumer_does() {
    let changes = async |mut session: Session<Unwritable>| *session = Unwritable;
    let router = Router::new()
        .route("/panics", websocket().receive(panics))
        .route("/later", websocket().receive(panics_later))
        .route("/bomb", websocket().receive(async |_bomb: Bomb| {}))
        .route("/waits", websocket().receive(waits_with_a_bomb))
        .route(
            "/thrown",
            websocket().receive(async || -> () { std::panic::panic_any(Bomb) }),
        )
        .route(
            "/shown",
            websocket().receive(async || Err::<(), _>(Unspeakable)),
        )
        .route("/written", websocket().receive(changes))
        .route(
            "/blocking",
            websocket().receive(blocking(|| -> () { panic!("in a thread") })),
        )
        .route(
            "/well",
            websocket().receive(async |socket: Socket| socket.text("ok").await),
        );
    let counts = Counts::default();
    let mut stage = Stage::empty().await;
    let worker = metrics::with_local_recorder(&counts, || {
        let config = WorkerConfig::default();
        Worker::new(config, &router, stage.layer.another_node(), States::new()).unwrap()
    });
    stage.add(worker);
    for path in [
        "/panics",
        "/later",
        "/bomb",
        "/thrown",
        "/shown",
        "/written",
        "/blocking",
    ] {
        stage.peer(path).text("x").await.failed();
        assert_eq!(counts.consumed(path, "panicked"), 1, "{path}");
    }
    stage.peer("/waits").text("x").await.failed();
    assert_eq!(counts.consumed("/waits", "timed_out"), 1);
    assert_eq!(stage.peer("/well").text("x").await.done().text(), "ok");
}

#[tokio::test(start_paused = true)]
async fn an_error_says_what_the_peer_may_see() {
    async fn fail(Text(kind): Text) -> Result {
        match &*kind {
            "rejected" => Err(Error::rejected("not you")),
            "payload" => Err(Error::bad_payload("not this")),
            "denied" => Err(Error::deny(418, "teapot")),
            "retry" => Err(Error::retry()),
            _ => Ok("x".parse::<u8>().map(|_| ())?),
        }
    }
    let router = Router::new().route("/x", websocket().receive(fail));
    let stage = Stage::new(router).await;
    let mut peer = stage.peer("/x");
    let close = |reason: &str| Some((1008, reason.to_owned()));
    assert_eq!(
        peer.text("rejected").await.done().closed(),
        close("not you")
    );
    assert_eq!(
        peer.text("payload").await.done().closed(),
        close("not this")
    );
    assert_eq!(peer.text("retry").await.completion.outcome, Outcome::Retry);
    for kind in ["denied", "internal"] {
        let turn = peer.text(kind).await.failed();
        assert_eq!(turn.closed(), None);
        let Outcome::Failed { error_id } = turn.completion.outcome else {
            panic!("not failed");
        };
        assert_eq!(error_id.len(), 16);
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_at_connect_answers_the_handshake() {
    async fn fail(handshake: Handshake) -> Result {
        Err(match &*handshake.scheme {
            "rejected" => Error::rejected("not you"),
            "payload" => Error::bad_payload("not this"),
            "denied" => Error::deny(418, "teapot"),
            _ => Error::internal("secret"),
        })
    }
    let stage = Stage::new(Router::new().route("/x", websocket().connect(fail))).await;
    for (kind, answer) in [
        ("rejected", Some((403, "not you".to_owned()))),
        ("payload", Some((400, "not this".to_owned()))),
        ("denied", Some((418, "teapot".to_owned()))),
        ("internal", None),
    ] {
        let handshake = Handshake {
            scheme: kind.into(),
            ..Handshake::default()
        };
        let turn = stage.peer("/x").connect_with(handshake).await;
        assert_eq!(turn.denied(), answer);
        let failed = matches!(turn.completion.outcome, Outcome::Failed { .. });
        assert_eq!(failed, kind == "internal");
    }
}

#[tokio::test(start_paused = true)]
async fn what_fails_with_the_layer_alone_is_lost() {
    async fn receive(Text(text): Text, groups: Groups, layer: State<Arc<Troubled>>) -> Result {
        layer.set(Trouble::Away);
        let added = groups.add("room").await;
        layer.set(Trouble::None);
        match &*text {
            "lost" => added,
            _ => added.map_err(|_| Error::internal("given up")),
        }
    }
    let mut stage = Stage::empty().await;
    let layer = Troubled::new(stage.layer.another_node());
    let states = States::new().with(Arc::clone(&layer));
    let router = Router::new().route("/x", websocket().receive(receive));
    let config = WorkerConfig::default();
    stage.add(Worker::new(config, &router, layer, states).unwrap());
    let mut peer = stage.peer("/x");
    assert_eq!(peer.text("lost").await.completion.outcome, Outcome::Lost);
    peer.text("failed").await.failed();
}

#[tokio::test(start_paused = true)]
async fn a_message_that_fails_is_counted() {
    async fn job(Payload(number): Payload<u8>) -> Result {
        match number {
            0 => panic!("on purpose"),
            1 => Err(Error::retry()),
            2 => Err(Error::rejected("on purpose")),
            _ => Ok(()),
        }
    }
    let counts = Counts::default();
    let answers = async |Text(_): Text, socket: Socket| socket.text("ok").await;
    let router = Router::new()
        .route("/x", websocket().receive(answers))
        .channel("jobs.run", job);
    let mut stage = Stage::empty().await;
    let worker = metrics::with_local_recorder(&counts, || {
        let config = WorkerConfig {
            concurrency: 1,
            ..WorkerConfig::default()
        };
        Worker::new(config, &router, stage.layer.another_node(), States::new()).unwrap()
    });
    for number in 0..4 {
        stage.send("jobs.run", &number).await;
    }
    stage.send("jobs.run", "not a number").await;
    let statistics = stage.layer.clone();
    stage.add(worker);
    crate::stage::until_empty(&statistics, "jobs.run").await;
    stage.peer("/x").text("").await.done();
    for outcome in ["panicked", "failed", "rejected", "bad_payload", "done"] {
        assert_eq!(counts.consumed("jobs.run", outcome), 1, "{outcome}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_plain_function_may_block_and_wait() {
    fn receive(Text(text): Text, socket: Socket) -> Result {
        wait(socket.text(text.to_uppercase()))
    }
    let router = Router::new().route("/x", websocket().receive(blocking(receive)));
    let stage = Stage::new(router).await;
    assert_eq!(stage.peer("/x").text("hi").await.done().text(), "HI");
}
