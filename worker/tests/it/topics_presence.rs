//! Who is here, and what was said before: what a topic's consumer asks for.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use towpath_layer_core::presence::{Entry, Source, Stored};
use towpath_layer_core::{
    ChannelLayer, ChannelName, GroupName, Handshake, History, LocalId, Position, Resume,
    TopicReply, Tracking,
};
use towpath_worker::{
    Answer, Error, Joined, Payload, Presences, Present, Result, Router, States, Terminated, Topic,
    TopicConsumer, TopicPayload, Topics, Watch, WorkerConfig, demultiplexer, topics,
};

use crate::stage::{Peer, Stage, Turn};
use crate::streams::frame;
use crate::topics::{Notes, UserSocket, answer, joined, push, said};

/// Who says it is here.
#[derive(Serialize, Deserialize)]
struct Lounge;

impl TopicConsumer for Lounge {
    type Socket = UserSocket;
    const PRESENCE: Watch = Watch::Diffs;

    async fn join(_: TopicPayload, socket: &UserSocket, topic: &Topic) -> Result<Joined<Self>> {
        if topic.subtopic() == "refused" {
            topic.track("ada", &json!({}))?;
            return Ok(Joined::refused(&json!({})));
        }
        topic.push("welcome", &json!({})).await?;
        topic.track(socket.user.clone(), &json!({"at": 1}))?;
        if topic.subtopic() == "haunted" {
            topic.track("ghost", &json!({}))?;
        }
        Ok(Joined::ok(Self))
    }

    async fn handle_in(&mut self, event: &str, _: TopicPayload, topic: &Topic) -> Result<Answer> {
        match event {
            "away" => {
                topic.untrack("ada")?;
                topic.track("ada", &json!({"away": true}))?;
                topic.track_in("staff", "ada", &json!({}))?;
                topic.untrack("bob")?;
                topic.untrack_in("others", "ada")?;
                topic.push("noted", &json!({})).await?;
            }
            "fail" => {
                topic.update("ada", &json!({}))?;
                return Err(Error::rejected("not that"));
            }
            "ghost" => topic.track("ghost", &json!({}))?,
            "long" => topic.track("k".repeat(256), &json!({}))?,
            "reserved" => topic.track("__proto__", &json!({}))?,
            "list" => topic.track("ada", &[1])?,
            "large" => topic.track("ada", &json!({"x": "x".repeat(5000)}))?,
            "protocol" => topic.track_in("phoenix", "ada", &json!({}))?,
            "who" => return Ok(Answer::ok(&topic.presences().await?)),
            _ => return Err(topic.unknown(event)),
        }
        Ok(Answer::ok(&json!({})))
    }

    async fn fetch(presents: &mut [Present], topic: &Topic) -> Result {
        let keys: Vec<_> = presents.iter().map(Present::key).collect();
        topic.state::<Notes>()?.note(keys.join(" "));
        for present in presents {
            if present.key() == "ghost" {
                return Err(Error::rejected("there are no ghosts"));
            }
            let before: Value = present.meta()?;
            present.set("fields", &before.as_object().map(|fields| fields.len()))?;
        }
        Ok(())
    }

    async fn terminate(&mut self, _: Terminated, topic: &Topic) -> Result {
        topic.untrack("ada")
    }
}

/// Who keeps what was said.
#[derive(Serialize, Deserialize)]
struct Archive;

const KEPT: History = History {
    size: 2,
    ttl: Duration::from_secs(60),
};

impl TopicConsumer for Archive {
    type Socket = UserSocket;
    const PRESENCE: Watch = Watch::State;
    const HISTORY: Option<History> = Some(KEPT);
    const HISTORY_ON_JOIN: u32 = 5;

    async fn join(_: TopicPayload, _: &UserSocket, topic: &Topic) -> Result<Joined<Self>> {
        if topic.subtopic() == "short" {
            topic.stop();
        }
        topic.broadcast("entered", &json!({})).await?;
        Ok(Joined::ok(Self))
    }

