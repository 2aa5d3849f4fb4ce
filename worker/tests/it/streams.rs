//! The streams of a demultiplexer: what reaches them, and what they send.
//!
//! Which case of Channels 1.1.8 is where stands in `consumers.rs`.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use towpath_layer_core::{Application, Content, EventKind, Handshake, Reply};
use towpath_worker::{
    Context, Demultiplexer, Disconnected, Error, Groups, Json, JsonConsumer, JsonSocket, Path,
    Payload, Prepared, Result, Router, Session, Socket, States, Text, WebsocketConsumer,
    demultiplexer, websocket,
};

use crate::consumers::Shouting;
use crate::stage::{Peer, Stage};

pub(crate) async fn peer_of(streams: Demultiplexer) -> (Stage, Peer) {
    let stage = Stage::new(Router::new().route("/{id}", streams)).await;
    let peer = stage.peer("/1");
    (stage, peer)
}

pub(crate) fn frame(stream: &str, payload: &str) -> String {
    format!(r#"{{"stream":"{stream}","payload":{payload}}}"#)
}

pub(crate) async fn count(Json(by): Json<i64>, mut sum: Session<i64>, socket: Socket) -> Result {
    *sum += by;
    socket.json(&*sum).await
}

#[tokio::test(start_paused = true)]
async fn connect_frames_and_disconnect_reach_a_stream() {
    async fn tell(Path(id): Path<String>, socket: Socket) -> Result {
        socket.json(&[("id", id)]).await
    }
    async fn echo(Json(value): Json<serde_json::Value>, socket: Socket) -> Result {
        socket.json(&value).await
    }
    let mine = websocket().connect(tell).receive(echo).disconnect(tell);
    let (_stage, mut peer) = peer_of(demultiplexer().stream("mine", mine)).await;
    let id = frame("mine", r#"[["id","1"]]"#);
    assert_eq!(peer.connect().await.done().texts(), [&id]);
    // Spaces and the order of the keys are the peer's.
    let sent = r#" {"payload" : {"text":"é"} , "more":1, "stream":"mine"} "#;
    let turn = peer.text(sent).await.done();
    assert_eq!(turn.texts(), [frame("mine", r#"{"text":"é"}"#)]);
    assert_eq!(peer.disconnect(1000).await.done().texts(), [&id]);
}

#[tokio::test(start_paused = true)]
async fn each_stream_has_its_own_session() {
    let up = || websocket().receive(count);
    let streams = demultiplexer().stream("a", up()).stream("\"b\"", up());
    let (_stage, mut peer) = peer_of(streams).await;
    assert!(peer.connect().await.done().accepted());
    for (stream, by, sum) in [
        ("a", 1, 1),
        ("\\\"b\\\"", 10, 10),
        ("a", 2, 3),
        ("\\\"b\\\"", 1, 11),
    ] {
        let turn = peer.text(&frame(stream, &by.to_string())).await.done();
        assert_eq!(turn.texts(), [frame(stream, &sum.to_string())]);
    }
    let before = peer.session.clone();
    peer.text(&frame("a", "0")).await.done();
    assert_eq!(peer.session, before);
}

/// A text to itself, another to everybody: as Channels 1.x could not.
#[derive(Serialize, Deserialize)]
struct Echo;

impl WebsocketConsumer for Echo {
    async fn connect(_: &Socket) -> Result<Self> {
        Ok(Self)
    }

    fn groups(&self) -> Vec<String> {
        vec!["echo".to_owned()]
    }

    async fn receive_text(&mut self, text: &str, socket: &Socket) -> Result {
        socket.text(text).await?;
        socket.outbox().group_text("echo", "all")
    }
}

#[tokio::test(start_paused = true)]
async fn a_type_sends_wrapped_on_a_stream_and_bare_on_a_route() {
    let router = Router::new().route("/bare", Echo::websocket()).route(
        "/streams",
        demultiplexer().stream("echo", Echo::websocket()),
    );
    let stage = Stage::new(router).await;
    for _ in 0..2 {
        let mut peer = stage.peer("/streams");
        peer.connect().await.done();
        let turn = peer.text(&frame("echo", r#""h\"i""#)).await.done();
        let expected = [frame("echo", r#""h\"i""#), frame("echo", r#""all""#)];
        assert_eq!(turn.texts(), expected);
        let turn = peer.text(&frame("echo", "7")).await.done();
        assert!(turn.text().contains("bad_payload"), "{}", turn.text());
        stage.leave_all(&peer).await;

        let mut peer = stage.peer("/bare");
        peer.connect().await.done();
        assert_eq!(peer.text("h\"i").await.done().texts(), ["h\"i", "all"]);
        stage.leave_all(&peer).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_types_own_json_is_wrapped() {
    let (_stage, mut peer) = peer_of(demultiplexer().stream("s", Shouting::websocket())).await;
    peer.connect().await.done();
    let turn = peer.text(&frame("s", r#"{"Key":"v"}"#)).await.done();
    let expected = frame("s", r#"{"key":"v"}"#);
    assert_eq!(turn.texts(), [&expected, &expected]);
}

#[tokio::test(start_paused = true)]
async fn what_goes_to_a_group_of_a_stream_is_wrapped() {
    async fn join(groups: Groups) -> Result {
        groups.add("all").await
    }
    async fn say(Text(text): Text, groups: Groups) -> Result {
        groups.send_text("all", text).await?;
        groups.send_json("all", &[1]).await?;
        groups.send_bytes("all", "no").await.unwrap_err();
        groups.send("all", Reply::text("bare")).await?;
        Ok(())
    }
    let chat = websocket().connect(join).receive(say);
    let (stage, mut peer) = peer_of(demultiplexer().stream("chat", chat)).await;
    peer.connect().await.done();
    let turn = peer.text(&frame("chat", r#""hi""#)).await.done();
    let expected = [
        frame("chat", r#""hi""#),
        frame("chat", "[1]"),
        "bare".to_owned(),
    ];
    assert_eq!(turn.texts(), expected);
    let groups = Groups::new(stage.layer.clone());
    let prepared = Prepared::stream_json("chat", &[2]).unwrap();
    groups.send("all", prepared).await.unwrap();
    groups.stream("chat").send_json("all", &[3]).await.unwrap();
    assert_eq!(peer.reply().await, Reply::text(frame("chat", "[2]")));
    assert_eq!(peer.reply().await, Reply::text(frame("chat", "[3]")));
}

#[tokio::test(start_paused = true)]
async fn streams_accept_together_and_any_of_them_refuses_all() {
    async fn greet(socket: Socket, groups: Groups) -> Result {
        groups.add("greeted").await?;
        socket.accept_subprotocol("v2").await?;
        socket.outbox().send("jobs.greet", "greeted")?;
        socket.text("welcome").await
    }
    async fn guard(Path(how): Path<String>, socket: Socket) -> Result {
        match how.as_str() {
            "rejected" => Err(Error::rejected("not you")),
            "denied" => socket.deny(418, "teapot").await,
            "closed" => Err(Error::close(4401, "who?")),
            _ => socket.text("checked").await,
        }
    }
    let streams = demultiplexer()
        .stream("greet", websocket().connect(greet))
        .stream("guard", websocket().connect(guard))
        .stream(
            "last",
            websocket().connect(async |socket: Socket| socket.text("last").await),
        );
    let stage = Stage::new(Router::new().route("/{how}", streams)).await;
    let offer = || Handshake {
        subprotocols: vec!["v1".into(), "v2".into()],
        ..Handshake::default()
    };
    let jobs = towpath_layer_core::ChannelName::new("jobs.greet").unwrap();
    for (path, status, body) in [("/rejected", 403, "not you"), ("/denied", 418, "teapot")] {
        let mut peer = stage.peer(path);
        let turn = peer.connect_with(offer()).await.done();
        assert_eq!(turn.denied(), Some((status, body.to_owned())));
        assert!(!turn.accepted() && turn.texts().is_empty(), "{path}");
        // What took effect is said, so that the node can end it.
        assert_eq!(turn.completion.groups.len(), 1);
    }
    let turn = stage.peer("/closed").connect_with(offer()).await.done();
    assert_eq!(turn.closed(), Some((4401, "who?".to_owned())));
    assert!(turn.texts().is_empty());
    assert_eq!(stage.pending(&jobs).await, 0);

    let turn = stage.peer("/well").connect_with(offer()).await.done();
    let accept = turn.replies[0].accept.clone().unwrap();
    assert_eq!(accept.subprotocol.as_deref(), Some("v2"));
    let accepts = turn.replies.iter().filter(|reply| reply.accept.is_some());
    assert_eq!(accepts.count(), 1);
    let expected = ["greet", "guard", "last"].map(|stream| {
        let text = match stream {
            "greet" => "welcome",
            "guard" => "checked",
            last => last,
        };
        frame(stream, &format!("{text:?}"))
    });
    assert_eq!(turn.texts(), expected);
    assert_eq!(stage.pending(&jobs).await, 1);
}

/// Takes one event by its name and leaves the rest to others.
#[derive(Serialize, Deserialize)]
struct Named(u32);

impl WebsocketConsumer for Named {
    async fn connect(_: &Socket) -> Result<Self> {
        Ok(Self(0))
    }

    async fn event(&mut self, event: Application, socket: &Socket) -> Result {
        self.0 += 1;
        match &*event.name {
            "both" | "named" => socket.json(&self.0).await,
            _ => Err(Error::unknown_event(&event)),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Deaf;

impl JsonConsumer for Deaf {
    type Incoming = ();
    type Outgoing = ();

    async fn connect(_: &JsonSocket<()>) -> Result<Self> {
        Ok(Self)
    }

    async fn receive(&mut self, (): (), _: &JsonSocket<()>) -> Result {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_reaches_every_stream_that_takes_it() {
    async fn both(Payload(word): Payload<String>, socket: Socket) -> Result {
        socket.json(&word).await
    }
    let streams = demultiplexer()
        .stream("deaf", Deaf::websocket())
        .stream("named", Named::websocket())
        .stream("other", websocket().on("both", both));
    let (_stage, mut peer) = peer_of(streams).await;
    peer.connect().await.done();
    let turn = peer.application("both", "w").await.done();
    assert_eq!(turn.texts(), [frame("named", "1"), frame("other", "\"w\"")]);
    let turn = peer.application("named", &()).await.done();
    assert_eq!(turn.texts(), [frame("named", "2")]);
    let turn = peer.application("nobody", &()).await.failed();
    assert!(turn.texts().is_empty());
    let turn = peer.application("named", &()).await.done();
    assert_eq!(turn.texts(), [frame("named", "3")]);
}

#[tokio::test(start_paused = true)]
async fn what_a_stream_tells_itself_reaches_no_other() {
    async fn tell(Json(delay): Json<u64>, socket: Socket) -> Result {
        let delay = Duration::from_millis(delay);
        socket.event("told", "now").await?;
        socket.event_after(delay, "told", "later").await?;
        socket.tick_every(delay, "clock").await?;
        socket.stop_ticking("clock").await
    }
    async fn told(Payload(when): Payload<String>, socket: Socket) -> Result {
        socket.json(&when).await
    }
    let both = || websocket().receive(tell).on("told", told);
    let streams = demultiplexer().stream("a", both()).stream("b", both());
    let (_stage, mut peer) = peer_of(streams).await;
    peer.connect().await.done();
    let turn = peer.text(&frame("b", "1")).await.done();
    let events = turn.replies.iter().filter_map(|reply| reply.event.as_ref());
    let streams: Vec<_> = events.map(|event| event.stream.as_deref()).collect();
    assert_eq!(streams, [Some("b")]);
    let ticks = turn.replies.iter().filter_map(|reply| reply.tick.as_ref());
    let streams: Vec<_> = ticks
        .map(|tick| (tick.stream.as_deref(), tick.every))
        .collect();
    let every = Duration::from_millis(1);
    assert_eq!(streams, [(Some("b"), Some(every)), (Some("b"), None)]);

    let of = |stream: &str, name: &str| {
        let told = Application::new(name, Content::encode("now").unwrap());
        let stream = Some(stream.into());
        EventKind::Application(Box::new(Application { stream, ..told }))
    };
    for stream in ["a", "b"] {
        let turn = peer.event(of(stream, "told")).await.done();
        assert_eq!(turn.texts(), [frame(stream, "\"now\"")]);
    }
    // What goes wrong on a stream stays there.
    let turn = peer.event(of("a", "unknown")).await.done();
    assert!(
        turn.text()
            .starts_with(r#"{"stream":"a","error":{"code":"failed""#)
    );
    peer.event(of("c", "told")).await.failed();
}

#[tokio::test(start_paused = true)]
async fn disconnect_reaches_all_streams_whatever_the_others_do() {
    async fn gone(gone: Disconnected, socket: Socket) -> Result {
        socket.json(&gone.code).await
    }
    let fails =
        |error: fn() -> Error| websocket().disconnect(move || async move { Err::<(), _>(error()) });
    let streams = demultiplexer()
        .stream("closes", fails(|| Error::close(4000, "late")))
        .stream("rejects", fails(|| Error::rejected("no")))
        .stream(
            "panics",
            websocket().disconnect(async || -> () { panic!("on purpose") }),
        )
        .stream("retries", fails(Error::retry))
        .stream("deaf", Deaf::websocket())
        .stream("last", websocket().disconnect(gone));
    let (_stage, mut peer) = peer_of(streams).await;
    let turn = peer.disconnect(1001).await;
    assert_eq!(turn.texts(), [frame("last", "1001")]);
    let outcome = turn.completion.outcome;
    assert_eq!(outcome, towpath_layer_core::Outcome::Retry);
}

#[test]
fn mistakes_in_streams_are_found_at_start() {
    let inner = demultiplexer().stream("a", websocket());
    let two = websocket()
        .on("twice", async || {})
        .on("twice", async || {})
        .receive(async |_: Bytes| {});
    let router = Router::new()
        .route("/nested", demultiplexer().stream("inner", inner))
        .route(
            "/same",
            demultiplexer()
                .stream("a", websocket())
                .stream("a", websocket()),
        )
        .route("/two", demultiplexer().stream("b", two))
        .route(
            "/place",
            demultiplexer()
                .stream("c", websocket().connect(async |_: Text| {}))
                .stream("d", websocket().receive(async |_: Context, _: Path<u8>| {})),
        );
    let errors = router.check(&States::new()).unwrap_err().to_string();
    let expected = "\
/nested: stream \"inner\": a demultiplexer cannot be a stream of another
/same: stream \"a\": there are two of that name
/two: stream \"b\": the event \"twice\" has two consumers
/two: stream \"b\": a stream of a demultiplexer carries JSON and no Bytes
/place: stream \"c\": connect consumers cannot take Text: only a receive consumer has a frame
/place: stream \"d\": Path<u8>: it takes 1 of the path's parameters, which are 0; a \
route names one as {name}
";
    assert_eq!(format!("{errors}\n"), expected);
}
