//! What consumers take as arguments, and what they do with it.

use std::collections::HashMap;

use bytes::Bytes;
use futures_util::TryStreamExt;
use serde::{Deserialize, Serialize};
use towpath_layer_core::{
    Accept, ChannelName, Delivery, Frame, GroupChange, GroupName, Handshake, Outcome, Reply,
};
use towpath_worker::{
    Connection, Context, Disconnected, Error, FromContext, Groups, Headers, Json, Layer, Path,
    Payload, Query, Result, Router, Session, Socket, State, States, Text, WorkerConfig, websocket,
};

use crate::stage::{Peer, Stage};

#[derive(Debug, Serialize, Deserialize)]
struct Said {
    by: Who,
    text: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Who {
    age: u8,
}

async fn peer_of(router: Router) -> (Stage, Peer) {
    let stage = Stage::new(router).await;
    let peer = stage.peer("/x");
    (stage, peer)
}

fn policy(reason: &str) -> Option<(u16, String)> {
    Some((1008, reason.to_owned()))
}

#[tokio::test(start_paused = true)]
async fn frames_are_taken_as_text_bytes_either_or_json() {
    async fn text(Text(text): Text, socket: Socket) -> Result {
        socket.text(text).await
    }
    async fn bytes(bytes: Bytes, socket: Socket) -> Result {
        socket.bytes(bytes).await
    }
    async fn either(frame: Frame, socket: Socket) -> Result {
        socket.reply(Reply::frame(frame)).await
    }
    async fn json(Json(said): Json<Said>, socket: Socket) -> Result {
        socket.json(&said).await
    }
    let router = Router::new()
        .route("/text", websocket().receive(text))
        .route("/bytes", websocket().receive(bytes))
        .route("/either", websocket().receive(either))
        .route("/json", websocket().receive(json));
    let stage = Stage::new(router).await;

    let mut peer = stage.peer("/text");
    assert_eq!(peer.text("").await.done().text(), "");
    assert_eq!(
        peer.bytes(b"x").await.closed(),
        policy("a text frame is expected")
    );
    let mut peer = stage.peer("/bytes");
    let turn = peer.bytes(b"\xff").await.done();
    assert_eq!(
        turn.replies[0].frame,
        Some(Frame::Bytes(Bytes::from_static(b"\xff")))
    );
    assert_eq!(
        peer.text("x").await.closed(),
        policy("a binary frame is expected")
    );
    let mut peer = stage.peer("/either");
    assert_eq!(peer.text("t").await.done().text(), "t");
    peer.bytes(b"b").await.done();

    let mut peer = stage.peer("/json");
    let said = r#"{"by":{"age":7},"text":"hi"}"#;
    assert_eq!(peer.text(said).await.done().text(), said);
    let wrong = r#"{"by":{"age":"7"},"text":"hi"}"#;
    let reason = "by.age: invalid type: string \"7\", expected u8 at line 1 column 16";
    assert_eq!(peer.text(wrong).await.done().closed(), policy(reason));
    let cut = peer.text("{").await.done().closed().unwrap();
    assert_eq!(cut.1, "EOF while parsing an object at line 1 column 1");
}

#[tokio::test(start_paused = true)]
async fn a_long_reason_is_cut_to_what_a_close_frame_holds() {
    let receive = async || Err::<(), _>(Error::rejected("ß".repeat(100)));
    let (_stage, mut peer) = peer_of(Router::new().route("/x", websocket().receive(receive))).await;
    let (code, reason) = peer.text("x").await.done().closed().unwrap();
    assert_eq!((code, reason.len()), (1008, 122));
}

#[tokio::test(start_paused = true)]
async fn the_session_travels_with_the_conversation() {
    #[derive(Debug, Default, Serialize, Deserialize)]
    struct Seen {
        words: Vec<String>,
    }
    async fn receive(mut seen: Session<Seen>, Text(text): Text, socket: Socket) -> Result {
        if text.is_empty() {
            return socket.text(seen.words.join(" ")).await;
        }
        seen.words.push(text.to_string());
        if text == "fail" {
            return Err(Error::internal("on purpose"));
        }
        if text == "large" {
            seen.words.push("x".repeat(16 << 10));
        }
        Ok(())
    }
    let (_stage, mut peer) = peer_of(Router::new().route("/x", websocket().receive(receive))).await;
    let turn = peer.text("").await;
    assert_eq!(
        (turn.text(), turn.completion.outcome.clone()),
        ("", Outcome::Done { session: None })
    );
    peer.text("a").await.done();
    peer.text("fail").await.failed();
    peer.text("large").await.failed();
    peer.text("b").await.done();
    let turn = peer.text("").await;
    assert_eq!(
        (turn.text(), &turn.completion.outcome),
        ("a b", &Outcome::Done { session: None })
    );
    peer.session = Bytes::from_static(b"\x01");
    peer.text("c").await.failed();
}

#[tokio::test(start_paused = true)]
async fn a_change_that_changes_nothing_is_not_sent_back() {
    let receive = async |mut last: Session<String>, Text(text): Text| *last = text.to_string();
    let (_stage, mut peer) = peer_of(Router::new().route("/x", websocket().receive(receive))).await;
    peer.text("a").await.done();
    let turn = peer.text("a").await;
    assert_eq!(turn.completion.outcome, Outcome::Done { session: None });
}

async fn join(groups: Groups, Text(name): Text) -> Result {
    groups.add(&name).await?;
    groups.add_with("everyone", &7_u8).await?;
    groups.discard("nobody").await?;
    groups.add(&name).await
}

#[tokio::test(start_paused = true)]
async fn own_group_changes_come_back_once_each() {
    let (_stage, mut peer) = peer_of(Router::new().route("/x", websocket().receive(join))).await;
    let turn = peer.text("room").await.done();
    let add = |name: &str, meta: &'static [u8]| {
        GroupChange::add(GroupName::new(name).unwrap(), Bytes::from_static(meta))
    };
    let group = GroupName::new("nobody").unwrap();
    let expected = [
        add("everyone", b"\x07"),
        GroupChange::discard(group),
        add("room", b""),
    ];
    assert_eq!(turn.completion.groups, expected);
    peer.text("no room").await.failed();
}