    async fn handle_in(
        &mut self,
        event: &str,
        payload: TopicPayload,
        topic: &Topic,
    ) -> Result<Answer> {
        match event {
            "say" => topic.broadcast_payload("said", payload).await?,
            "later" => topic
                .outbox()
                .broadcast(topic.name(), "said", &json!({"later": true}))?,
            "forget" => {
                let topics = topic.topics();
                topics
                    .local_broadcast(topic.name(), "hint", &json!({}))
                    .await?;
            }
            _ => return Err(topic.unknown(event)),
        }
        Ok(Answer::none())
    }
}

fn routes() -> Router {
    let socket = topics::<UserSocket>()
        .topic::<Lounge>("lounge:*")
        .topic::<Archive>("archive:*");
    let streams = demultiplexer()
        .stream("lounge", Lounge::websocket("lounge:1"))
        .stream("files", Archive::websocket("files:1"));
    Router::new()
        .socket("/socket", socket)
        .route("/lounge", Lounge::websocket("lounge:1"))
        .route("/archive/{name}", Archive::websocket("archive:{name}"))
        .route("/streams", streams)
        .channel("announce", announce)
}

async fn announce(Payload(topic): Payload<String>, topics: Topics) -> Result {
    topics.broadcast(topic, "news", &json!({})).await?;
    Ok(())
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
        let stage = Stage::with(WorkerConfig::default(), routes(), states).await;
        let mut root = stage.peer("/socket");
        root.connect_with(handshake("user=ada")).await.done();
        Self { stage, root, notes }
    }

    async fn join(&self, topic: &str, payload: &str) -> (Peer, Turn) {
        let mut peer = self.stage.topic("/socket", topic);
        let turn = peer.join(&self.root, payload).await;
        (peer, turn)
    }

    async fn connect(&self, path: &str, query: &'static str) -> (Peer, Turn) {
        let mut peer = self.stage.peer(path);
        let turn = peer.connect_with(handshake(query)).await.done();
        (peer, turn)
    }

    /// What is kept of a topic: the events, and of how many.
    async fn kept(&self, topic: &str) -> (Vec<String>, u64) {
        let group = GroupName::topic(topic);
        let recalled = self.stage.layer.group_history(&group, None, 100).await;
        let recalled = recalled.unwrap();
        let events = recalled.messages.iter().map(|reply| match &*reply.topic {
            [TopicReply::Broadcast(broadcast)] => broadcast.event.to_string(),
            other => panic!("{other:?}"),
        });
        (events.collect(), recalled.position.offset)
    }
}

fn handshake(query: &'static str) -> Handshake {
    Handshake {
        query_string: query.into(),
        ..Handshake::default()
    }
}

fn watch(topic: &str, diffs: bool) -> TopicReply {
    let topic = topic.into();
    TopicReply::Tracking(Tracking::Watch { topic, diffs })
}

fn track(topic: &str, meta: &str) -> TopicReply {
    TopicReply::Tracking(Tracking::Track {
        topic: topic.into(),
        key: "ada".into(),
        meta: meta.into(),
    })
}

fn untrack(topic: &str, key: &str) -> TopicReply {
    TopicReply::Tracking(Tracking::Untrack {
        topic: topic.into(),
        key: key.into(),
    })
}

fn resume(topic: &str, last_seen_id: Option<&str>, stream: Option<&str>) -> TopicReply {
    TopicReply::Resume(Box::new(Resume {
        topic: topic.into(),
        last_seen_id: last_seen_id.map(Into::into),
        latest: 5,
        from: None,
        member: stream.map(Into::into),
    }))
}

/// For one that has seen nothing: where the topic stands now.
async fn fresh(play: &Play, topic: &str, stream: Option<&str>) -> TopicReply {
    let group = GroupName::topic(topic);
    let recalled = play.stage.layer.group_history(&group, None, 0).await;
    let mut resume = resume(topic, None, stream);
    if let TopicReply::Resume(resume) = &mut resume {
        resume.from = Some(recalled.unwrap().position);
    }
    resume
}

