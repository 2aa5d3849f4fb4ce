//! Which consumer gets what.
//!
//! The cases of Channels 1.1.8 for its routing, and what has their place here:
//!
//! | there | here |
//! |---|---|
//! | sanity | [`the_first_route_that_fits_wins`] |
//! | dict form | [`a_message_is_routed_by_its_channel_and_its_fields`]: a call for each |
//! | filters and fall-through | [`a_filter_on_a_frame_decides_for_each`] |
//! | include | [`the_first_route_that_fits_wins`] |
//! | route class | `consumers::methods_take_the_messages_of_their_channels` |
//! | include prefix, with and without `^` | [`a_nested_path_may_have_anchors_or_not`] |
//! | positional group refused | [`a_group_without_a_name_is_refused`] |
//! | bytes and text mix | [`a_filter_reads_bytes_as_text`] |
//! | channel set, dynamic add | [`paths_and_channels_are_plain_data`], [`a_route_that_is_added_adds_its_channels`] |

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use towpath_layer_core::{Handshake, Outcome};
use towpath_worker::{
    Context, Json, Path, Payload, Result, Router, Session, Socket, State, States, Text, Websocket,
    Worker, WorkerConfig, field, header, query, websocket,
};

use crate::recorder::Counts;
use crate::stage::{PATIENCE, Stage};

/// Answers every frame with a name.
fn named(name: &'static str) -> Websocket {
    websocket().receive(move |socket: Socket| async move { socket.text(name).await })
}

async fn path_of(Path((house, room)): Path<(String, u32)>, socket: Socket) -> Result {
    socket.text(format!("{house}/{room}")).await
}