#[tokio::test(start_paused = true)]
async fn groups_reach_their_members_as_frames_and_as_events() {
    async fn say(Text(text): Text, groups: Groups) -> Result {
        groups.send_text("everyone", text.clone()).await?;
        groups.send_json("everyone", &[1, 2]).await?;
        groups.send_bytes("everyone", "b").await?;
        let said = Who { age: 7 };
        let Delivery { nodes, dropped, .. } = groups.send_event("everyone", "who", &said).await?;
        assert_eq!((nodes, dropped), (1, 0));
        assert_eq!(groups.count("everyone").await?, 1);
        assert!(!groups.contains("everyone").await?);
        let everyone = GroupName::new("everyone")?;
        let members: Vec<_> = groups.members(&everyone).try_collect().await?;
        assert_eq!(members[0].meta, b"\x07"[..]);
        Ok(())
    }
    async fn who(Payload(who): Payload<Who>, socket: Socket) -> Result {
        socket.text(format!("{} years", who.age)).await
    }
    let router = Router::new()
        .route("/join", websocket().receive(join))
        .route("/say", websocket().receive(say).on("who", who));
    let stage = Stage::new(router).await;
    let mut member = stage.peer("/join");
    member.text("room").await.done();
    stage.peer("/say").text("hello").await.done();
    assert_eq!(member.reply().await, Reply::text("hello"));
    assert_eq!(member.reply().await, Reply::text("[1,2]"));
    assert_eq!(member.reply().await, Reply::bytes("b"));
    let event = member.reply().await.event.unwrap();
    assert_eq!(event.name, "who");
    assert_eq!(event.content.decode::<Who>().unwrap().age, 7);

    let mut peer = stage.peer("/say");
    assert_eq!(
        peer.application("who", &Who { age: 8 }).await.done().text(),
        "8 years"
    );
    peer.application("who", "not a Who").await.failed();
}

