//! Types as consumers.
//!
//! The cases of Channels 1.1.8 for its generic consumers, and what has their
//! place here; the demultiplexer's are in `streams.rs`.
//!
//! | there | here |
//! |---|---|
//! | base consumer: methods by channel | [`methods_take_the_messages_of_their_channels`] |
//! | websocket handlers | [`a_type_takes_connect_frames_events_and_disconnect`] |
//! | decorators: strict ordering | `runtime::a_conversation_keeps_its_order_over_two_workers` |
//! | channel session and HTTP session | [`a_field_keeps_what_the_handshake_said`] |
//! | `as_route`, other attributes, a socket | [`one_type_serves_several_routes`] |
//! | `as_route`, other attributes, a channel | [`two_values_of_one_type_differ`], [`two_values_of_one_type_take_channels_of_their_own`] |
//! | demultiplexer: connect, receive, disconnect | `streams::connect_frames_and_disconnect_reach_a_stream` |
//! | demultiplexer: send of the consumer | `streams::a_type_sends_wrapped_on_a_stream_and_bare_on_a_route` |
//! | custom JSON | [`a_type_has_its_own_json`] |
//! | custom multiplexer | `streams::a_types_own_json_is_wrapped` |

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::time::timeout;
use towpath_layer_core::{Application, Frame, GroupChange, Handshake, Outcome, Reply};
use towpath_worker::{
    Consumer, Disconnected, Error, Headers, JsonConsumer, JsonSocket, Methods, Payload, Result,
    Router, Socket, States, This, WebsocketConsumer, field, websocket,
};

use crate::stage::{PATIENCE, Peer, Stage};

struct Thumbnails {
    width: u32,
    log: mpsc::Sender<String>,
}

impl Consumer for Thumbnails {
    fn methods(&self, methods: Methods<Self>) -> Methods<Self> {
        methods
            .on("thumbnails.make", Self::make)
            .on_when(
                "thumbnails.delete",
                field("all").equals(true),
                Self::delete_all,
            )
            .on("thumbnails.delete", async |this: This<Self>| {
                this.say("delete").await
            })
    }
}

impl Thumbnails {
    async fn say(&self, what: &str) -> Result {
        Ok(self.log.send(format!("{what} {}", self.width)).await?)
    }

    async fn make(this: This<Self>, Payload(path): Payload<String>) -> Result {
        this.say(&format!("make {path}")).await
    }

    async fn delete_all(this: This<Self>) -> Result {
        this.say("delete all").await
    }
}

async fn next(log: &mut mpsc::Receiver<String>) -> String {
    timeout(PATIENCE, log.recv()).await.unwrap().unwrap()
}

#[tokio::test(start_paused = true)]
async fn methods_take_the_messages_of_their_channels() {
    let (log, mut logged) = mpsc::channel(10);
    let router = Router::new().consumer(Thumbnails { width: 7, log });
    let names: Vec<String> = router.channels().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["thumbnails.make", "thumbnails.delete"]);
    let stage = Stage::new(router).await;
    stage.send("thumbnails.make", "a.png").await;
    assert_eq!(next(&mut logged).await, "make a.png 7");
    let all = BTreeMap::from([("all", true)]);
    stage.send("thumbnails.delete", &all).await;
    assert_eq!(next(&mut logged).await, "delete all 7");
    stage.send("thumbnails.delete", "a.png").await;
    assert_eq!(next(&mut logged).await, "delete 7");
}

#[tokio::test(start_paused = true)]
async fn two_values_of_one_type_differ() {
    for width in [1, 2] {
        let (log, mut logged) = mpsc::channel(10);
        let stage = Stage::new(Router::new().consumer(Thumbnails { width, log })).await;
        stage.send("thumbnails.make", "a").await;
        assert_eq!(next(&mut logged).await, format!("make a {width}"));
    }
}

struct Copier {
    from: &'static str,
    to: &'static str,
}

impl Consumer for Copier {
    fn methods(&self, methods: Methods<Self>) -> Methods<Self> {
        methods.on(self.from, Self::copy)
    }
}

impl Copier {
    async fn copy(
        this: This<Self>,
        Payload(text): Payload<String>,
        layer: towpath_worker::Layer,
    ) -> Result {
        layer.send(this.to, &format!("{text} {}", this.from)).await
    }
}

#[tokio::test(start_paused = true)]
async fn two_values_of_one_type_take_channels_of_their_own() {
    let (log, mut logged) = mpsc::channel(10);
    let router = Router::new()
        .consumer(Copier { from: "a", to: "b" })
        .consumer(Copier {
            from: "b",
            to: "thumbnails.make",
        })
        .consumer(Thumbnails { width: 1, log });
    let stage = Stage::new(router).await;
    stage.send("a", "x").await;
    assert_eq!(next(&mut logged).await, "make x a b 1");
}

