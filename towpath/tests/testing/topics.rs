//! Clients of topics.

use std::time::Duration;

use futures_util::FutureExt;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use towpath::prelude::*;
use towpath::testing::{JoinedTopic, TestApp, TopicTest};

use crate::failures::message;
use crate::world::Backend;

#[derive(Serialize, Deserialize)]
struct UserSocket {
    user: String,
}

impl TopicSocket for UserSocket {
    async fn connect(params: SocketParams, _: &ConnectInfo) -> Result<Self> {
        match params.get("user") {
            Some(user) => Ok(Self {
                user: user.to_owned(),
            }),
            None => Err(Error::deny(403, "who?")),
        }
    }

    fn id(&self) -> Option<String> {
        Some(format!("users:{}", self.user))
    }
}

/// The names of users, where a database would have them.
struct Names;

impl Names {
    fn of(&self, user: &str) -> String {
        user.to_uppercase()
    }
}

#[derive(Serialize, Deserialize)]
struct Room {
    user: String,
}

impl TopicConsumer for Room {
    type Socket = UserSocket;
    const INTERCEPT: &'static [&'static str] = &["secret"];
    const PRESENCE: Watch = Watch::Diffs;

    async fn join(_: TopicPayload, socket: &UserSocket, topic: &Topic) -> Result<Joined<Self>> {
        if topic.subtopic() == "private" {
            return Err(Error::rejected("unauthorized"));
        }
        topic.track(socket.user.clone(), &json!({"typing": false}))?;
        let user = socket.user.clone();
        Ok(Joined::ok(Self { user }).with(&json!({"you": socket.user})))
    }

    async fn handle_in(
        &mut self,
        event: &str,
        payload: TopicPayload,
        topic: &Topic,
    ) -> Result<Answer> {
        match event {
            "new_msg" => {
                topic
                    .broadcast("new_msg", &payload.json::<Value>()?)
                    .await?;
                Ok(Answer::ok(&json!({"said": true})))
            }
            "typing" => {
                topic.update(self.user.clone(), &json!({"typing": true}))?;
                Ok(Answer::none())
            }
            "bytes" => {
                let bytes = payload.bytes()?.clone();
                topic.push_bytes("bytes", bytes.clone()).await?;
                Ok(Answer::bytes("ok", bytes))
            }
            "panic" => panic!("a room without a floor"),
            "end" => Ok(Answer::none().stop()),
            _ => Err(topic.unknown(event)),
        }
    }

    async fn handle_out(&mut self, event: &str, _: TopicPayload, topic: &Topic) -> Result {
        topic.push(event, &json!({"for": self.user})).await
    }

    async fn fetch(presents: &mut [Present], topic: &Topic) -> Result {
        let names = topic.state::<Names>()?;
        for present in presents {
            let name = names.of(present.key());
            present.set("name", &name)?;
        }
        Ok(())
    }

    async fn terminate(&mut self, terminated: Terminated, topic: &Topic) -> Result {
        let left = (&self.user, terminated.reason == TerminateReason::Left);
        topic.layer().send("rooms.left", &left).await
    }
}

/// Where what was said is kept.
#[derive(Serialize, Deserialize)]
struct Hall;

impl TopicConsumer for Hall {
    type Socket = UserSocket;
    const PRESENCE: Watch = Watch::State;
    const HISTORY: Option<History> = Some(History {
        size: 2,
        ttl: Duration::from_mins(1),
    });

    async fn join(_: TopicPayload, _: &UserSocket, _: &Topic) -> Result<Joined<Self>> {
        Ok(Joined::ok(Self))
    }

    async fn handle_in(
        &mut self,
        event: &str,
        payload: TopicPayload,
        topic: &Topic,
    ) -> Result<Answer> {
        topic.broadcast(event, &payload.json::<Value>()?).await?;
        Ok(Answer::none())
    }
}

fn app() -> App {
    let room = topics::<UserSocket>()
        .topic::<Room>("room:*")
        .topic::<Hall>("hall:*");
    App::new()
        .state(Names)
        .socket("/socket", room)
        .route("/plain/{room}", Hall::websocket("hall:{room}"))
}

