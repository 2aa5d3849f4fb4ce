//! Topics of a socket: what a client is told, and what travels.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::json;
use towpath_layer_core::{
    Application, Broadcast, Content, EventKind, Frame, GroupChange, GroupName, Reference, Reply,
    TopicReply,
};
use towpath_worker::{
    Answer, ConnectInfo, Error, Info, Joined, Result, Router, SocketParams, SocketRef, States,
    Terminated, Topic, TopicConsumer, TopicPayload, TopicSocket, Topics, WorkerConfig, topics,
};

use crate::stage::{Peer, Stage, Turn, message};

/// What consumers have noted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    pub(crate) fn note(&self, line: String) {
        self.0.lock().push(line);
    }

    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock())
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct UserSocket {
    pub(crate) user: String,
}

impl TopicSocket for UserSocket {
    async fn connect(params: SocketParams, _: &ConnectInfo) -> Result<Self> {
        let user = params.get("user").unwrap_or("nobody");
        if user == "mallory" {
            return Err(Error::deny(403, "not you"));
        }
        Ok(Self {
            user: user.to_owned(),
        })
    }

    fn id(&self) -> Option<String> {
        (self.user != "nobody").then(|| format!("user:{}", self.user))
    }
}

#[derive(Serialize, Deserialize)]
struct Room {
    user: String,
    said: u32,
    kept: Option<SocketRef>,
}

#[derive(Serialize, Deserialize)]
struct Line {
    body: String,
}

impl TopicConsumer for Room {
    type Socket = UserSocket;
    const INTERCEPT: &'static [&'static str] = &["secret", "plain"];

    async fn join(
        payload: TopicPayload,
        socket: &UserSocket,
        topic: &Topic,
    ) -> Result<Joined<Self>> {
        let room = Self {
            user: socket.user.clone(),
            said: 0,
            kept: None,
        };
        match topic.subtopic() {
            "full" => Ok(Joined::refused(&json!({"seats": 0}))),
            "closed" => Err(Error::rejected("closed for today")),
            "denied" => Err(Error::deny(403, "not for you")),
            "ended" => Err(Error::close(4000, "over")),
            "broken" => Err(Error::internal("no database")),
            "panic" => panic!("a room without a floor"),
            "typed" => {
                payload.json::<Line>()?;
                Ok(Joined::ok(room))
            }
            "busy" => {
                topic.push("welcome", &json!({"n": 1})).await?;
                topic.broadcast("entered", &json!({})).await?;
                topic.push("welcome", &json!({"n": 2})).await?;
                Ok(Joined::ok(room).with(&json!(["there", "you", "are"])))
            }
            "short" => {
                topic.stop();
                Ok(Joined::ok(room))
            }
            "large" => {
                let user = "x".repeat(20_000);
                Ok(Joined::ok(Self { user, ..room }))
            }
            "noisy refusal" => {
                topic.broadcast("entered", &json!({})).await?;
                Ok(Joined::refused(&json!({})))
            }
            _ => Ok(Joined::ok(room).with(&json!({"you": socket.user}))),
        }
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
            "quiet" => Ok(Answer::none()),
            "echo" => Ok(Answer::payload("ok", payload)),
            "odd" => Ok(Answer::status("maybe", &json!({}))),
            "bytes" => Ok(Answer::bytes("ok", Bytes::from_static(b"\x01"))),
            "no" => Ok(Answer::error(&json!({"reason": "no"}))),
            "typed" => Ok(Answer::ok(&payload.json::<Line>()?.body)),
            "reject" => Err(Error::rejected("not that")),
            "break" => Err(Error::internal("no database")),
            "panic" => panic!("a room without a floor"),
            "close" => Err(Error::close(4000, "enough")),
            "leave" => Ok(Answer::ok(&"bye").stop()),
            _ => self.act(event, payload, topic).await,
        }
    }

    async fn handle_out(&mut self, event: &str, payload: TopicPayload, topic: &Topic) -> Result {
        self.said += 100;
        match event {
            "secret" if self.user != "ada" => Err(Error::rejected("not for everybody")),
            "secret" => topic.push("secret", &json!({"for": self.user})).await,
            _ => topic.push_payload(event, payload).await,
        }
    }

    async fn handle_info(&mut self, info: Info, topic: &Topic) -> Result {
        match info {
            Info::Event(event) if event.name == "clock" => topic.push("clock", &json!({})).await,
            Info::Event(event) if event.name == "end" => {
                topic.stop();
                Ok(())
            }
            Info::Event(event) => Err(Error::unknown_event(&event)),
            Info::Broadcast {
                topic: other,
                event,
                payload,
            } => {
                let body = payload.json::<Line>()?.body;
                let news = json!({"from": &*other, "event": &*event, "body": body});
                topic.push("news", &news).await
            }
            _ => Ok(()),
        }
    }

    async fn terminate(&mut self, terminated: Terminated, topic: &Topic) -> Result {
        let notes = topic.state::<Notes>()?;
        notes.note(format!("{} {:?}", self.user, terminated.reason));
        topic.push("you_left", &json!({})).await
    }
}

