//! A topic's consumer without a socket with topics: on a path, on a stream.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::json;
use towpath_layer_core::{
    Broadcast, ChannelName, EventKind, Frame, GroupName, Handshake, Reply, TopicReply,
};
use towpath_worker::{
    Answer, Demultiplexer, Error, Groups, Info, Joined, Result, Router, SocketRef, States,
    TerminateReason, Terminated, Topic, TopicConsumer, TopicPayload, Topics, WorkerConfig,
    demultiplexer, topics,
};

use crate::stage::{Peer, Stage, Turn};
use crate::streams::frame;
use crate::topics::{Notes, UserSocket, answer, said, text};

#[derive(Serialize, Deserialize)]
pub(crate) struct Room {
    user: String,
    said: u32,
    kept: Option<SocketRef>,
}

/// What a route assigns.
struct Seats(u32);

#[derive(Deserialize)]
struct Entry {
    door: String,
}

impl TopicConsumer for Room {
    type Socket = UserSocket;

    async fn join(
        payload: TopicPayload,
        socket: &UserSocket,
        topic: &Topic,
    ) -> Result<Joined<Self>> {
        let Entry { door } = payload.json()?;
        match &*door {
            "full" => return Ok(Joined::refused(&json!({"seats": 0}))),
            "closed" => return Err(Error::rejected("closed for today")),
            "out" => topic.stop(),
            "busy" => {
                topic.push("welcome", &json!({})).await?;
                topic.broadcast("entered", &json!({})).await?;
            }
            _ => {}
        }
        let room = Self {
            user: socket.user.clone(),
            said: 0,
            kept: None,
        };
        Ok(Joined::ok(room).with(&json!({"door": door})))
    }

    async fn handle_in(
        &mut self,
        event: &str,
        payload: TopicPayload,
        topic: &Topic,
    ) -> Result<Answer> {
        self.said += 1;
        match event {
            "count" => Ok(Answer::ok(&self.said)),
            "echo" => Ok(Answer::payload("ok", payload)),
            "push" => {
                topic.push_payload("pushed", payload).await?;
                Ok(Answer::none())
            }
            "shout" => {
                topic
                    .broadcast_from("shout", &json!({"by": self.user}))
                    .await?;
                Ok(Answer::none())
            }
            "reject" => {
                topic.outbox().group_text("watchers", "seen")?;
                Err(Error::rejected("not that"))
            }
            "break" => Err(Error::internal("no database")),
            "end" => Ok(Answer::ok(&"bye").stop()),
            "later" => {
                self.kept = Some(topic.reply_ref()?);
                Ok(Answer::none())
            }
            "bytes" => Ok(Answer::bytes("ok", "b")),
            "stop and refuse" => {
                topic.stop();
                Err(Error::rejected("not yet"))
            }
            "seats" => Ok(Answer::ok(&topic.assigned::<Seats>().map(|seats| seats.0))),
            "subscribe" => {
                topic.subscribe("news").await?;
                Ok(Answer::none())
            }
            "unsubscribe" => {
                topic.unsubscribe("news").await?;
                Ok(Answer::none())
            }
            "subscribe to its own" => {
                topic.subscribe(topic.name()).await?;
                Ok(Answer::none())
            }
            _ => Err(topic.unknown(event)),
        }
    }

    async fn handle_info(&mut self, info: Info, topic: &Topic) -> Result {
        match info {
            Info::Broadcast {
                topic: other,
                event,
                payload,
            } => {
                self.said += 1;
                let heard = json!({ "n": self.said, "topic": &*other, "event": &*event });
                topic.push("heard", &heard).await?;
                topic.push_payload("payload", payload).await
            }
            Info::Event(event) if event.name == "clock" => topic.push("clock", &json!({})).await,
            Info::Event(event) if event.name == "reject" => {
                self.said += 1;
                Err(Error::rejected("not that"))
            }
            Info::Event(event) if event.name == "wrong" => Err(Error::bad_payload("not so")),
            Info::Event(event) => Err(Error::unknown_event(&event)),
            _ => Ok(()),
        }
    }