#[test]
fn a_value_that_is_not_there_is_found_at_start() {
    struct Other;
    struct Wrong;
    impl Consumer for Wrong {
        fn methods(&self, methods: Methods<Self>) -> Methods<Self> {
            methods
                .on("a", async |_: This<Other>| {})
                .on("b", async |_: This<Self>| {})
                .on("c", async |_: Socket| {})
        }
    }
    let router = Router::new()
        .consumer(Wrong)
        .channel("d", async |_: This<Other>| {})
        .route("/x", websocket().receive(async |_: This<Other>| {}));
    let errors = router.check(&States::new()).unwrap_err().to_string();
    let expected = "\
a: this is no method of a Other
c: channel consumers cannot take Socket: a channel has no connection
d: only the methods of a Consumer can take This
/x: only the methods of a Consumer can take This
";
    assert_eq!(format!("{errors}\n"), expected);
}

#[derive(Serialize, Deserialize)]
struct Room {
    id: u32,
    heard: Vec<String>,
}

impl WebsocketConsumer for Room {
    async fn connect(socket: &Socket) -> Result<Self> {
        let heard = vec!["connect".to_owned()];
        let room = Self {
            id: socket.path()?,
            heard,
        };
        room.tell(socket).await?;
        Ok(room)
    }

    fn groups(&self) -> Vec<String> {
        vec![format!("room.{}", self.id), "rooms".to_owned()]
    }

    async fn receive_text(&mut self, text: &str, socket: &Socket) -> Result {
        self.heard.push(text.to_owned());
        match text {
            "fail" => Err(Error::internal("on purpose")),
            "close" => Err(Error::close(4000, "enough")),
            _ => self.tell(socket).await,
        }
    }

    async fn receive_bytes(&mut self, bytes: Bytes, socket: &Socket) -> Result {
        self.heard.push(format!("{} bytes", bytes.len()));
        self.tell(socket).await
    }

    async fn event(&mut self, event: Application, socket: &Socket) -> Result {
        self.heard.push(event.content.decode()?);
        self.tell(socket).await
    }

    async fn disconnect(&mut self, gone: Disconnected, socket: &Socket) -> Result {
        self.heard.push(gone.code.to_string());
        self.tell(socket).await
    }
}

impl Room {
    async fn tell(&self, socket: &Socket) -> Result {
        let line = format!("{}: {}", self.id, self.heard.join(" "));
        socket.text(line).await
    }
}

async fn room(path: &str) -> (Stage, Peer) {
    let router = Router::new()
        .route("/room/{id}", Room::websocket())
        .route("/other/{id}", Room::websocket());
    let stage = Stage::new(router).await;
    let peer = stage.peer(path);
    (stage, peer)
}

#[tokio::test(start_paused = true)]
async fn a_type_takes_connect_frames_events_and_disconnect() {
    let (_stage, mut peer) = room("/room/1").await;
    assert_eq!(peer.connect().await.done().text(), "1: connect");
    assert_eq!(peer.text("a").await.done().text(), "1: connect a");
    let turn = peer.bytes(b"123").await.done();
    assert_eq!(turn.text(), "1: connect a 3 bytes");
    let turn = peer.application("any", "b").await.done();
    assert_eq!(turn.text(), "1: connect a 3 bytes b");
    let turn = peer.disconnect(1001).await.done();
    assert_eq!(turn.text(), "1: connect a 3 bytes b 1001");
}

#[tokio::test(start_paused = true)]
async fn one_type_serves_several_routes() {
    let (stage, mut one) = room("/room/1").await;
    let mut other = stage.peer("/other/2");
    one.connect().await.done();
    other.connect().await.done();
    assert_eq!(one.text("a").await.text(), "1: connect a");
    assert_eq!(other.text("b").await.text(), "2: connect b");
    let wrong = stage.peer("/room/x").connect().await.done();
    let reason = "the path has \"x\": invalid digit found in string";
    assert_eq!(wrong.denied(), Some((400, reason.to_owned())));
}

#[tokio::test(start_paused = true)]
async fn a_method_that_fails_leaves_the_fields_as_they_were() {
    let (_stage, mut peer) = room("/room/1").await;
    peer.connect().await.done();
    peer.text("fail").await.failed();
    assert_eq!(peer.text("a").await.done().text(), "1: connect a");
}