impl Room {
    async fn act(&mut self, event: &str, payload: TopicPayload, topic: &Topic) -> Result<Answer> {
        match event {
            "push" => {
                topic.push("one", &json!({})).await?;
                topic.push_bytes("two", Bytes::from_static(b"2")).await?;
                topic.push_payload("three", payload).await?;
                Ok(Answer::ok(&json!({})))
            }
            "push large" => {
                let large = json!({"x": "x".repeat(3000)});
                topic.push("one", &json!({})).await?;
                topic.push("two", &large).await?;
                topic.push("three", &json!({})).await?;
                Ok(Answer::ok(&json!({})))
            }
            "shout" => {
                topic.broadcast("shout", &payload.json::<Line>()?).await?;
                topic.broadcast_from("others", &json!({})).await?;
                topic
                    .broadcast_bytes("raw", Bytes::from_static(b"r"))
                    .await?;
                Ok(Answer::none())
            }
            "later" => {
                self.kept = Some(topic.reply_ref()?);
                Ok(Answer::none())
            }
            "reserved" => {
                topic.push("phx_reply", &json!({})).await?;
                Ok(Answer::none())
            }
            "scalar" => {
                topic.push("number", &7).await?;
                Ok(Answer::none())
            }
            "outbox" => {
                topic.outbox().group_text("watchers", "seen")?;
                if payload.json::<Line>()?.body == "stop" {
                    return Err(Error::rejected("stopped"));
                }
                Ok(Answer::none())
            }
            "frame" => {
                let socket: towpath_worker::Socket = topic.extract().await?;
                socket.text("a frame").await?;
                Ok(Answer::none())
            }
            _ => self.listen(event, topic).await,
        }
    }

    async fn listen(&mut self, event: &str, topic: &Topic) -> Result<Answer> {
        match event {
            "subscribe" => {
                topic.subscribe("news").await?;
                Ok(Answer::none())
            }
            "unsubscribe" => {
                topic.unsubscribe("news").await?;
                Ok(Answer::none())
            }
            "self" => {
                topic.subscribe(topic.name()).await?;
                Ok(Answer::none())
            }
            "tick" => {
                topic.tick_every(Duration::from_secs(1), "clock").await?;
                Ok(Answer::none())
            }
            "remind" => {
                topic.event("clock", &1).await?;
                topic.event_after(Duration::ZERO, "clock", &2).await?;
                topic.stop_ticking("clock").await?;
                Ok(Answer::none())
            }
            _ => Err(topic.unknown(event)),
        }
    }
}

fn router() -> Router {
    Router::new().socket("/socket", topics::<UserSocket>().topic::<Room>("room:*"))
}

pub(crate) fn text(json: &serde_json::Value) -> Frame {
    Frame::Text(json.to_string().into())
}

pub(crate) fn joined(response: &serde_json::Value) -> TopicReply {
    let response = text(response);
    TopicReply::Joined { response }
}

pub(crate) fn refused(response: &serde_json::Value) -> TopicReply {
    let response = text(response);
    TopicReply::Refused { response }
}