async fn connect(app: &TestApp, user: &str) -> TopicTest {
    let asks = app.socket("/socket").named(user).query("user", user);
    asks.await.connected()
}

async fn join(client: &TopicTest) -> JoinedTopic {
    client.join("room:lobby", &json!({})).await
}

on_both! {
    a_client_joins_asks_and_is_told
    who_intercepts_and_who_is_left_out
    who_is_here
    what_was_missed
    how_it_ends
}

async fn a_client_joins_asks_and_is_told(backend: Backend) {
    let app = backend(app()).await;
    let denied = app.socket("/socket").await.denied();
    assert_eq!((denied.status, denied.text()), (403, "who?"));
    let ada = connect(&app, "ada").await;
    let refusal = ada.join_refused("room:private", &json!({})).await;
    assert_eq!(refusal, json!({"reason": "unauthorized"}));
    let nowhere = ada.join_refused("nowhere", &json!({})).await;
    assert_eq!(nowhere["reason"], "unmatched topic");

    let lobby = join(&ada).await;
    assert_eq!(lobby.response()["you"], "ada");
    let sent = lobby.push("new_msg", &json!({"body": "hi", "n": 1})).await;
    lobby.assert_reply(&sent, "ok", json!({"said": true})).await;
    let said = lobby
        .assert_broadcast("new_msg", json!({"body": "hi"}))
        .await;
    assert_eq!(said["n"], 1);
    let wrong = lobby.push("dance", &json!({})).await;
    lobby.refute_reply(&wrong, "ok", |_: &Value| true).await;
    lobby
        .assert_reply(&wrong, "error", |it: &Value| {
            it["reason"] == "there is no event \"dance\""
        })
        .await;
    let bytes = lobby.push_bytes("bytes", "\0\u{1}").await;
    assert_eq!(&lobby.assert_push_bytes("bytes").await[..], b"\0\x01");
    let answer = lobby.assert_reply_bytes(&bytes, "ok").await;
    assert_eq!(&answer[..], b"\0\x01");
}

async fn who_intercepts_and_who_is_left_out(backend: Backend) {
    let app = backend(app()).await;
    let (ada, ben) = (connect(&app, "ada").await, connect(&app, "ben").await);
    let (ada, ben) = (join(&ada).await, join(&ben).await);
    let all = json!({"body": "all"});
    app.topics()
        .broadcast("room:lobby", "secret", &all)
        .await
        .unwrap();
    ada.assert_push("secret", json!({"for": "ada"})).await;
    ben.assert_push("secret", json!({"for": "ben"})).await;
    ada.broadcast_from("news", &all).await;
    ben.assert_broadcast("news", &all).await;
    ada.refute_broadcast("news", json!({})).await;
    ada.refute_push("secret", json!({})).await;
}

async fn who_is_here(backend: Backend) {
    let app = backend(app()).await;
    let ada = join(&connect(&app, "ada").await).await;
    ada.assert_push("presence_state", json!({})).await;
    let ben_client = connect(&app, "ben").await;
    let ben = join(&ben_client).await;
    let joins = json!({"joins": {"ben": {"metas": [{"name": "BEN", "typing": false}]}}});
    ada.assert_push("presence_diff", joins).await;
    ben.push("typing", &json!({})).await;
    let update = ada
        .assert_push("presence_diff", |diff: &Value| {
            diff["joins"]["ben"]["metas"][0]["typing"] == true
        })
        .await;
    let (new, old) = (&update["joins"]["ben"], &update["leaves"]["ben"]);
    assert_eq!(new["metas"][0]["phx_ref_prev"], old["metas"][0]["phx_ref"]);
    let present = app.presences("room:lobby").await;
    let keys: Vec<_> = present.list().map(|(key, _)| key).collect();
    assert_eq!(keys, ["ada", "ben"]);
    let meta: Value = present.get_by_key("ben")[0].json().unwrap();
    assert_eq!(meta, json!({"name": "BEN", "typing": true}));
    ben_client.close(1000).await;
    let leaves = json!({"leaves": {"ben": {}}, "joins": {}});
    ada.assert_push("presence_diff", leaves).await;
    assert_eq!(app.presences("room:lobby").await.count(), 1);
}