#[tokio::test(start_paused = true)]
async fn groups_are_joined_before_the_connection_is_accepted() {
    let (_stage, mut peer) = room("/room/1").await;
    let turn = peer.connect().await.done();
    assert_eq!(peer.arrivals(), ["join", "join", "reply", "reply"]);
    assert_eq!(turn.replies[0], Reply::text("1: connect"));
    let added = turn.completion.groups.iter().map(|change| match change {
        GroupChange::Add { group, .. } => group.as_str(),
        GroupChange::Discard { .. } => panic!("a group was left"),
    });
    assert_eq!(added.collect::<Vec<_>>(), ["room.1", "rooms"]);
}

#[tokio::test(start_paused = true)]
async fn without_a_value_there_is_no_event() {
    let (_stage, mut peer) = room("/room/1").await;
    peer.text("a").await.failed();
    peer.session = Bytes::from_static(b"\x01");
    peer.disconnect(1000).await.failed();
}

/// Says what it wants to say, and then refuses in one of four ways.
#[derive(Serialize, Deserialize)]
struct Strict;

impl WebsocketConsumer for Strict {
    async fn connect(socket: &Socket) -> Result<Self> {
        socket.accept_subprotocol("v2").await?;
        socket.text("welcome").await?;
        match socket.path::<String>()?.as_str() {
            "rejected" => Err(Error::rejected("not you")),
            "closed" => Err(Error::close(4401, "who are you?")),
            "broken" => Err(Error::internal("on purpose")),
            _ => Ok(Self),
        }
    }

    fn groups(&self) -> Vec<String> {
        vec!["strict".to_owned()]
    }

    async fn disconnect(&mut self, _: Disconnected, socket: &Socket) -> Result {
        socket.text("bye").await
    }
}

#[tokio::test(start_paused = true)]
async fn a_type_that_refuses_has_written_nothing_and_joined_nothing() {
    let stage = Stage::new(Router::new().route("/{how}", Strict::websocket())).await;
    let offer = || Handshake {
        subprotocols: vec!["v1".into(), "v2".into()],
        ..Handshake::default()
    };
    let turn = stage.peer("/well").connect_with(offer()).await.done();
    let accept = turn.replies[0].accept.clone().unwrap();
    assert_eq!(accept.subprotocol.as_deref(), Some("v2"));
    assert_eq!(turn.text(), "welcome");

    let mut peer = stage.peer("/rejected");
    let turn = peer.connect_with(offer()).await.done();
    assert_eq!(turn.denied(), Some((403, "not you".to_owned())));
    assert!(!turn.accepted());
    assert_eq!(peer.arrivals(), ["reply"]);

    let mut peer = stage.peer("/broken");
    let turn = peer.connect_with(offer()).await.failed();
    assert_eq!((turn.replies.len(), turn.texts().len()), (1, 0));
    assert_eq!(peer.arrivals(), ["reply"]);
}