pub(crate) fn push(event: &str, payload: &serde_json::Value) -> TopicReply {
    TopicReply::Push {
        event: event.into(),
        payload: text(payload),
    }
}

pub(crate) fn answer(status: &str, response: &serde_json::Value) -> TopicReply {
    TopicReply::Answer {
        reference: Reference::Text("7".into()),
        status: status.into(),
        response: text(response),
    }
}

fn broadcast(event: &str, payload: Frame) -> Broadcast {
    Broadcast {
        topic: "room:1".into(),
        event: event.into(),
        payload,
        except: None,
    }
}

#[track_caller]
pub(crate) fn said(turn: &Turn, expected: &[TopicReply]) {
    assert_eq!(turn.said(), expected.iter().collect::<Vec<_>>());
}

struct Play {
    stage: Stage,
    root: Peer,
    notes: Notes,
}

impl Play {
    async fn new() -> Self {
        let notes = Notes::default();
        let states = States::new().with(notes.clone());
        let stage = Stage::with(WorkerConfig::default(), router(), states).await;
        let mut root = stage.peer("/socket");
        let handshake = towpath_layer_core::Handshake {
            query_string: "user=ada&vsn=2.0.0&".into(),
            ..Default::default()
        };
        assert!(root.connect_with(handshake).await.done().accepted());
        Self { stage, root, notes }
    }

    async fn join(&self, topic: &str) -> (Peer, Turn) {
        let mut peer = self.stage.topic("/socket", topic);
        let turn = peer.join(&self.root, "{}").await;
        (peer, turn)
    }

    /// A client in `room:1`.
    async fn member(&self) -> Peer {
        let (peer, turn) = self.join("room:1").await;
        said(&turn.done(), &[joined(&json!({"you": "ada"}))]);
        peer
    }
}

#[tokio::test(start_paused = true)]
async fn a_join_is_answered_with_its_completion_after_the_group_is_joined() {
    let play = Play::new().await;
    let (peer, turn) = play.join("room:1").await;
    let turn = turn.done();
    said(&turn, &[joined(&json!({"you": "ada"}))]);
    assert_eq!(turn.replies.len(), 1, "response and completion are one");
    assert_eq!(peer.arrivals(), ["join", "reply"]);
    let group = GroupName::topic("room:1");
    let meta = Bytes::new();
    assert_eq!(
        turn.completion.groups,
        [GroupChange::add(group, meta)],
        "the membership survives the loss of the backend"
    );
}

#[tokio::test(start_paused = true)]
async fn a_refused_join_says_why_and_leaves_nothing() {
    let play = Play::new().await;
    for (topic, response) in [
        ("room:full", json!({"seats": 0})),
        ("room:closed", json!({"reason": "closed for today"})),
        ("room:denied", json!({"reason": "not for you"})),
        ("room:ended", json!({"reason": "over"})),
        ("room:noisy refusal", json!({})),
    ] {
        let (mut peer, turn) = play.join(topic).await;
        said(&turn.done(), &[refused(&response)]);
        assert_eq!(peer.arrivals(), ["reply"], "{topic}");
        assert!(peer.session.is_empty(), "{topic}");
        peer.left("left").await.done();
    }
    assert_eq!(play.notes.take(), [""; 0], "there is nothing to terminate");
}

