//! Rate limits around consumers.

use std::time::Duration;

use bytestring::ByteString;
use tokio::time::advance;
use tokio_util::sync::CancellationToken;
use towpath_layer_core::Handshake;
use towpath_worker::{
    Context, Error, Json, Rate, RateLimit, Result, Router, Socket, States, Text, Websocket, Worker,
    WorkerConfig, demultiplexer, websocket,
};

use crate::recorder::Counts;
use crate::stage::{Peer, Stage, Turn};

const SECOND: Duration = Duration::from_secs(1);

fn echo() -> Websocket {
    websocket()
        .receive(async |Text(text): Text, socket: Socket| socket.text(text).await)
        .on("tell", async |socket: Socket| socket.text("told").await)
        .disconnect(async |socket: Socket| socket.text("gone").await)
}

fn two_a_second() -> RateLimit {
    RateLimit::per_connection(Rate::per_second(2), 2)
}

async fn stage_of(limit: RateLimit) -> Stage {
    Stage::new(Router::new().route("/", echo().middleware(limit))).await
}

#[track_caller]
fn passes(turn: Turn) {
    assert_eq!((turn.done().text(), ()), ("x", ()));
}

fn policy() -> Option<(u16, String)> {
    Some((1008, "too many messages".to_owned()))
}

#[tokio::test(start_paused = true)]
async fn a_connection_over_its_rate_is_closed_and_its_neighbour_is_not() {
    let stage = stage_of(two_a_second()).await;
    let (mut ada, mut ben) = (stage.peer("/"), stage.peer("/"));
    assert!(ada.connect().await.done().accepted());
    passes(ada.text("x").await);
    passes(ada.text("x").await);
    assert_eq!(ada.text("x").await.done().closed(), policy());
    passes(ben.text("x").await);
    advance(SECOND / 2).await;
    passes(ada.text("x").await);
    assert_eq!(ada.text("x").await.done().closed(), policy());
}

#[tokio::test(start_paused = true)]
async fn only_frames_of_the_peer_count() {
    let stage = stage_of(two_a_second()).await;
    let mut peer = stage.peer("/");
    peer.connect().await.done();
    for _ in 0..5 {
        assert_eq!(peer.application("tell", &()).await.done().text(), "told");
    }
    passes(peer.text("x").await);
    passes(peer.text("x").await);
    assert_eq!(peer.application("tell", &()).await.done().text(), "told");
    assert_eq!(peer.disconnect(1000).await.done().text(), "gone");
}

#[tokio::test(start_paused = true)]
async fn the_limit_of_a_connection_holds_across_workers() {
    let mut stage = stage_of(two_a_second()).await;
    let mut peer = stage.peer("/");
    passes(peer.text("x").await);
    passes(peer.text("x").await);
    stage.shutdown.cancel();
    stage.ended().await.unwrap();
    stage.shutdown = CancellationToken::new();
    let router = Router::new().route("/", echo().middleware(two_a_second()));
    let layer = stage.layer.another_node();
    let config = WorkerConfig::default();
    stage.add(Worker::new(config, &router, layer, States::new()).unwrap());
    assert_eq!(peer.text("x").await.done().closed(), policy());
    advance(SECOND / 2).await;
    passes(peer.text("x").await);
}

