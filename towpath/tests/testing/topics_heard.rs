//! Topics beyond their clients: what is broadcast to whomever, sockets that begin
//! as a test says, and plain WebSockets in the same topics.

use futures_util::FutureExt;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use towpath::prelude::*;

use crate::failures::message;
use crate::world::Backend;

#[derive(Serialize, Deserialize)]
struct Person {
    name: String,
}

impl TopicSocket for Person {
    async fn connect(params: SocketParams, _: &ConnectInfo) -> Result<Self> {
        match params.get("name") {
            Some(name) => Ok(Self {
                name: name.to_owned(),
            }),
            None => Err(Error::deny(403, "who?")),
        }
    }

    fn id(&self) -> Option<String> {
        Some(format!("people:{}", self.name))
    }
}

#[derive(Serialize, Deserialize)]
struct Room {
    name: String,
}

impl TopicConsumer for Room {
    type Socket = Person;

    async fn join(_: TopicPayload, socket: &Person, topic: &Topic) -> Result<Joined<Self>> {
        let name = socket.name.clone();
        let seats = topic.assigned::<usize>();
        Ok(Joined::ok(Self { name }).with(&json!({"you": socket.name, "seats": seats})))
    }

    async fn handle_in(&mut self, event: &str, _: TopicPayload, topic: &Topic) -> Result<Answer> {
        let by = json!({"by": self.name});
        match event {
            "others" => topic.broadcast_from("told", &by).await?,
            "secret" => topic.broadcast("secret", &by).await?,
            "bytes" => topic.broadcast_bytes_from("raw", "\u{1}").await?,
            "all bytes" => topic.broadcast_bytes("raw", "\u{2}").await?,
            "elsewhere" => {
                topic.topics().broadcast("news:all", "item", &by).await?;
            }
            _ => return Err(topic.unknown(event)),
        }
        Ok(Answer::done())
    }

    async fn terminate(&mut self, terminated: Terminated, topic: &Topic) -> Result {
        let ended = (&self.name, format!("{:?}", terminated.reason));
        topic.layer().send("rooms.left", &ended).await
    }
}

/// Keeps its client from secrets.
#[derive(Serialize, Deserialize)]
struct Deaf;

impl TopicConsumer for Deaf {
    type Socket = Person;
    const INTERCEPT: &'static [&'static str] = &["secret"];

    async fn join(_: TopicPayload, _: &Person, _: &Topic) -> Result<Joined<Self>> {
        Ok(Joined::ok(Self))
    }

    async fn handle_out(&mut self, _: &str, _: TopicPayload, _: &Topic) -> Result {
        Ok(())
    }
}

fn app() -> App {
    let usual = topics::<Person>()
        .topic_with::<Room>("room:*", 4_usize)
        .topic::<Deaf>("deaf:*");
    let strict = topics::<Person>()
        .topic::<Room>("room:*")
        .versions([Vsn::V2])
        .message_size_max(100);
    App::new()
        .socket("/socket", usual)
        .socket("/strict", strict)
        .route("/rooms/{room}", Room::websocket("room:{room}"))
}

on_both! {
    what_is_broadcast_is_heard_whomever_it_is_for
    bytes_are_messages_too
    a_socket_begins_as_the_test_says
    a_plain_socket_in_a_topic_is_ended_by_its_id_and_says_why
    each_mount_has_its_own_versions_and_sizes
}

async fn what_is_broadcast_is_heard_whomever_it_is_for(backend: Backend) {
    let app = backend(app()).await;
    let (lobby, news) = (
        app.subscribe("room:lobby").await,
        app.subscribe("news:all").await,
    );
    let deaf = app.subscribe("deaf:1").await;
    let client = app.socket("/socket").query("name", "ada").await.connected();
    let ada = client.join("room:lobby", &json!({})).await;
    for event in ["others", "elsewhere"] {
        let sent = ada.push(event, &json!({})).await;
        ada.assert_reply(&sent, "ok", json!({})).await;
    }
    lobby.assert_broadcast("told", json!({"by": "ada"})).await;
    ada.refute_broadcast("told", json!({})).await;
    news.assert_broadcast("item", |item: &Value| item["by"] == "ada")
        .await;
    lobby.refute_broadcast("item", json!({})).await;

    let member = client.join("deaf:1", &json!({})).await;
    let said = json!({"word": "xyzzy"});
    app.topics()
        .broadcast("deaf:1", "secret", &said)
        .await
        .unwrap();
    deaf.assert_broadcast("secret", &said).await;
    member.refute_push("secret", json!({})).await;
}