#[tokio::test(start_paused = true)]
async fn a_payload_that_does_not_fit_refuses_the_join_and_names_the_field() {
    let play = Play::new().await;
    let mut peer = play.stage.topic("/socket", "room:typed");
    let turn = peer.join(&play.root, r#"{"body": 7}"#).await.done();
    let reason = "body: invalid type: integer `7`, expected a string at line 1 column 10";
    said(&turn, &[refused(&json!({ "reason": reason }))]);
}

#[tokio::test(start_paused = true)]
async fn a_join_that_breaks_fails_and_says_nothing() {
    let play = Play::new().await;
    for topic in ["room:broken", "room:panic", "room:large"] {
        let (peer, turn) = play.join(topic).await;
        said(&turn.failed(), &[]);
        assert_eq!(peer.arrivals(), ["reply"], "{topic}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_join_says_comes_after_its_response_and_reaches_its_own_client() {
    let play = Play::new().await;
    let (peer, turn) = play.join("room:busy").await;
    let entered = TopicReply::Broadcast(Broadcast {
        topic: "room:busy".into(),
        ..broadcast("entered", text(&json!({})))
    });
    said(
        &turn.done(),
        &[
            joined(&json!(["there", "you", "are"])),
            push("welcome", &json!({"n": 1})),
            entered,
            push("welcome", &json!({"n": 2})),
        ],
    );
    assert!(peer.is_silent());
}

#[tokio::test(start_paused = true)]
async fn a_join_can_end_at_once() {
    let play = Play::new().await;
    let (_, turn) = play.join("room:short").await;
    said(&turn.done(), &[joined(&json!({})), TopicReply::Stop]);
}

#[tokio::test(start_paused = true)]
async fn a_topic_without_a_consumer_is_refused() {
    let play = Play::new().await;
    let (_, turn) = play.join("lobby").await;
    said(
        &turn.done(),
        &[refused(&json!({"reason": "unmatched topic"}))],
    );
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_answer_goes_with_the_completion() {
    let play = Play::new().await;
    let mut peer = play.member().await;
    for (event, payload, expected) in [
        ("count", "{}", Some(answer("ok", &json!(1)))),
        ("quiet", "{}", None),
        (
            "echo",
            r#"{"a":[1]}"#,
            Some(answer("ok", &json!({"a": [1]}))),
        ),
        ("odd", "{}", Some(answer("maybe", &json!({})))),
        ("no", "{}", Some(answer("error", &json!({"reason": "no"})))),
        ("typed", r#"{"body":"x"}"#, Some(answer("ok", &json!("x")))),
    ] {
        let turn = peer.push(event, payload).await.done();
        assert_eq!(turn.replies.len(), 1, "{event}");
        said(&turn, expected.as_slice());
    }
    let turn = peer.push("bytes", "{}").await.done();
    let [TopicReply::Answer { response, .. }] = turn.said()[..] else {
        panic!("{turn:?}");
    };
    assert_eq!(*response, Frame::Bytes(Bytes::from_static(b"\x01")));
    said(
        &peer.push("count", "{}").await.done(),
        &[answer("ok", &json!(8))],
    );
}

#[tokio::test(start_paused = true)]
async fn a_message_without_a_reference_gets_no_answer() {
    let play = Play::new().await;
    let mut peer = play.member().await;
    for (event, answers) in [("count", 0), ("reject", 0), ("leave", 1)] {
        let mut unasked = message(event, "{}");
        unasked.reference = None;
        let turn = peer.event(EventKind::In(unasked)).await.done();
        assert_eq!(turn.said().len(), answers, "{event}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_is_an_error_reply_and_leaves_the_fields() {
    let play = Play::new().await;
    let mut peer = play.member().await;
    said(
        &peer.push("count", "{}").await.done(),
        &[answer("ok", &json!(1))],
    );
    let before = peer.session.clone();
    for (event, payload, reason) in [
        ("reject", "{}", "not that"),
        ("unknown", "{}", "there is no event \"unknown\""),
        ("typed", "{}", "missing field `body` at line 1 column 2"),
    ] {
        let turn = peer.push(event, payload).await.done();
        said(&turn, &[answer("error", &json!({ "reason": reason }))]);
        assert_eq!(peer.session, before, "{event}");
    }
    let binary = Frame::Bytes(Bytes::from_static(b"x"));
    let push = towpath_layer_core::Push {
        payload: binary,
        ..*message("typed", "")
    };
    let turn = peer.event(EventKind::In(Box::new(push))).await.done();
    let reason = "JSON is expected, and no bytes";
    said(&turn, &[answer("error", &json!({ "reason": reason }))]);
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_breaks_fails_its_event_and_the_next_one_runs() {
    let play = Play::new().await;
    let mut peer = play.member().await;
    for event in ["break", "panic", "reserved", "scalar", "self", "frame"] {
        said(&peer.push(event, "{}").await.failed(), &[]);
    }
    said(
        &peer.push("count", "{}").await.done(),
        &[answer("ok", &json!(1))],
    );
}

#[tokio::test(start_paused = true)]
async fn an_answer_comes_before_the_end() {
    let play = Play::new().await;
    let mut peer = play.member().await;
    let turn = peer.push("leave", "{}").await.done();
    said(&turn, &[answer("ok", &json!("bye")), TopicReply::Stop]);
    let turn = play.member().await.push("close", "{}").await.done();
    let reason = json!({"reason": "enough"});
    said(&turn, &[answer("error", &reason), TopicReply::Stop]);
    let turn = play.member().await.application("end", &()).await.done();
    said(&turn, &[TopicReply::Stop]);
}

#[tokio::test(start_paused = true)]
async fn small_pushes_and_the_answer_are_one_message() {
    let play = Play::new().await;
    let mut peer = play.member().await;
    let turn = peer.push("push", r#"{"n":3}"#).await.done();
    assert_eq!(turn.replies.len(), 1);
    let two = TopicReply::Push {
        event: "two".into(),
        payload: Frame::Bytes(Bytes::from_static(b"2")),
    };
    let ok = answer("ok", &json!({}));
    let (one, three) = (push("one", &json!({})), push("three", &json!({"n": 3})));
    said(&turn, &[one.clone(), two, three, ok.clone()]);
    let turn = peer.push("push large", "{}").await.done();
    assert_eq!(turn.replies.len(), 3);
    let large = push("two", &json!({"x": "x".repeat(3000)}));
    said(&turn, &[one, large, push("three", &json!({})), ok]);
}

#[tokio::test(start_paused = true)]
async fn a_broadcast_goes_to_the_topics_group() {
    let play = Play::new().await;
    let (mut peer, other) = (play.member().await, play.member().await);
    let turn = peer.push("shout", r#"{"body":"hi"}"#).await.done();
    let shout = broadcast("shout", text(&json!({"body": "hi"})));
    let others = Broadcast {
        except: Some(peer.channel.clone()),
        ..broadcast("others", text(&json!({})))
    };
    let raw = broadcast("raw", Frame::Bytes(Bytes::from_static(b"r")));
    let all = [shout, others, raw].map(TopicReply::Broadcast);
    said(&turn, &all);
    for expected in all {
        assert_eq!(other.reply().await.topic, [expected]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_reference_is_answered_from_anywhere() {
    let play = Play::new().await;
    let mut peer = play.member().await;
    said(&peer.push("later", "{}").await.done(), &[]);
    let room: Room = Content::from_encoded(peer.session.clone())
        .decode()
        .unwrap();
    let reference: SocketRef =
        serde_json::from_str(&serde_json::to_string(&room.kept.unwrap()).unwrap()).unwrap();
    let topics = Topics::new(play.stage.layer.clone());
    reference.reply(&topics, "ok", &json!([1])).await.unwrap();
    assert_eq!(peer.reply().await.topic, [answer("ok", &json!([1]))]);
    reference.reply_bytes(&topics, "done", "x").await.unwrap();
    let [TopicReply::Answer { response, .. }] = &peer.reply().await.topic[..] else {
        panic!("no answer");
    };
    assert_eq!(*response, Frame::Bytes("x".into()));
    let mut unasked = message("later", "{}");
    unasked.reference = None;
    peer.event(EventKind::In(unasked)).await.failed();
}

#[tokio::test(start_paused = true)]
async fn an_intercepted_broadcast_is_the_consumers_to_push() {
    let play = Play::new().await;
    let mut peer = play.member().await;
    let turn = peer.out("secret", r#"{"a":1}"#).await.done();
    said(&turn, &[push("secret", &json!({"for": "ada"}))]);
    let turn = peer.out("plain", r#"{"a":1}"#).await.done();
    said(&turn, &[push("plain", &json!({"a": 1}))]);
    said(
        &peer.push("count", "{}").await.done(),
        &[answer("ok", &json!(201))],
    );
    let mut stranger = play.stage.topic("/socket", "room:1");
    let mut root = play.stage.peer("/socket");
    root.connect().await.done();
    stranger.join(&root, "{}").await.done();
    said(&stranger.out("secret", "{}").await.done(), &[]);
}

#[tokio::test(start_paused = true)]
async fn a_broadcast_of_another_topic_comes_as_information() {
    let play = Play::new().await;
    let mut peer = play.member().await;
    let subscribed = peer.push("subscribe", "{}").await.done();
    let group = GroupName::topic("news");
    let meta = Bytes::new();
    let add = GroupChange::add(group.clone(), meta);
    assert_eq!(subscribed.completion.groups, [add]);
    let news = Broadcast {
        topic: "news".into(),
        ..broadcast("flash", text(&json!({"body": "rain"})))
    };
    let turn = peer.application("phx_broadcast", &news).await.done();
    let pushed = json!({"from": "news", "event": "flash", "body": "rain"});
    said(&turn, &[push("news", &pushed)]);
    let unsubscribed = peer.push("unsubscribe", "{}").await.done();
    let discard = GroupChange::discard(group);
    assert_eq!(unsubscribed.completion.groups, [discard]);
    peer.application("phx_broadcast", &7).await.failed();
}

#[tokio::test(start_paused = true)]
async fn ticks_are_started_and_unknown_events_end_nothing() {
    let play = Play::new().await;
    let mut peer = play.member().await;
    let turn = peer.push("tick", "{}").await.done();
    let tick = Reply::tick("clock", Some(Duration::from_secs(1))).tick;
    assert!(turn.replies.iter().any(|reply| reply.tick == tick));
    let turn = peer.application("clock", &()).await.done();
    said(&turn, &[push("clock", &json!({}))]);
    let unknown = Application::new("what", Content::default());
    said(
        &peer
            .event(EventKind::Application(Box::new(unknown)))
            .await
            .done(),
        &[],
    );
}

#[tokio::test(start_paused = true)]
async fn a_consumer_sends_events_to_itself_now_and_later() {
    let play = Play::new().await;
    let mut peer = play.member().await;
    let turn = peer.push("remind", "{}").await.done();
    let events = turn.replies.iter().filter_map(|reply| reply.event.as_ref());
    let numbers = events.map(|event| event.content.decode().unwrap());
    assert_eq!(numbers.collect::<Vec<u8>>(), [1, 2]);
    let stopped = Reply::tick("clock", None).tick;
    assert!(turn.replies.iter().any(|reply| reply.tick == stopped));
}

#[tokio::test(start_paused = true)]
async fn an_outbox_is_sent_unless_the_consumer_refuses() {
    let play = Play::new().await;
    let mut peer = play.member().await;
    let watcher = play.stage.peer("/watch");
    let watchers = towpath_worker::Groups::new(play.stage.layer.clone());
    let watchers = watchers.of_connection(watcher.channel.clone());
    watchers.add("watchers").await.unwrap();
    peer.push("outbox", r#"{"body":"go"}"#).await.done();
    assert_eq!(watcher.reply().await, Reply::text("seen"));
    peer.push("outbox", r#"{"body":"stop"}"#).await.done();
    assert!(watcher.is_silent());
}

#[tokio::test(start_paused = true)]
async fn the_end_is_told_with_its_reason() {
    let play = Play::new().await;
    let mut expected = Vec::new();
    for (reason, shown) in [
        ("left", "Left"),
        ("duplicate_join", "DuplicateJoin"),
        ("closed", "Closed"),
        ("disconnected", "Disconnected"),
        ("inactive", "Inactive"),
        ("draining", "Draining"),
        ("stopped", "Stopped"),
        ("bored", "Other(\"bored\")"),
    ] {
        let mut peer = play.member().await;
        let turn = peer.left(reason).await.done();
        said(&turn, &[push("you_left", &json!({}))]);
        expected.push(format!("ada {shown}"));
    }
    assert_eq!(play.notes.take(), expected);
}