    async fn terminate(&mut self, terminated: Terminated, topic: &Topic) -> Result {
        let notes = topic.state::<Notes>()?;
        let (user, name) = (&self.user, topic.name());
        notes.note(format!(
            "{user} {name} {:?} {}",
            terminated.reason, terminated.code
        ));
        match terminated.reason {
            TerminateReason::Left | TerminateReason::Stopped => {
                topic.push("you_left", &json!({})).await
            }
            _ => Ok(()),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Greedy;

impl TopicConsumer for Greedy {
    type Socket = UserSocket;
    const INTERCEPT: &'static [&'static str] = &["phx_reply"];

    async fn join(_: TopicPayload, _: &UserSocket, _: &Topic) -> Result<Joined<Self>> {
        Ok(Joined::ok(Self))
    }
}

pub(crate) struct Play {
    pub(crate) stage: Stage,
    notes: Notes,
}

impl Play {
    pub(crate) async fn of(router: Router) -> Self {
        let notes = Notes::default();
        let states = States::new().with(notes.clone());
        let stage = Stage::with(WorkerConfig::default(), router, states).await;
        Self { stage, notes }
    }

    async fn path() -> Self {
        Self::of(Router::new().route("/rooms/{room}", Room::websocket("room:{room}"))).await
    }

    async fn connect(&self, query: &'static str) -> (Peer, Turn) {
        self.connect_to("/rooms/1", query).await
    }

    pub(crate) async fn connect_to(&self, path: &str, query: &'static str) -> (Peer, Turn) {
        let mut peer = self.stage.peer(path);
        let turn = peer
            .connect_with(Handshake {
                query_string: query.into(),
                ..Handshake::default()
            })
            .await;
        (peer, turn)
    }

    /// What a membership in a topic's group says.
    pub(crate) async fn meta(&self, channel: &ChannelName, topic: &str) -> Option<Bytes> {
        let groups = Groups::new(self.stage.layer.clone());
        let topic = GroupName::topic(topic);
        let mine = groups.fold(&topic, None, |found, member| {
            let mine = (member.channel == *channel).then_some(member.meta);
            std::ops::ControlFlow::Continue(found.or(mine))
        });
        mine.await.unwrap()
    }

    async fn member(&self) -> Peer {
        let (peer, turn) = self.connect("user=ada&door=front").await;
        let joined = reply("null", r#"{"status":"ok","response":{"door":"front"}}"#);
        assert_eq!(turn.done().texts(), [joined]);
        peer
    }
}

pub(crate) fn v1(event: &str, reference: &str, payload: &str) -> String {
    format!(r#"{{"topic":"room:1","event":"{event}","ref":{reference},"payload":{payload}}}"#)
}

fn reply(reference: &str, payload: &str) -> String {
    v1("phx_reply", reference, payload)
}

fn ok(reference: &str, response: &str) -> String {
    let payload = format!(r#"{{"status":"ok","response":{response}}}"#);
    reply(reference, &payload)
}

fn error(reference: &str, reason: &str) -> String {
    let response = json!({ "reason": reason });
    let payload = format!(r#"{{"status":"error","response":{response}}}"#);
    reply(reference, &payload)
}

#[tokio::test(start_paused = true)]
async fn a_connection_joins_with_the_querys_parameters() {
    let play = Play::path().await;
    let peer = play.member().await;
    assert_eq!(peer.arrivals()[0], "join", "the group is joined first");
    let groups = Groups::new(play.stage.layer.clone());
    let groups = groups.of_connection(peer.channel.clone());
    let mut joined = groups.joined().await.unwrap();
    joined.sort();
    let (topic, id) = (GroupName::topic("room:1"), GroupName::topic("user:ada"));
    assert_eq!(joined, [topic, id]);
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_in_the_group_of_its_sockets_id_as_no_stream_is() {
    let play = Play::path().await;
    let peer = play.member().await;
    let groups = Groups::new(play.stage.layer.clone());
    let id = GroupName::topic("user:ada");
    let metas = groups.fold(&id, Vec::new(), |mut metas, member| {
        metas.push(member.meta);
        std::ops::ControlFlow::Continue(metas)
    });
    assert_eq!(metas.await.unwrap(), [GroupName::SOCKET_ID_META]);
    let topics = Topics::new(play.stage.layer.clone());
    assert_eq!(topics.disconnect("user:ada").await.unwrap().delivered, 1);
    let [TopicReply::Broadcast(disconnect)] = &peer.reply().await.topic[..] else {
        panic!("no broadcast");
    };
    assert_eq!(disconnect.event, "disconnect");
}

#[tokio::test(start_paused = true)]
async fn a_refused_join_denies_the_handshake_with_its_response() {
    let play = Play::path().await;
    for (query, body) in [
        ("door=full", r#"{"seats":0}"#),
        ("door=closed", r#"{"reason":"closed for today"}"#),
        (
            "",
            r#"{"reason":"missing field `door` at line 1 column 12"}"#,
        ),
    ] {
        let (peer, turn) = play.connect(query).await;
        let turn = turn.done();
        assert_eq!(turn.denied(), Some((403, body.to_owned())));
        let deny = turn.replies.iter().find_map(|reply| reply.deny.as_ref());
        let json = (
            "content-type".into(),
            Bytes::from_static(b"application/json"),
        );
        assert_eq!(deny.unwrap().headers, [json]);
        assert_eq!(peer.arrivals(), ["reply"]);
    }
    let (_, turn) = play.connect("user=mallory&door=front").await;
    assert_eq!(turn.done().denied(), Some((403, "not you".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn what_a_join_says_comes_after_the_first_frame() {
    let play = Play::path().await;
    let (peer, turn) = play.connect("door=busy").await;
    let turn = turn.done();
    let first = ok("null", r#"{"door":"busy"}"#);
    assert_eq!(turn.texts(), [first, v1("welcome", "null", "{}")]);
    let entered = TopicReply::Broadcast(Broadcast {
        topic: "room:1".into(),
        event: "entered".into(),
        payload: text(&json!({})),
        except: None,
    });
    // The node writes it to all members, this one among them.
    assert_eq!(turn.replies[2].topic, [entered]);
    assert!(peer.is_silent());
}

#[tokio::test(start_paused = true)]
async fn messages_are_answered_by_their_reference() {
    let play = Play::path().await;
    let mut peer = play.member().await;
    for (sent, answered) in [
        (
            r#"{"event":"count","payload":{},"ref":"5"}"#,
            ok("\"5\"", "1"),
        ),
        (r#"{"event":"count","ref":5}"#, ok("5", "2")),
        (
            r#"{"event":"echo","payload":[1, 2],"ref":"a"}"#,
            ok("\"a\"", "[1, 2]"),
        ),
        (
            r#"{"topic":"room:1","event":"echo","ref":"a"}"#,
            ok("\"a\"", "{}"),
        ),
        (
            r#"{"event":"nothing","ref":"b"}"#,
            error("\"b\"", "there is no event \"nothing\""),
        ),
        (
            r#"{"event":"phx_join","ref":"b"}"#,
            error("\"b\"", "the event is the protocol's own"),
        ),
        (
            r#"{"event":"push","payload":{"a":1}}"#,
            v1("pushed", "null", r#"{"a":1}"#),
        ),
    ] {
        assert_eq!(peer.text(sent).await.done().texts(), [answered], "{sent}");
    }
    assert!(
        peer.text(r#"{"event":"count"}"#)
            .await
            .done()
            .texts()
            .is_empty()
    );
}

#[tokio::test(start_paused = true)]
async fn other_topics_are_unmatched_but_for_the_heartbeat() {
    let play = Play::path().await;
    let mut peer = play.member().await;
    let turn = peer.text(r#"{"topic":"phoenix","event":"heartbeat","ref":"1","payload":{}}"#);
    let beat = ok("\"1\"", "{}").replace("room:1", "phoenix");
    assert_eq!(turn.await.done().texts(), [beat]);
    let turn = peer.text(r#"{"topic":"room:2","event":"count","ref":"1"}"#);
    let unmatched = error("\"1\"", "unmatched topic").replace("room:1", "room:2");
    assert_eq!(turn.await.done().texts(), [unmatched]);
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_leaves_fields_and_outbox() {
    let play = Play::path().await;
    let mut peer = play.member().await;
    let watcher = play.stage.peer("/watch");
    let watchers = Groups::new(play.stage.layer.clone()).of_connection(watcher.channel.clone());
    watchers.add("watchers").await.unwrap();
    let before = peer.session.clone();
    let turn = peer.text(r#"{"event":"reject","ref":"1"}"#).await.done();
    assert_eq!(turn.texts(), [error("\"1\"", "not that")]);
    assert_eq!(peer.session, before);
    assert!(watcher.is_silent());
}

#[tokio::test(start_paused = true)]
async fn what_is_no_message_ends_the_connection() {
    let play = Play::path().await;
    for text in ["", "[]", "{}", r#"{"event":7}"#] {
        let turn = play.member().await.text(text).await.done();
        assert_eq!(turn.closed().unwrap().0, 1008, "{text}");
    }
    let turn = play.member().await.bytes(b"{}").await.done();
    assert_eq!(turn.closed().unwrap().0, 1008);
}

#[tokio::test(start_paused = true)]
async fn what_only_a_socket_with_topics_can_fails() {
    let play = Play::path().await;
    for event in ["break", "bytes", "subscribe to its own"] {
        let sent = format!(r#"{{"event":"{event}","ref":"1"}}"#);
        let turn = play.member().await.text(&sent).await.failed();
        assert!(turn.texts().is_empty(), "{event}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_closes_the_connection_after_the_answer() {
    let play = Play::path().await;
    let close = v1("phx_close", "null", "{}");
    for (event, response, reason) in [("end", "\"bye\"", "Stopped"), ("phx_leave", "{}", "Left")] {
        let mut peer = play.member().await;
        let sent = format!(r#"{{"event":"{event}","ref":"1"}}"#);
        let turn = peer.text(&sent).await.done();
        let last = v1("you_left", "null", "{}");
        assert_eq!(turn.texts(), [&ok("\"1\"", response), &close, &last]);
        assert_eq!(turn.closed(), Some((1000, String::new())));
        peer.disconnect(1000).await.done();
        let ended = format!("ada room:1 {reason} 1000");
        assert_eq!(play.notes.take(), [ended], "it ends once");
    }
    let (mut peer, turn) = play.connect("user=ada&door=out").await;
    let turn = turn.done();
    assert_eq!(turn.texts()[..2], [ok("null", r#"{"door":"out"}"#), close]);
    assert_eq!(turn.closed(), Some((1000, String::new())));
    peer.disconnect(1000).await.done();
    assert_eq!(play.notes.take(), ["ada room:1 Stopped 1000"]);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_ends_by_itself_says_why() {
    let play = Play::path().await;
    for (code, reason, ended) in [
        (1006, "", "Closed 1006"),
        (1001, "disconnected", "Disconnected 1001"),
        (1012, "the server restarts", "Draining 1012"),
        (1011, "internal error 7f", "Crashed(\"7f\") 1011"),
    ] {
        let mut peer = play.member().await;
        let reason = reason.into();
        let gone = EventKind::Disconnect { code, reason };
        peer.event(gone).await.done();
        assert_eq!(play.notes.take(), [format!("ada room:1 {ended}")]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_undoes_a_stop() {
    let play = Play::path().await;
    let mut peer = play.member().await;
    let turn = peer.text(r#"{"event":"stop and refuse","ref":"1"}"#).await;
    let turn = turn.done();
    assert_eq!(turn.texts(), [error("\"1\"", "not yet")]);
    assert_eq!(turn.closed(), None);
    let turn = peer.text(r#"{"event":"count","ref":"2"}"#).await.done();
    assert_eq!(turn.texts(), [ok("\"2\"", "1")]);
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_that_no_client_said_ends_nothing() {
    let play = Play::of(
        Router::new()
            .route("/rooms/{room}", Room::websocket("room:{room}"))
            .route(
                "/all",
                demultiplexer().stream("one", Room::websocket("room:1")),
            ),
    )
    .await;
    let (mut peer, mut all) = (play.member().await, play.stage.peer("/all"));
    let handshake = Handshake {
        query_string: "user=ada&door=front".into(),
        ..Handshake::default()
    };
    all.connect_with(handshake).await.done();
    for peer in [&mut peer, &mut all] {
        for event in ["reject", "wrong"] {
            let before = peer.session.clone();
            let turn = peer.application(event, &()).await.done();
            assert!(turn.texts().is_empty(), "{event}: {:?}", turn.texts());
            assert_eq!((turn.closed(), &peer.session), (None, &before), "{event}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_route_assigns_a_value_to_its_topics() {
    let streams = demultiplexer()
        .stream("hall", Room::websocket_with("hall:1", Seats(500)))
        .stream("room", Room::websocket("room:1"));
    let router = Router::new()
        .socket(
            "/socket",
            topics::<UserSocket>()
                .topic_with::<Room>("hall:*", Seats(300))
                .topic::<Room>("room:*"),
        )
        .route(
            "/rooms/{room}",
            Room::websocket_with("room:{room}", Seats(7)),
        )
        .route("/streams", streams);
    let play = Play::of(router).await;
    let seats = r#"{"event":"seats","ref":"1"}"#;
    let mut peer = play.member().await;
    let turn = peer.text(seats).await.done();
    assert_eq!(turn.texts(), [ok("\"1\"", "7")]);
    let mut root = play.stage.peer("/socket");
    root.connect().await.done();
    for (topic, seats) in [("hall:1", json!(300)), ("room:1", json!(null))] {
        let mut member = play.stage.topic("/socket", topic);
        member.join(&root, r#"{"door":"front"}"#).await.done();
        let turn = member.push("seats", "{}").await.done();
        said(&turn, &[answer("ok", &seats)]);
    }
    let mut peer = play.stage.peer("/streams");
    let handshake = Handshake {
        query_string: "door=front".into(),
        ..Handshake::default()
    };
    peer.connect_with(handshake).await.done();
    for (stream, topic, said) in [("hall", "hall:1", "500"), ("room", "room:1", "null")] {
        let turn = peer.text(&frame(stream, seats)).await.done();
        let answer = ok("\"1\"", said).replace("room:1", topic);
        assert_eq!(turn.texts(), [frame(stream, &answer)]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_broadcast_and_a_late_answer_reach_the_connection() {
    let play = Play::path().await;
    let (mut peer, other) = (play.member().await, play.member().await);
    peer.text(r#"{"event":"shout"}"#).await.done();
    let shout = TopicReply::Broadcast(Broadcast {
        topic: "room:1".into(),
        event: "shout".into(),
        payload: text(&json!({"by": "ada"})),
        except: Some(peer.channel.clone()),
    });
    assert_eq!(other.reply().await.topic, [shout]);
    peer.text(r#"{"event":"later","ref":"9"}"#).await.done();
    let room: Room = towpath_layer_core::Content::from_encoded(peer.session.clone())
        .decode()
        .unwrap();
    let topics = Topics::new(play.stage.layer.clone());
    room.kept
        .unwrap()
        .reply(&topics, "ok", &json!({}))
        .await
        .unwrap();
    assert_eq!(peer.reply().await, Reply::text(ok("\"9\"", "{}")));
}

#[tokio::test(start_paused = true)]
async fn events_of_the_application_come_as_information() {
    let play = Play::path().await;
    let mut peer = play.member().await;
    let turn = peer.application("clock", &()).await.done();
    assert_eq!(turn.texts(), [v1("clock", "null", "{}")]);
    assert!(
        peer.application("what", &())
            .await
            .done()
            .texts()
            .is_empty()
    );
}

fn rooms() -> Demultiplexer {
    demultiplexer()
        .stream("one", Room::websocket("room:{room}"))
        .stream("two", Room::websocket("room:two"))
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_a_topic_and_its_name_the_memberships_metadata() {
    let play = Play::of(Router::new().route("/rooms/{room}", rooms())).await;
    let (mut peer, turn) = play.connect("user=ada&door=busy").await;
    let first = ok("null", r#"{"door":"busy"}"#);
    let welcome = v1("welcome", "null", "{}");
    let of_two = |frame: &str| frame.replace("room:1", "room:two");
    let expected = [
        frame("one", &first),
        frame("one", &welcome),
        frame("two", &of_two(&first)),
        frame("two", &of_two(&welcome)),
    ];
    assert_eq!(turn.done().texts(), expected);
    let metas = async |topic| {
        let groups = Groups::new(play.stage.layer.clone());
        let group = GroupName::topic(topic);
        let metas = groups.fold(&group, Vec::new(), |mut metas, member| {
            metas.push(member.meta);
            std::ops::ControlFlow::Continue(metas)
        });
        metas.await.unwrap()
    };
    assert_eq!(metas("room:1").await, ["one"]);
    assert_eq!(metas("room:two").await, ["two"]);
    let count = r#"{"event":"count","ref":"1"}"#;
    for (stream, said) in [("one", "1"), ("one", "2"), ("two", "1")] {
        let turn = peer.text(&frame(stream, count)).await.done();
        let answer = ok("\"1\"", said);
        let answer = if stream == "two" {
            of_two(&answer)
        } else {
            answer
        };
        assert_eq!(turn.texts(), [frame(stream, &answer)]);
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_stream_leaves_the_others() {
    let play = Play::of(Router::new().route("/rooms/{room}", rooms())).await;
    let (mut peer, _) = play.connect("user=ada&door=front").await;
    let turn = peer
        .text(&frame("one", r#"{"event":"end","ref":"1"}"#))
        .await
        .done();
    let close = v1("phx_close", "null", "{}");
    let answer = ok("\"1\"", "\"bye\"");
    let last = v1("you_left", "null", "{}");
    let told = [&answer, &close, &last].map(|text| frame("one", text));
    assert_eq!(turn.texts(), told);
    assert_eq!(turn.closed(), None);
    let groups = Groups::new(play.stage.layer.clone()).of_connection(peer.channel.clone());
    let mut joined = groups.joined().await.unwrap();
    joined.sort();
    let id = GroupName::topic("user:ada");
    assert_eq!(joined, [GroupName::topic("room:two"), id]);
    let count = r#"{"event":"count","ref":"1"}"#;
    let turn = peer.text(&frame("one", count)).await.done();
    assert_eq!(
        turn.texts(),
        [frame("one", &error("\"1\"", "unmatched topic"))]
    );
    let turn = peer.text(&frame("two", count)).await.done();
    assert_eq!(turn.texts().len(), 1);
    peer.disconnect(1001).await.done();
    let ended = ["ada room:1 Stopped 1000", "ada room:two Closed 1001"];
    assert_eq!(play.notes.take(), ended);

    let (mut peer, _) = play.connect("user=ada&door=front").await;
    let leave = r#"{"event":"phx_leave","ref":"1"}"#;
    peer.text(&frame("one", leave)).await.done();
    assert_eq!(play.notes.take(), ["ada room:1 Left 1000"]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_join_of_a_stream_denies_the_whole_handshake() {
    let play = Play::of(Router::new().route("/rooms/{room}", rooms())).await;
    let (_, turn) = play.connect("door=full").await;
    let turn = turn.done();
    assert_eq!(turn.denied(), Some((403, r#"{"seats":0}"#.to_owned())));
    assert!(turn.texts().is_empty());
}

#[tokio::test(start_paused = true)]
async fn one_type_serves_a_socket_a_path_and_a_stream() {
    let router = Router::new()
        .socket("/socket", topics::<UserSocket>().topic::<Room>("room:*"))
        .route("/rooms/{room}", Room::websocket("room:{room}"))
        .route(
            "/all",
            demultiplexer().stream("lobby", Room::websocket("room:1")),
        );
    let play = Play::of(router).await;
    let mut plain = play.member().await;
    let mut root = play.stage.peer("/socket");
    root.connect().await.done();
    let mut member = play.stage.topic("/socket", "room:1");
    member.join(&root, r#"{"door":"front"}"#).await.done();
    let mut all = play.stage.peer("/all");
    let handshake = Handshake {
        query_string: "door=front".into(),
        ..Handshake::default()
    };
    all.connect_with(handshake).await.done();
    plain.text(r#"{"event":"shout"}"#).await.done();
    for peer in [&member, &all] {
        let [TopicReply::Broadcast(shout)] = &peer.reply().await.topic[..] else {
            panic!("no broadcast");
        };
        assert_eq!(shout.payload, Frame::Text(r#"{"by":"ada"}"#.into()));
    }
}

#[test]
fn what_cannot_stand_alone_is_found_at_start() {
    for (websocket, part) in [
        (
            Greedy::websocket("room:1"),
            "Greedy intercepts \"phx_reply\"",
        ),
        (Room::websocket("room:{seat}"), "needs a parameter {seat}"),
        (Room::websocket("room:{seat"), "without '}'"),
        (Room::websocket(""), "a topic has a name"),
    ] {
        let router = Router::new().route("/rooms/{room}", websocket);
        let errors = router.check(&States::new()).unwrap_err().to_string();
        assert!(errors.contains(part), "{errors}");
    }
}