async fn bytes_are_messages_too(backend: Backend) {
    let app = backend(app()).await;
    let lobby = app.subscribe("room:lobby").await;
    let client = app.socket("/socket").query("name", "ada").await.connected();
    let ada = client.join("room:lobby", &json!({})).await;
    ada.push("bytes", &json!({})).await;
    assert_eq!(&lobby.assert_broadcast_bytes("raw").await[..], b"\x01");
    ada.refute_broadcast("raw", json!({})).await;
    ada.push("all bytes", &json!({})).await;
    assert_eq!(&ada.assert_broadcast_bytes("raw").await[..], b"\x02");
    for who in ["client", "listener"] {
        ada.push("all bytes", &json!({})).await;
        let refuted = async {
            match who {
                "client" => ada.refute_push("raw", json!({})).await,
                _ => lobby.refute_broadcast("raw", |_: &Value| true).await,
            }
        };
        let failed = std::panic::AssertUnwindSafe(refuted).catch_unwind().await;
        let text = message(failed);
        assert!(text.contains("raw"), "{who}: {text}");
    }
    // What asks for something does not ask for bytes.
    ada.refute_push("raw", json!({"n": 1})).await;
}

async fn a_socket_begins_as_the_test_says(backend: Backend) {
    let app = backend(app()).await;
    assert_eq!(app.socket("/socket").await.denied().status, 403);
    let eve = Person {
        name: "eve".to_owned(),
    };
    let client = app.socket("/socket").session(&eve).await.connected();
    let lobby = client.join("room:lobby", &json!({})).await;
    assert_eq!(lobby.response(), &json!({"you": "eve", "seats": 4}));
    app.topics().disconnect("people:eve").await.unwrap();
    assert_eq!(client.assert_disconnected().await.0, 1001);
    let ended = app.recv::<(String, String)>("rooms.left").await;
    assert_eq!(ended, ("eve".to_owned(), "Disconnected".to_owned()));
}

async fn a_plain_socket_in_a_topic_is_ended_by_its_id_and_says_why(backend: Backend) {
    let app = backend(app()).await;
    let open = async |name| {
        let asks = app.websocket("/rooms/lobby").query("name", name).await;
        let mut socket = asks.accepted();
        let joined: Value = socket.recv_json().await;
        assert_eq!(joined["payload"]["response"]["you"], name);
        socket
    };
    let (mut eve, mut ada) = (open("eve").await, open("ada").await);
    app.topics().disconnect("people:eve").await.unwrap();
    assert_eq!(eve.recv_closed().await.0, 1001);
    let ended = app.recv::<(String, String)>("rooms.left").await;
    assert_eq!(ended, ("eve".to_owned(), "Disconnected".to_owned()));

    ada.send_json(&json!({"event": "phx_leave", "ref": "1"}))
        .await;
    let answer: Value = ada.recv_json().await;
    assert_eq!(
        (&answer["ref"], &answer["payload"]["status"]),
        (&json!("1"), &json!("ok"))
    );
    let close: Value = ada.recv_json().await;
    assert_eq!(close["event"], "phx_close");
    assert_eq!(ada.recv_closed().await.0, 1000);
    let ended = app.recv::<(String, String)>("rooms.left").await;
    assert_eq!(ended, ("ada".to_owned(), "Left".to_owned()));
}

async fn each_mount_has_its_own_versions_and_sizes(backend: Backend) {
    let app = backend(app()).await;
    let old = |mount: &str| app.websocket(&format!("{mount}/websocket?name=ada"));
    assert_eq!(old("/strict").await.denied().status, 403);
    assert_eq!(old("/socket").await.status(), 101);
    let large = json!({"body": "x".repeat(100)});
    for (mount, fits) in [("/socket", true), ("/strict", false)] {
        let client = app.socket(mount).query("name", "ada").await.connected();
        let lobby = client.join("room:lobby", &json!({})).await;
        let sent = lobby.push("others", &large).await;
        if fits {
            lobby.assert_reply(&sent, "ok", json!({})).await;
        } else {
            assert_eq!(client.assert_disconnected().await.0, 1009);
        }
    }
}