#[tokio::test(start_paused = true)]
async fn the_first_route_that_fits_wins() {
    let nested = Router::new().route("/{x}", named("nested")).route_regex(
        r"^/(?<house>\w+)-(?<room>\d+)$",
        websocket().receive(path_of),
    );
    let router = Router::new()
        .route("/chat/{room}", named("chat"))
        .route("/chat/lobby", named("lobby"))
        .route("/api/known", named("outer"))
        .nest(
            "/api",
            Router::new()
                .route("/never/", named("slash"))
                .nest("/v1", nested),
        )
        .route("/{a}/{b}", named("rest"));
    let stage = Stage::new(router).await;
    for (path, expected) in [
        ("/chat/lobby", "chat"),
        ("/api/known", "outer"),
        ("/api/v1/x", "nested"),
        ("/api/never/", "slash"),
        ("/api/never", "rest"),
    ] {
        let turn = stage.peer(path).text("").await;
        assert_eq!(turn.done().text(), expected, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_path_gives_its_parameters_decoded() {
    let by_regex = websocket().receive(path_of);
    let router = Router::new()
        .route("/a/{house}/{room}", websocket().receive(path_of))
        .route_regex(r"/b/(?<house>.+)-(?<room>\d+)", by_regex);
    let stage = Stage::new(router).await;
    assert_eq!(
        stage.peer("/a/blue house/7").text("").await.text(),
        "blue house/7"
    );
    assert_eq!(stage.peer("/b/x/y-12").text("").await.text(), "x/y/12");
    let turn = stage.peer("/a/blue/seven").text("").await.done();
    let reason = "the path has \"seven\": invalid digit found in string";
    assert_eq!(turn.closed(), Some((1008, reason.to_owned())));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_no_route_takes_is_denied() {
    let counts = Counts::default();
    let router = Router::new().route("/chat", named("chat"));
    let mut stage = Stage::empty().await;
    let worker = metrics::with_local_recorder(&counts, || {
        let config = WorkerConfig::default();
        Worker::new(config, &router, stage.layer.another_node(), States::new()).unwrap()
    });
    stage.add(worker);
    let mut peer = stage.peer("/chat/");
    assert_eq!(
        peer.connect().await.done().denied(),
        Some((404, "not found".to_owned()))
    );
    peer.text("x").await.failed();
    peer.disconnect(1000).await.done();
    assert_eq!(counts.consumed("unrouted", "unrouted"), 3);
}

#[tokio::test(start_paused = true)]
async fn a_filter_on_the_handshake_decides_for_the_whole_conversation() {
    async fn count(mut seen: Session<u32>, socket: Socket) -> Result {
        *seen += 1;
        socket.text(format!("mobile {}", *seen)).await
    }
    let mobile = header("user-agent").matches("(?i).*mobile.*");
    let second = query("version")
        .equals(2)
        .and(field("subprotocol").equals("v2"));
    let router = Router::new()
        .route_when("/chat", mobile, websocket().receive(count))
        .route_when("/chat", second, named("second"))
        .route("/chat", named("plain"));
    let stage = Stage::new(router).await;

    let mut peer = stage.peer("/chat");
    let agent = ("user-agent".into(), Bytes::from_static(b"A Mobile phone"));
    let handshake = Handshake {
        headers: vec![agent],
        ..Handshake::default()
    };
    assert!(peer.connect_with(handshake).await.done().accepted());
    assert_eq!(peer.text("").await.text(), "mobile 1");
    assert_eq!(peer.text("").await.text(), "mobile 2");

    let mut peer = stage.peer("/chat");
    let handshake = Handshake {
        query_string: Bytes::from_static(b"version=1&version=%32"),
        subprotocols: vec!["v1".into(), "v2".into()],
        ..Handshake::default()
    };
    peer.connect_with(handshake).await.done();
    assert_eq!(peer.text("").await.text(), "second");

    let mut peer = stage.peer("/chat");
    peer.connect().await.done();
    assert_eq!(peer.session, Bytes::new());
    assert_eq!(peer.text("").await.text(), "plain");
}

#[tokio::test(start_paused = true)]
async fn a_filter_on_a_frame_decides_for_each() {
    let router = Router::new()
        .route_when("/chat", field("text").matches("/.*"), named("command"))
        .route_when("/chat", field("code").equals(4000), websocket())
        .route("/chat", named("said"));
    let stage = Stage::new(router).await;
    let mut peer = stage.peer("/chat");
    peer.connect().await.done();
    assert_eq!(peer.text("/help").await.text(), "command");
    assert_eq!(peer.text("help /me").await.text(), "said");
    assert_eq!(peer.bytes(b"/help").await.text(), "said");
    peer.disconnect(4000).await.done();
}

#[derive(Serialize, Deserialize)]
struct Job {
    kind: String,
    size: u32,
}

#[tokio::test(start_paused = true)]
async fn a_nested_path_may_have_anchors_or_not() {
    let inner = Router::new()
        .route_regex("^/with$", named("with"))
        .route_regex("/without", named("without"))
        .route_regex("^/(?<rest>.*)/end", named("rest"));
    let stage = Stage::new(Router::new().nest("/{version}/api", inner)).await;
    for (path, expected) in [
        ("/v1/api/with", "with"),
        ("/v1/api/without", "without"),
        ("/v1/api/a/b/end", "rest"),
    ] {
        let turn = stage.peer(path).text("").await;
        assert_eq!(turn.done().text(), expected, "{path}");
    }
    // A path matches whole: neither a longer one nor the inner one alone fits.
    for path in ["/v1/api/with/more", "/with", "/v1/api"] {
        let turn = stage.peer(path).connect().await.done();
        assert_eq!(turn.denied().map(|(status, _)| status), Some(404), "{path}");
    }
}

#[test]
fn a_group_without_a_name_is_refused() {
    let router = Router::new().route_regex(r"/test/(\d+)", websocket());
    let errors = router.check(&States::new()).unwrap_err().to_string();
    let expected = "a group without a name is no parameter: write (?<name>…) or (?:…)";
    assert_eq!(errors, format!("/test/(\\d+): {expected}"));
}

#[tokio::test(start_paused = true)]
async fn a_filter_reads_bytes_as_text() {
    let router = Router::new()
        .route_when("/x", header("x-kind").equals("späť"), named("text"))
        .route_when("/x", header("x-kind").matches("b.*"), named("begins"))
        .route("/x", named("other"));
    let stage = Stage::new(router).await;
    for (value, expected) in [
        ("späť".as_bytes(), "text"),
        (b"bytes", "begins"),
        (b"b\xff", "other"),
    ] {
        let mut peer = stage.peer("/x");
        let headers = vec![("x-kind".into(), Bytes::from_static(value))];
        let handshake = Handshake {
            headers,
            ..Handshake::default()
        };
        peer.connect_with(handshake).await.done();
        assert_eq!(peer.text("").await.done().text(), expected);
    }
}

#[test]
fn a_route_that_is_added_adds_its_channels() {
    let router = Router::new().channel("a", async || {});
    let added = router
        .clone()
        .nest("/x", Router::new().channel("b", async || {}));
    assert_eq!((router.channels().len(), added.channels().len()), (1, 2));
    let added = added.route("/y", websocket());
    assert_eq!(added.channels().len(), 6);
}

#[tokio::test]
async fn a_worker_receives_from_what_only_and_exclude_leave() {
    use towpath_layer_core::Glob;

    let stage = Stage::empty().await;
    let router = ["yes.1", "yes.2", "no.1", "maybe"]
        .into_iter()
        .fold(Router::new(), |router, name| {
            router.channel(name, async || {})
        });
    let globs = |globs: &[&str]| globs.iter().map(|glob| Glob::new(*glob)).collect();
    let received = |only, exclude| {
        let config = WorkerConfig {
            only: globs(only),
            exclude: globs(exclude),
            ..WorkerConfig::default()
        };
        let layer = stage.layer.another_node();
        let worker = Worker::new(config, &router, layer, States::new()).unwrap();
        let names = worker.channels().iter().map(ToString::to_string);
        names.collect::<Vec<_>>()
    };
    assert_eq!(
        received(&["yes.*", "maybe"], &[]),
        ["yes.1", "yes.2", "maybe"]
    );
    assert_eq!(received(&[], &["no.*"]), ["yes.1", "yes.2", "maybe"]);
    assert_eq!(received(&["yes.*", "no.*"], &["*.2"]), ["yes.1", "no.1"]);
}

type Log = mpsc::Sender<String>;

#[tokio::test(start_paused = true)]
async fn a_message_is_routed_by_its_channel_and_its_fields() {
    async fn resize(Payload(job): Payload<Job>, log: State<Log>) -> Result {
        Ok(log.send(format!("resize {}", job.size)).await?)
    }
    async fn other(context: Context, log: State<Log>) -> Result {
        Ok(log.send(format!("other on {}", context.channel())).await?)
    }
    let counts = Counts::default();
    let resizes = field("kind").equals("resize");
    let router = Router::new()
        .channel_when(
            "jobs.run",
            resizes.and(field("size").matches(r"\d+")),
            resize,
        )
        .channel_when("jobs.run", field("kind").equals("copy"), other)
        .channel("mail.send", other);
    let mut stage = Stage::empty().await;
    let (log, mut logged) = mpsc::channel::<String>(10);
    let worker = metrics::with_local_recorder(&counts, || {
        let states = States::new().with(log);
        let layer = stage.layer.another_node();
        Worker::new(WorkerConfig::default(), &router, layer, states).unwrap()
    });
    stage.add(worker);
    for (channel, kind) in [
        ("jobs.run", "resize"),
        ("jobs.run", "delete"),
        ("jobs.run", "copy"),
        ("mail.send", "any"),
    ] {
        let kind = kind.to_owned();
        stage.send(channel, &Job { kind, size: 7 }).await;
    }
    let mut seen = Vec::new();
    while seen.len() < 3 {
        let next = tokio::time::timeout(PATIENCE, logged.recv()).await;
        seen.push(next.unwrap().unwrap());
    }
    seen.sort();
    assert_eq!(
        seen,
        ["other on jobs.run", "other on mail.send", "resize 7"]
    );
    assert_eq!(counts.consumed("unrouted", "unrouted"), 1);
}

#[tokio::test(start_paused = true)]
async fn without_a_consumer_a_route_accepts_and_ignores() {
    let counts = Counts::default();
    let router = Router::new().route("/quiet", websocket());
    let mut stage = Stage::empty().await;
    let worker = metrics::with_local_recorder(&counts, || {
        let config = WorkerConfig::default();
        Worker::new(config, &router, stage.layer.another_node(), States::new()).unwrap()
    });
    stage.add(worker);
    let mut peer = stage.peer("/quiet");
    assert!(peer.connect().await.done().accepted());
    for _ in 0..2 {
        let turn = peer.text("hello").await;
        assert_eq!(turn.completion.outcome, Outcome::Done { session: None });
    }
    peer.application("unknown", "x").await.failed();
    peer.disconnect(1000).await.done();
    assert_eq!(counts.consumed("/quiet", "ignored"), 2);
    assert_eq!(counts.consumed("/quiet", "failed"), 1);
    assert_eq!(counts.consumed("/quiet", "done"), 2);
}

#[test]
fn paths_and_channels_are_plain_data() {
    let router = Router::new()
        .route("/chat/{room}/", websocket())
        .route_when("/chat/{room}/", field("text").equals("x"), websocket())
        .channel("thumbnails.make", async || {})
        .channel("thumbnails.make", async || {});
    assert_eq!(router.paths(), ["^/chat/(?<room>[^/]+)/$"]);
    let channels: Vec<String> = router.channels().iter().map(ToString::to_string).collect();
    assert_eq!(
        channels,
        [
            "websocket.connect",
            "websocket.receive",
            "websocket.event",
            "websocket.disconnect",
            "thumbnails.make"
        ]
    );
    assert!(Router::new().channels().is_empty());
}

#[derive(Deserialize)]
struct Incoming {}

#[test]
fn every_mistake_is_found_at_start() {
    let sockets = websocket()
        .connect(async |_: Json<Incoming>| {})
        .receive(async |_: Path<(String, String)>| {})
        .on("twice", async |_: Payload<u8>| {})
        .on("twice", async |_: Text| {})
        .disconnect(async |_: State<Job>| {});
    let router = Router::new()
        .route("chat", websocket())
        .route("/chat/{room}", sockets)
        .route_regex("/(", websocket())
        .route_when("/x", field("colour").equals("red"), websocket())
        .route_when("/x", field("text").matches("("), websocket())
        .nest("/api/", Router::new().route("/y", websocket()))
        .channel("two words", async || {})
        .channel("websocket.receive", async || {})
        .channel_when("jobs.run", header("x").equals(1), async || {})
        .channel("jobs.run", async |_: Socket| {});
    let errors = router.check(&States::new()).unwrap_err();
    let expected = "\
chat: a path begins with '/'
/chat/{room}: connect consumers cannot take Json: only a receive consumer has a frame; what \
consumers send each other is a Payload
/chat/{room}: Path<(String, String)>: it takes 2 of the path's parameters, which are 1
/chat/{room}: the application has no state of type Job
/chat/{room}: event consumers cannot take Text: only a receive consumer has a frame
/chat/{room}: the event \"twice\" has two consumers
";
    let shown = errors.to_string();
    assert!(shown.starts_with(expected), "{shown}");
    let routes: Vec<&str> = errors.0.iter().skip(6).map(|error| error.route()).collect();
    assert_eq!(
        routes,
        [
            "/(",
            "/x if field(\"colour\") equals \"red\"",
            "/x if field(\"text\") matches \"(\"",
            "/api//y",
            "two words",
            "websocket.receive",
            "jobs.run if header(\"x\") equals \"1\"",
            "jobs.run"
        ]
    );
}

#[tokio::test]
async fn a_worker_without_channels_is_refused() {
    let stage = Stage::empty().await;
    let refused = |config, router: &Router| {
        let layer = stage.layer.another_node();
        let worker = Worker::new(config, router, layer, States::new());
        worker.unwrap_err().to_string()
    };
    let router = Router::new().channel("jobs.run", async || {});
    let config = WorkerConfig {
        exclude: vec![towpath_layer_core::Glob::new("jobs.*")],
        ..WorkerConfig::default()
    };
    assert!(refused(config, &router).contains("`exclude`"));
    assert!(refused(WorkerConfig::default(), &Router::new()).contains("no routes"));
    let config = WorkerConfig {
        concurrency: 0,
        ..WorkerConfig::default()
    };
    assert!(refused(config, &router).contains("at least 1"));
}

#[tokio::test]
async fn a_connect_consumer_that_returns_accepts() {
    async fn says_nothing() {}
    async fn answers(socket: Socket) -> Result {
        socket.deny(403, "not today").await
    }
    let router = Router::new()
        .route("/silent", websocket().connect(says_nothing))
        .route("/denied", websocket().connect(answers));
    let stage = Stage::new(router).await;
    let silent = stage.peer("/silent").connect().await.done();
    assert!(silent.accepted());
    let denied = stage.peer("/denied").connect().await.done();
    assert!(!denied.accepted());
    assert_eq!(denied.denied(), Some((403, "not today".to_owned())));
}