#[tokio::test(start_paused = true)]
async fn a_type_that_denies_by_hand_joins_nothing() {
    #[derive(Serialize, Deserialize)]
    struct Closed;
    impl WebsocketConsumer for Closed {
        async fn connect(socket: &Socket) -> Result<Self> {
            socket.deny(503, "come back").await?;
            Ok(Self)
        }

        fn groups(&self) -> Vec<String> {
            vec!["closed".to_owned()]
        }
    }
    let stage = Stage::new(Router::new().route("/x", Closed::websocket())).await;
    let mut peer = stage.peer("/x");
    let turn = peer.connect().await.done();
    assert_eq!(turn.denied(), Some((503, "come back".to_owned())));
    assert!(!turn.accepted() && turn.completion.groups.is_empty());
    assert!(!peer.arrivals().contains(&"join"));
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_is_closed_is_accepted_so_that_the_code_shows() {
    let stage = Stage::new(Router::new().route("/{how}", Strict::websocket())).await;
    let mut peer = stage.peer("/closed");
    let handshake = Handshake {
        subprotocols: vec!["v1".into(), "v2".into()],
        ..Handshake::default()
    };
    let turn = peer.connect_with(handshake).await.done();
    assert_eq!(turn.closed(), Some((4401, "who are you?".to_owned())));
    let accept = turn.replies[0].accept.clone().unwrap();
    assert_eq!(accept.subprotocol.as_deref(), Some("v1"));
    assert!(turn.texts().is_empty());
    // There never was a value, so nobody is told that it is gone.
    let turn = peer.disconnect(4401).await.done();
    assert!(turn.texts().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_open_connection_is_closed_with_the_code_of_the_application() {
    let (_stage, mut peer) = room("/room/1").await;
    peer.connect().await.done();
    let turn = peer.text("close").await.done();
    assert_eq!(turn.closed(), Some((4000, "enough".to_owned())));
    assert!(!turn.accepted());
    let turn = peer.disconnect(4000).await.done();
    assert_eq!(turn.text(), "1: connect 4000");
}

#[tokio::test(start_paused = true)]
async fn who_accepted_before_it_refused_closes() {
    async fn connect(socket: Socket) -> Result {
        socket.text("welcome").await?;
        Err(match socket.path::<String>()?.as_str() {
            "rejected" => Error::rejected("not you"),
            "payload" => Error::bad_payload("not this"),
            _ => Error::deny(429, "later"),
        })
    }
    let stage = Stage::new(Router::new().route("/{how}", websocket().connect(connect))).await;
    for (path, reason) in [("/rejected", "not you"), ("/payload", "not this")] {
        let turn = stage.peer(path).connect().await.done();
        assert_eq!(turn.closed(), Some((1008, reason.to_owned())));
        assert_eq!(turn.denied(), None);
    }
    let turn = stage.peer("/denied").connect().await.failed();
    assert_eq!(turn.denied(), None);
}

#[tokio::test(start_paused = true)]
async fn a_field_keeps_what_the_handshake_said() {
    #[derive(Serialize, Deserialize)]
    struct User {
        name: String,
    }
    impl WebsocketConsumer for User {
        async fn connect(socket: &Socket) -> Result<Self> {
            let headers: Headers = socket.extract().await?;
            let cookie = headers.text("cookie").unwrap_or("nobody");
            let name = cookie.to_owned();
            Ok(Self { name })
        }

        async fn receive_text(&mut self, _: &str, socket: &Socket) -> Result {
            socket.text(self.name.as_str()).await
        }
    }
    let stage = Stage::new(Router::new().route("/x", User::websocket())).await;
    let mut peer = stage.peer("/x");
    let handshake = Handshake {
        headers: vec![("cookie".into(), "ada".into())],
        ..Handshake::default()
    };
    assert!(peer.connect_with(handshake).await.done().accepted());
    assert_eq!(peer.text("who?").await.text(), "ada");
    // What a type does not say is the default.
    let turn = peer.bytes(b"x").await.done();
    let reason = "no binary frame is expected".to_owned();
    assert_eq!(turn.closed(), Some((1008, reason)));
    peer.application("any", &()).await.failed();
    peer.disconnect(1000).await.done();
}

type Words = BTreeMap<String, String>;

/// Reads keys in capitals and writes them in small letters.
#[derive(Serialize, Deserialize)]
pub(crate) struct Shouting;

impl JsonConsumer for Shouting {
    type Incoming = Words;
    type Outgoing = Words;

    async fn connect(socket: &JsonSocket<Words>) -> Result<Self> {
        socket.groups().add("shouting").await?;
        Ok(Self)
    }

    async fn receive(&mut self, words: Words, socket: &JsonSocket<Words>) -> Result {
        assert!(words.keys().all(|key| key.chars().all(char::is_uppercase)));
        socket.send(&words).await?;
        let delivery = socket.group_send("shouting", &words).await?;
        assert_eq!(delivery.delivered, 1);
        Ok(())
    }

    async fn misfit(&mut self, error: Error, socket: &JsonSocket<Words>) -> Result {
        let said = Words::from([("Error".to_owned(), error.to_string())]);
        socket.send(&said).await
    }

    fn decode(frame: &Frame) -> Result<Words> {
        let words: Words = serde_json::from_slice(frame.as_bytes())
            .map_err(|_| Error::bad_payload("words are expected"))?;
        let upper = words
            .into_iter()
            .map(|(key, word)| (key.to_uppercase(), word));
        Ok(upper.collect())
    }

    fn encode(words: &Words) -> Result<String> {
        let lower = words.iter().map(|(key, word)| (key.to_lowercase(), word));
        Ok(serde_json::to_string(&lower.collect::<BTreeMap<_, _>>())?)
    }
}

#[tokio::test(start_paused = true)]
async fn a_type_has_its_own_json() {
    let stage = Stage::new(Router::new().route("/x", Shouting::websocket())).await;
    let mut peer = stage.peer("/x");
    peer.connect().await.done();
    let turn = peer.text(r#"{"Key":"value"}"#).await.done();
    assert_eq!(turn.texts(), [r#"{"key":"value"}"#; 2]);
    let turn = peer.text("no words").await.done();
    assert_eq!(turn.text(), r#"{"error":"words are expected"}"#);
    assert_eq!(turn.completion.outcome, Outcome::Done { session: None });
}