#[tokio::test(start_paused = true)]
async fn limits_that_differ_have_buckets_of_their_own() {
    let limits = two_a_second();
    let burst = RateLimit::per_connection(Rate::per_minute(1), 3).close_with(4429);
    let consumers = echo().middleware(limits).middleware(burst);
    let stage = Stage::new(Router::new().route("/", consumers)).await;
    let mut peer = stage.peer("/");
    passes(peer.text("x").await);
    passes(peer.text("x").await);
    advance(SECOND).await;
    passes(peer.text("x").await);
    let closed = peer.text("x").await.done().closed();
    assert_eq!(closed, Some((4429, "too many messages".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn what_is_over_the_limit_is_answered_or_dropped_on_request() {
    let counts = Counts::default();
    let _listening = metrics::set_default_local_recorder(&counts);
    let stage = stage_of(two_a_second().answer()).await;
    let mut peer = stage.peer("/");
    passes(peer.text("x").await);
    passes(peer.text("x").await);
    let answered = peer.text("x").await.done();
    assert_eq!(answered.closed(), None);
    let error: serde_json::Value = serde_json::from_str(answered.text()).unwrap();
    let error = &error["error"];
    assert_eq!(error["code"], "rate_limited");
    let wait_ms = error["retry_after_ms"].as_u64().unwrap();
    assert!((400..=500).contains(&wait_ms), "{wait_ms}");
    advance(Duration::from_millis(wait_ms + 1)).await;
    passes(peer.text("x").await);

    let stage = stage_of(two_a_second().discard()).await;
    let mut peer = stage.peer("/");
    for _ in 0..2 {
        passes(peer.text("x").await);
    }
    for _ in 0..3 {
        let dropped = peer.text("x").await.done();
        assert!(dropped.texts().is_empty() && dropped.closed().is_none());
    }
    let counted = |outcome| {
        counts.of(&format!(
            "towpath_rate_limited_total limit=connection outcome={outcome}"
        ))
    };
    assert_eq!((counted("answered"), counted("dropped")), (1, 3));
}

#[tokio::test(start_paused = true)]
async fn a_stream_has_a_limit_of_its_own_that_its_failures_do_not_refill() {
    async fn fussy(Json(number): Json<u32>) -> Result {
        match number {
            0 => Ok(()),
            _ => Err(Error::rejected("no")),
        }
    }
    let stream = || {
        websocket()
            .receive(fussy)
            .middleware(two_a_second().answer())
    };
    let streams = demultiplexer().stream("a", stream()).stream("b", stream());
    let stage = Stage::new(Router::new().route("/", streams)).await;
    let mut peer = stage.peer("/");
    let frame = |stream: &str| format!(r#"{{"stream":"{stream}","payload":1}}"#);
    let mut codes = Vec::new();
    for stream in ["a", "a", "a", "b"] {
        let turn = peer.text(&frame(stream)).await.done();
        let answer: serde_json::Value = serde_json::from_str(turn.text()).unwrap();
        assert_eq!(answer["stream"], stream);
        codes.push(answer["error"]["code"].as_str().unwrap().to_owned());
    }
    assert_eq!(codes, ["rejected", "rejected", "rate_limited", "rejected"]);
}

fn by_path() -> RateLimit {
    let whose = |event: &Context| event.param("name").map(str::to_owned);
    RateLimit::per_identity(whose, Rate::per_second(2), 2)
}

async fn connected(stage: &Stage, path: &str) -> Peer {
    let mut peer = stage.peer(path);
    peer.connect().await.done();
    peer
}

#[tokio::test(start_paused = true)]
async fn connections_of_one_identity_share_a_bucket() {
    let router = Router::new()
        .route("/{name}", echo())
        .route("/", echo())
        .middleware(by_path());
    let stage = Stage::new(router).await;
    let mut ada = [
        connected(&stage, "/ada").await,
        connected(&stage, "/ada").await,
    ];
    passes(ada[0].text("x").await);
    passes(ada[1].text("x").await);
    assert_eq!(ada[0].text("x").await.done().closed(), policy());
    assert_eq!(ada[1].text("x").await.done().closed(), policy());
    passes(connected(&stage, "/ben").await.text("x").await);
    let mut nobody = connected(&stage, "/").await;
    for _ in 0..5 {
        passes(nobody.text("x").await);
    }
}

#[tokio::test(start_paused = true)]
async fn an_identity_that_was_forgotten_has_a_full_bucket() {
    let router = Router::new()
        .route("/{name}", echo())
        .middleware(by_path().identities_max(1));
    let stage = Stage::new(router).await;
    let mut ada = connected(&stage, "/ada").await;
    passes(ada.text("x").await);
    passes(ada.text("x").await);
    assert_eq!(ada.text("x").await.done().closed(), policy());
    passes(connected(&stage, "/ben").await.text("x").await);
    passes(ada.text("x").await);
}

#[tokio::test(start_paused = true)]
async fn handshakes_from_one_address_are_limited() {
    let limit = RateLimit::connects_per_address(Rate::per_minute(6), 1);
    let stage = stage_of(limit).await;
    let from = async |address: &str| {
        let handshake = Handshake {
            client: Some((ByteString::from(address), 1)),
            ..Handshake::default()
        };
        stage.peer("/").connect_with(handshake).await.done()
    };
    assert!(from("192.0.2.1").await.accepted());
    let turn = from("192.0.2.1").await;
    assert_eq!(
        turn.denied(),
        Some((429, "too many connections".to_owned()))
    );
    let deny = turn.replies.iter().find_map(|reply| reply.deny.as_ref());
    assert_eq!(deny.unwrap().headers, [("retry-after".into(), "10".into())]);
    // The same client, by another notation; and others.
    assert!(!from("::ffff:192.0.2.1").await.accepted());
    assert!(from("192.0.2.2").await.accepted());
    assert!(from("2001:db8::1").await.accepted());
    assert!(!from("2001:db8::2").await.accepted());
    assert!(from("2001:db8:0:1::1").await.accepted());
    advance(Duration::from_secs(10)).await;
    assert!(from("192.0.2.1").await.accepted());
}