#[tokio::test(start_paused = true)]
async fn a_client_is_told_who_is_here_and_is_here_once_it_has_joined() {
    let play = Play::new().await;
    let (_, turn) = play.join("lounge:1", "{}").await;
    let expected = [
        joined(&json!({})),
        watch("lounge:1", true),
        track("lounge:1", r#"{"at":1,"fields":1}"#),
        push("welcome", &json!({})),
    ];
    said(&turn.done(), &expected);
}

#[tokio::test(start_paused = true)]
async fn who_is_refused_is_not_here() {
    let play = Play::new().await;
    let (_, turn) = play.join("lounge:refused", "{}").await;
    said(&turn.done(), &[crate::topics::refused(&json!({}))]);
    assert_eq!(play.notes.take(), [""; 0], "nothing is fetched");
    let (peer, turn) = play.join("lounge:haunted", "{}").await;
    let refused = crate::topics::refused(&json!({"reason": "there are no ghosts"}));
    said(&turn.done(), &[refused]);
    assert_eq!(peer.arrivals(), ["reply"]);
}

#[tokio::test(start_paused = true)]
async fn what_one_event_changes_is_fetched_at_once_and_leaves_with_the_answer() {
    let play = Play::new().await;
    let (mut peer, _) = play.join("lounge:1", "{}").await;
    play.notes.take();
    let turn = peer.push("away", "{}").await.done();
    let expected = [
        push("noted", &json!({})),
        untrack("lounge:1", "bob"),
        untrack("others", "ada"),
        track("lounge:1", r#"{"away":true,"fields":1}"#),
        track("staff", r#"{"fields":0}"#),
        answer("ok", &json!({})),
    ];
    said(&turn, &expected);
    assert_eq!(
        turn.replies.len(),
        1,
        "all of it and the completion are one"
    );
    assert_eq!(play.notes.take(), ["ada ada"]);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_fails_changes_nothing() {
    let play = Play::new().await;
    let (mut peer, _) = play.join("lounge:1", "{}").await;
    for (event, reason) in [("fail", "not that"), ("ghost", "there are no ghosts")] {
        let turn = peer.push(event, "{}").await.done();
        said(&turn, &[answer("error", &json!({ "reason": reason }))]);
    }
    for event in ["long", "reserved", "list", "large", "protocol"] {
        let turn = peer.push(event, "{}").await.failed();
        said(&turn, &[]);
    }
}

#[tokio::test(start_paused = true)]
async fn terminate_changes_nothing_for_one_who_is_gone() {
    let play = Play::new().await;
    let (mut peer, _) = play.join("lounge:1", "{}").await;
    let turn = peer.left("left").await.done();
    said(&turn, &[]);
}

#[tokio::test(start_paused = true)]
async fn a_plain_connection_is_here_as_any_other() {
    let play = Play::new().await;
    let (mut peer, turn) = play.connect("/lounge", "user=ada").await;
    assert_eq!(turn.texts().len(), 2, "the join's answer, and the welcome");
    let expected = [
        watch("lounge:1", true),
        track("lounge:1", r#"{"at":1,"fields":1}"#),
    ];
    said(&turn, &expected);
    let turn = peer.text(r#"{"event":"away","ref":"1"}"#).await.done();
    assert_eq!(turn.said().len(), 4);
    assert!(turn.texts()[1].contains("phx_reply"), "{turn:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_ends_untracks_and_its_connection_lives() {
    let play = Play::new().await;
    let (mut peer, _) = play.connect("/streams", "user=ada").await;
    let leave = frame("lounge", r#"{"event":"phx_leave","ref":"1"}"#);
    let turn = peer.text(&leave).await.done();
    said(&turn, &[untrack("lounge:1", "ada")]);
}

fn stored(node: &ChannelName, references: &[&str]) -> Bytes {
    let entries = references.iter().map(|reference| {
        Arc::new(Entry {
            reference: (*reference).into(),
            previous: None,
            key: "ada".into(),
            meta: r#"{"at":1}"#.into(),
        })
    });
    let (node, _) = node.as_reply().unwrap();
    let stored = Stored {
        source: Source {
            node,
            incarnation: 0,
            shard: 0,
        },
        version: 1,
        entries: entries.collect(),
    };
    stored.encode().unwrap()
}

#[tokio::test(start_paused = true)]
async fn presences_are_read_from_the_layer_and_nobody_speaks_for_another_node() {
    let play = Play::new().await;
    let (mut peer, _) = play.join("lounge:1", "{}").await;
    let turn = peer.push("who", "{}").await.done();
    said(&turn, &[answer("ok", &json!({}))]);
    let layer = &play.stage.layer;
    let group = GroupName::presences("lounge:1");
    let elsewhere = layer.another_node();
    let stranger = ChannelName::reply(elsewhere.node(), LocalId(1));
    for (channel, meta) in [
        (&peer.channel, stored(&peer.channel, &["p1", "p0"])),
        (&play.root.channel, stored(&peer.channel, &["p1", "p10"])),
        (&stage_channel(&play, 77), stored(&stranger, &["x1"])),
        (&stage_channel(&play, 78), Bytes::from_static(b"garbage")),
    ] {
        layer.group_add(&group, channel, meta).await.unwrap();
    }
    let turn = peer.push("who", "{}").await.done();
    let metas = |references: [&str; 3]| {
        let metas = references.map(|reference| json!({"at": 1, "phx_ref": reference}));
        json!({"ada": {"metas": metas}})
    };
    said(&turn, &[answer("ok", &metas(["p0", "p1", "p10"]))]);
    let topics = Topics::new(layer.clone());
    let presences = topics.presences("lounge:1").await.unwrap();
    assert_eq!(presences.get_by_key("ada").len(), 3);
    let none = topics.presences("lounge:2").await.unwrap();
    assert_eq!(none, Presences::default());
}

fn stage_channel(play: &Play, id: u64) -> ChannelName {
    ChannelName::reply(play.stage.layer.node(), LocalId(id))
}

#[tokio::test(start_paused = true)]
async fn a_client_that_joins_is_told_what_it_missed() {
    let play = Play::new().await;
    for (payload, seen) in [
        ("{}", None),
        (r#"{"last_seen_id":"0-1"}"#, Some("0-1")),
        (r#"{"last_seen_id":1}"#, None),
    ] {
        let resumes = match seen {
            Some(_) => resume("archive:1", seen, None),
            None => fresh(&play, "archive:1", None).await,
        };
        let (peer, turn) = play.join("archive:1", payload).await;
        let expected = [resumes, joined(&json!({})), watch("archive:1", false)];
        let turn = turn.done();
        let said = turn.said();
        assert_eq!(said[..3], expected.iter().collect::<Vec<_>>());
        assert_eq!(peer.arrivals()[0], "join", "the group is joined first");
    }
    let (_, turn) = play.join("archive:short", "{}").await;
    let said = turn.said();
    let first = [joined(&json!({})), watch("archive:short", false)];
    assert_eq!(said[..2], first.iter().collect::<Vec<_>>());
    assert_eq!(said.last(), Some(&&TopicReply::Stop));
}

/// Where the broadcasts of a turn stand.
fn offsets(turn: &Turn) -> Vec<u64> {
    let positions = turn
        .replies
        .iter()
        .filter_map(|reply| reply.position.as_ref());
    positions.map(|at| at.offset).collect()
}

#[tokio::test(start_paused = true)]
async fn what_is_broadcast_is_kept_whoever_does_it() {
    let play = Play::new().await;
    let (mut peer, _) = play.join("archive:1", "{}").await;
    peer.push("say", "{}").await.done();
    peer.push("forget", "{}").await.done();
    assert_eq!(
        play.kept("archive:1").await,
        (vec!["entered".to_owned(), "said".to_owned()], 2)
    );
    let turn = peer.push("later", "{}").await.done();
    assert_eq!(offsets(&turn), [3]);
    play.stage.send("announce", "archive:1").await;
    let heard = peer.reply().await;
    assert_eq!(heard.position.map(|at| at.offset), Some(4));
    assert_eq!(
        play.kept("archive:1").await,
        (vec!["said".to_owned(), "news".to_owned()], 4)
    );
    let topics = Topics::new(play.stage.layer.clone());
    topics
        .broadcast("archive:1", "lost", &json!({}))
        .await
        .unwrap();
    assert_eq!(play.kept("archive:1").await.1, 4);
    let topics = topics.with_history("archive:*", KEPT).unwrap();
    topics
        .broadcast("archive:1", "news", &json!({}))
        .await
        .unwrap();
    topics.disconnect("archive:1").await.unwrap();
    assert_eq!(play.kept("archive:1").await.1, 5);
    topics.with_history("a*b", KEPT).unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_topic_without_history_keeps_nothing() {
    let play = Play::new().await;
    let (mut peer, _) = play.join("lounge:1", "{}").await;
    play.stage.send("announce", "lounge:1").await;
    let heard = peer.reply().await;
    assert_eq!(heard.position, None);
    peer.push("away", "{}").await.done();
    assert_eq!(play.kept("lounge:1").await.1, 0);
}

#[tokio::test(start_paused = true)]
async fn a_plain_connection_leaves_its_first_frame_to_the_node() {
    let play = Play::new().await;
    let (peer, turn) = play.connect("/archive/1", "last_seen_id=0-1").await;
    assert!(turn.accepted());
    assert_eq!(turn.texts(), [""; 0]);
    let expected = [
        resume("archive:1", Some("0-1"), Some("")),
        joined(&json!({})),
        watch("archive:1", false),
    ];
    said(&turn, &expected);
    assert!(!peer.arrivals().contains(&"join"), "the node adds it");
    assert_eq!(play.kept("archive:1").await.1, 1, "its join was broadcast");
}

#[tokio::test(start_paused = true)]
async fn a_stream_with_a_history_names_itself() {
    let play = Play::new().await;
    let before = fresh(&play, "files:1", Some("files")).await;
    let (_, turn) = play.connect("/streams", "last_seen_id=0-1").await;
    let said = turn.said();
    let expected = [before, joined(&json!({})), watch("files:1", false)];
    assert_eq!(said[2..], expected.iter().collect::<Vec<_>>());
    assert_eq!(
        play.kept("files:1").await.1,
        1,
        "streams are among the routes"
    );
}

#[tokio::test(start_paused = true)]
async fn a_stream_resumes_by_the_parameter_of_its_name() {
    let play = Play::new().await;
    let (_, turn) = play.connect("/streams", "last_seen_id.files=0-7").await;
    let expected = resume("files:1", Some("0-7"), Some("files"));
    assert!(turn.said().contains(&&expected), "{turn:?}");
}

#[tokio::test(start_paused = true)]
async fn a_position_of_the_layer_is_what_clients_send_back() {
    let play = Play::new().await;
    let (mut peer, _) = play.join("archive:1", "{}").await;
    let turn = peer.push("say", r#"{"a":1}"#).await.done();
    let at = turn.replies.into_iter().find_map(|reply| reply.position);
    let at = at.unwrap();
    let payload = format!(r#"{{"last_seen_id":"{at}"}}"#);
    let (_, turn) = play.join("archive:1", &payload).await;
    let Some(TopicReply::Resume(resume)) = turn.said().first().copied().cloned() else {
        panic!("{turn:?}");
    };
    let seen: Position = resume.last_seen_id.unwrap().parse().unwrap();
    assert_eq!(seen, *at);
}
