//! What a topic's consumer hears without a socket with topics: what it
//! intercepts, and what it has subscribed to.

use serde::{Deserialize, Serialize};
use serde_json::json;
use towpath_layer_core::{Application, Broadcast, Content, EventKind, Frame, Push};
use towpath_worker::{Joined, Result, Router, Topic, TopicConsumer, TopicPayload, demultiplexer};

use crate::streams::frame;
use crate::topics::UserSocket;
use crate::topics_alone::{Play, Room, v1};

#[derive(Serialize, Deserialize)]
struct Curious;

impl TopicConsumer for Curious {
    type Socket = UserSocket;
    const INTERCEPT: &'static [&'static str] = &["secret"];

    async fn join(_: TopicPayload, _: &UserSocket, _: &Topic) -> Result<Joined<Self>> {
        Ok(Joined::ok(Self))
    }

    async fn handle_out(&mut self, event: &str, payload: TopicPayload, topic: &Topic) -> Result {
        topic.push_payload(&format!("{event}_seen"), payload).await
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_intercepted_goes_by_the_consumer_of_its_socket_or_stream() {
    let streams = demultiplexer()
        .stream("other", Room::websocket("room:2"))
        .stream("feed", Curious::websocket("room:1"));
    let router = Router::new()
        .route("/rooms/{room}", Curious::websocket("room:{room}"))
        .route("/streams", streams);
    let play = Play::of(router).await;
    let seen = v1("secret_seen", "null", r#"{"n":1}"#);
    for (path, stream, meta, expected) in [
        ("/rooms/1", None, "\0secret", seen.clone()),
        (
            "/streams",
            Some("feed"),
            "feed\0secret",
            frame("feed", &seen),
        ),
    ] {
        let (mut peer, turn) = play.connect_to(path, "user=ada&door=front").await;
        turn.done();
        assert_eq!(play.meta(&peer.channel, "room:1").await.unwrap(), meta);
        let push = Push {
            event: "secret".into(),
            payload: Frame::Text(r#"{"n":1}"#.into()),
            reference: None,
            stream: stream.map(Into::into),
        };
        let turn = peer.event(EventKind::Out(Box::new(push))).await.done();
        assert_eq!(turn.texts(), [expected]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_plain_socket_or_stream_hears_of_other_topics() {
    let streams = demultiplexer()
        .stream("other", Room::websocket("room:2"))
        .stream("mine", Room::websocket("room:1"));
    let router = Router::new()
        .route("/rooms/{room}", Room::websocket("room:{room}"))
        .route("/streams", streams);
    let play = Play::of(router).await;
    let news = Content::encode(&Broadcast {
        topic: "news".into(),
        event: "headline".into(),
        payload: Frame::Text(r#"{"n":1}"#.into()),
        except: None,
    });
    let news = news.unwrap();
    for (path, stream) in [("/rooms/1", None), ("/streams", Some("mine"))] {
        let framed = |text: String| stream.map_or(text.clone(), |stream| frame(stream, &text));
        let sent = |event: &str| framed(format!(r#"{{"event":"{event}"}}"#));
        let (mut peer, turn) = play.connect_to(path, "user=ada&door=front").await;
        turn.done();
        peer.text(&sent("subscribe")).await.done();
        let (own, number) = (stream.unwrap_or_default(), stream.map_or(1, |_| 2));
        let listener = peer.channel.listener(number);
        assert_eq!(play.meta(&listener, "news").await.unwrap(), own);
        assert_eq!(play.meta(&peer.channel, "news").await, None);
        let heard = Application {
            stream: stream.map(Into::into),
            ..Application::new(Broadcast::HEARD, news.clone())
        };
        let heard = EventKind::Application(Box::new(heard));
        // One that the type does not take is warned about.
        let unknown = Application {
            stream: stream.map(Into::into),
            ..Application::new("unknown", Content::default())
        };
        let unknown = EventKind::Application(Box::new(unknown));
        assert!(peer.event(unknown).await.done().texts().is_empty());
        let turn = peer.event(heard.clone()).await.done();
        let told = json!({ "n": 2, "topic": "news", "event": "headline" });
        let told = v1("heard", "null", &told.to_string());
        let payload = v1("payload", "null", r#"{"n":1}"#);
        assert_eq!(turn.texts(), [framed(told), framed(payload)]);
        peer.text(&sent("unsubscribe")).await.done();
        assert_eq!(play.meta(&listener, "news").await, None);
        peer.text(&sent("subscribe")).await.done();
        peer.text(&sent("phx_leave")).await.done();
        assert_eq!(play.meta(&listener, "news").await, None);
        assert!(
            peer.event(heard).await.done().texts().is_empty(),
            "it has left"
        );
    }
}