#[tokio::test(start_paused = true)]
async fn a_handshake_tells_what_it_knows_once() {
    #[derive(Deserialize)]
    struct Options {
        lang: String,
    }
    async fn connect(
        Query(options): Query<Options>,
        headers: Headers,
        handshake: Handshake,
        connection: Connection,
        Path(all): Path<HashMap<String, String>>,
        greeting: State<&'static str>,
        socket: Socket,
        _context: Context,
    ) -> Result {
        let (address, _) = connection.client.unwrap();
        let cookies: Vec<_> = headers.get_all("cookie").collect();
        assert_eq!((cookies.len(), headers.iter().count()), (2, 2));
        assert_eq!(socket.reply_channel(), &connection.reply_channel);
        assert_eq!((&*handshake.scheme, connection.order), ("ws", 0));
        socket
            .accept_with(Accept {
                subprotocol: Some("v2".into()),
                headers: vec![("x-room".into(), all["room"].clone().into())],
            })
            .await?;
        let cookie = headers.text("cookie").unwrap();
        let parts = [
            *greeting,
            &*address,
            &options.lang,
            cookie,
            &connection.path,
        ];
        socket.text(parts.join(" ")).await
    }
    let states = States::new().with("hello");
    let router = Router::new().route("/{room}", websocket().connect(connect));
    let stage = Stage::with(WorkerConfig::default(), router, states).await;
    let handshake = Handshake {
        scheme: "ws".into(),
        query_string: Bytes::from_static(b"lang=n%C3%A9"),
        headers: vec![("cookie".into(), "a".into()), ("cookie".into(), "b".into())],
        client: Some(("10.0.0.1".into(), 99)),
        ..Handshake::default()
    };
    let turn = stage.peer("/blue").connect_with(handshake).await.done();
    let accept = turn.replies[0].accept.as_ref().unwrap();
    assert_eq!(accept.subprotocol.as_deref(), Some("v2"));
    assert_eq!(
        accept.headers,
        [("x-room".into(), Bytes::from_static(b"blue"))]
    );
    assert_eq!(turn.text(), "hello 10.0.0.1 né a /blue");
    let turn = stage.peer("/blue").connect().await.done();
    let reason = "the query string: missing field `lang`".to_owned();
    assert_eq!(turn.denied(), Some((400, reason)));
}

#[tokio::test(start_paused = true)]
async fn a_socket_denies_closes_and_talks_to_its_own_consumer() {
    let connect = async |socket: Socket| socket.deny(429, "later").await;
    async fn receive(socket: Socket, Text(text): Text) -> Result {
        socket.event("said", &*text).await?;
        socket.close(4000, "enough").await
    }
    async fn disconnect(gone: Disconnected, layer: Layer, connection: Connection) -> Result {
        let text = format!("{} {}", gone.code, gone.reason);
        layer
            .reply(&connection.reply_channel, Reply::text(text))
            .await
    }
    let sockets = websocket()
        .connect(connect)
        .receive(receive)
        .disconnect(disconnect);
    let (_stage, mut peer) = peer_of(Router::new().route("/x", sockets)).await;
    assert_eq!(
        peer.connect().await.done().denied(),
        Some((429, "later".to_owned()))
    );
    let turn = peer.text("hi").await.done();
    assert_eq!(turn.replies[0].event.as_ref().unwrap().name, "said");
    assert_eq!(turn.closed(), Some((4000, "enough".to_owned())));
    assert_eq!(peer.disconnect(1001).await.done().text(), "1001 bye");
}

#[tokio::test(start_paused = true)]
async fn a_channel_of_the_application_carries_typed_values() {
    async fn ask(layer: Layer, connection: Connection) -> Result {
        let channel = connection.reply_channel.to_string();
        layer.send("jobs.greet", &(channel, 7_u8)).await
    }
    async fn greet(Payload((channel, number)): Payload<(String, u8)>, layer: Layer) -> Result {
        let channel = ChannelName::new(channel)?;
        layer
            .reply(&channel, Reply::text(format!("job {number}")))
            .await
    }
    let router = Router::new()
        .route("/x", websocket().receive(ask))
        .channel("jobs.greet", greet);
    let (_stage, mut peer) = peer_of(router).await;
    peer.text("").await.done();
    assert_eq!(peer.reply().await, Reply::text("job 7"));
}

/// An extractor of the application's own.
struct User(String);

impl FromContext for User {
    async fn from_context(context: &Context) -> Result<Self> {
        match context.param("user") {
            Some("nobody") | None => Err(Error::rejected("who are you?")),
            Some(user) => Ok(Self(user.to_owned())),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_application_writes_its_own_extractors() {
    let connect = async |User(user): User, socket: Socket| socket.text(user).await;
    let stage = Stage::new(Router::new().route("/{user}", websocket().connect(connect))).await;
    assert_eq!(stage.peer("/ada").connect().await.done().text(), "ada");
    let turn = stage.peer("/nobody").connect().await.done();
    assert_eq!(turn.denied(), Some((403, "who are you?".to_owned())));
}