async fn what_was_missed(backend: Backend) {
    let app = backend(app()).await;
    let ada = connect(&app, "ada").await;
    let ada = ada.join("hall:lobby", &json!({})).await;
    let ben_client = connect(&app, "ben").await;
    let ben = ben_client.join("hall:lobby", &json!({})).await;
    ada.push("new_msg", &json!({"n": 1})).await;
    let seen = ben.assert_broadcast("new_msg", json!({"n": 1})).await;
    ben_client.close(1000).await;
    let say = async |n| {
        let payload = json!({"n": n});
        app.topics()
            .broadcast("hall:lobby", "new_msg", &payload)
            .await
            .unwrap();
    };
    say(2).await;
    say(3).await;
    let again = connect(&app, "ben").await;
    let seen = json!({"last_seen_id": seen["last_seen_id"]});
    let ben = again.join("hall:lobby", &seen).await;
    assert_eq!(ben.response()["resync"], false);
    for n in [2, 3] {
        let next = ben.assert_push("new_msg", json!({})).await;
        assert_eq!(next["n"], n);
    }
    ben.refute_push("new_msg", json!({})).await;
    say(4).await;
    ben.assert_push("new_msg", json!({"n": 4})).await;
    let late = connect(&app, "eve").await;
    let late = late.join("hall:lobby", &seen).await;
    assert_eq!(
        late.response()["resync"],
        true,
        "more is missing than is kept"
    );

    // The same without Phoenix: the node tells where it stands, then the rest.
    let last = late.assert_push("new_msg", json!({"n": 4})).await;
    let last = last["last_seen_id"].as_str().unwrap();
    say(5).await;
    let plain = app.websocket("/plain/lobby").query("user", "bob");
    let mut plain = plain.query("last_seen_id", last).await.accepted();
    let joined: Value = plain.recv_json().await;
    assert_eq!(joined["payload"]["response"]["resync"], false, "{joined}");
    let mut missed: Value = plain.recv_json().await;
    while missed["event"] != "new_msg" {
        missed = plain.recv_json().await;
    }
    assert_eq!(missed["payload"]["n"], 5);
}

async fn how_it_ends(backend: Backend) {
    let app = backend(app()).await;
    let client = connect(&app, "ada").await;
    let lobby = join(&client).await;
    lobby.push("panic", &json!({})).await;
    lobby.assert_crashed().await;
    let ended = app.recv::<(String, bool)>("rooms.left").await;
    assert_eq!(ended, ("ada".into(), false), "it is told of its end");
    let lobby = join(&client).await;
    let left = lobby.leave().await;
    lobby.assert_reply(&left, "ok", json!({})).await;
    lobby.assert_closed().await;
    assert_eq!(
        app.recv::<(String, bool)>("rooms.left").await,
        ("ada".into(), true)
    );
    let lobby = join(&client).await;
    lobby.push("end", &json!({})).await;
    lobby.assert_closed().await;
    app.topics().disconnect("users:ada").await.unwrap();
    assert_eq!(client.assert_disconnected().await.0, 1001);
}

#[tokio::test]
async fn a_client_stays_through_an_hour() {
    let app = TestApp::memory(app()).await;
    let ada = join(&connect(&app, "ada").await).await;
    app.advance(Duration::from_hours(1)).await;
    let sent = ada.push("new_msg", &json!({})).await;
    ada.assert_reply(&sent, "ok", json!({})).await;
}

#[tokio::test]
async fn a_failure_says_what_was_expected_and_what_came() {
    let app = TestApp::memory(app()).await;
    let client = connect(&app, "ada").await;
    let lobby = join(&client).await;
    let failed = async {
        let sent = lobby.push("new_msg", &json!({"body": "hi"})).await;
        lobby
            .assert_reply(&sent, "ok", json!({"said": false}))
            .await;
    };
    let failed = std::panic::AssertUnwindSafe(failed).catch_unwind().await;
    let text = message(failed);
    for part in [
        "ada: expected an answer ok {\"said\":false}",
        "room:lobby phx_reply ok {\"said\":true}",
        "topics.rs",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}
