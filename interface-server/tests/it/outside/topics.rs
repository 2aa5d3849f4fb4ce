//! Topics from outside: broadcasts, the end of a socket by its id, and a topic
//! whose consumer is in any language.

use std::time::Duration;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message as WsMessage;
use towpath_interface_server::ApiLimits;
use towpath_layer_core::{ChannelLayer as _, GroupName, Limits, channels};

use super::lines::Lines;
use super::outsider::Outside;
use crate::client::Client;
use crate::rig::{Rig, config};

const PATH: &str = "/socket/websocket?vsn=2.0.0";
const REPLY: &str = "reply.00000000000000000000000000000001!0000000000000001";

/// A server, and a worker without Rust.
struct Stage {
    rig: Rig,
    outside: Outside,
}

impl Stage {
    async fn start() -> Self {
        let rig = Rig::start(config()).await;
        let outside = Outside::on(rig.layer.another_node(), ApiLimits::default()).await;
        Self { rig, outside }
    }

    async fn event(&self, name: &str) -> Value {
        let body = json!({"channels": [name]});
        let answer = self.outside.done("/v1/receive", &body).await;
        answer["messages"][0]["event"].clone()
    }

    /// Completes an event, with more to do.
    async fn complete(&self, event: &Value, more: Value) {
        let mut body = more;
        body["channel"] = event["reply_channel"].clone();
        if body["completion"].is_null() {
            body["completion"] = json!({"attempt": event["attempt"], "outcome": {"done": {}}});
        }
        self.outside.done("/v1/send", &body).await;
    }

    /// A client whose socket has an id.
    async fn connect(&self, id: &str) -> Client {
        let accepting = async {
            let connect = self.event(channels::CONNECT).await;
            let add = json!({"topic": id, "channel": connect["reply_channel"]});
            self.outside.done("/v1/add", &add).await;
            let completion = json!({"attempt": connect["attempt"],
                "outcome": {"done": {"session": "YWRh"}},
                "groups": [{"add": {"topic": id}}]});
            self.complete(&connect, json!({"accept": {}, "completion": completion}))
                .await;
        };
        tokio::join!(self.rig.connect(PATH), accepting).0
    }

    /// Lets a client join a topic by the refs 1; the topic's reply channel.
    async fn join(&self, client: &mut Client, topic: &str) -> Value {
        let join = format!(r#"["1","1","{topic}","phx_join",{{"a":1}}]"#);
        client.send(&join).await;
        let join = self.event(channels::CONNECT).await;
        assert_eq!(
            (&join["kind"], &join["topic"], &join["text"]),
            (&json!("join"), &json!(topic), &json!(r#"{"a":1}"#))
        );
        assert_eq!(join["socket"], "YWRh");
        let channel = &join["reply_channel"];
        let add = json!({"topic": topic, "channel": channel});
        let completion = json!({"attempt": join["attempt"], "outcome": {"done": {}},
            "groups": [{"add": {"topic": topic}}]});
        let joined = json!([{"joined": {"response": {"id": 7}}}]);
        let send = json!({"channel": channel, "topic": joined, "completion": completion});
        let both = json!({"operations": [{ "add": add }, { "send": send }]});
        let results = self.outside.done("/v1/batch", &both).await;
        assert_eq!(results, json!({"results": [{"done": {}}, {"done": {}}]}));
        let ok =
            format!(r#"["1","1","{topic}","phx_reply",{{"status":"ok","response":{{"id":7}}}}]"#);
        assert_eq!(client.text().await, ok);
        channel.clone()
    }

    async fn broadcast(&self, body: &Value) {
        let delivery = self.outside.done("/v1/topic-broadcast", body).await;
        let expected = json!({"nodes": 1, "delivered": 1, "dropped": 0, "certain": true});
        assert_eq!(delivery, expected);
    }

    async fn end(self) {
        self.outside.end().await;
        self.rig.end().await;
    }
}

#[tokio::test]
async fn a_broadcast_reaches_those_who_joined_and_not_the_one_left_out() {
    let stage = Stage::start().await;
    let (mut ada, mut bob) = (stage.connect("user:1").await, stage.connect("user:2").await);
    stage.join(&mut ada, "room:é").await;
    let bobs = stage.join(&mut bob, "room:é").await;
    let news = json!({"topic": "room:é", "event": "news", "payload": {"b": [1], "a": "é"}});
    let mut private = news.clone();
    private["event"] = json!("private");
    private["except"] = bobs;
    stage.broadcast(&private).await;
    stage.broadcast(&news).await;
    let told = |event: &str| format!(r#"[null,null,"room:é","{event}",{{"a":"é","b":[1]}}]"#);
    assert_eq!(ada.text().await, told("private"));
    assert_eq!(ada.text().await, told("news"));
    assert_eq!(bob.text().await, told("news"));
    let bytes = json!({"topic": "room:é", "event": "raw", "bytes": "AP8="});
    stage.broadcast(&bytes).await;
    let frame = ada.next().await.unwrap().unwrap().into_data();
    assert_eq!(
        frame,
        [&[2, 7, 3][..], "room:éraw".as_bytes(), &[0, 255]].concat()
    );
    stage.end().await;
}

#[tokio::test]
async fn a_broadcast_is_kept_where_the_routes_say_so() {
    let outside = Outside::start().await;
    for topic in ["kept:1", "room:1"] {
        let news = json!({"topic": topic, "event": "news", "payload": {"n": 1}});
        outside.done("/v1/topic-broadcast", &news).await;
        let group = GroupName::topic(topic);
        let recalled = outside.layer.group_history(&group, None, 10).await.unwrap();
        let expected = usize::from(topic == "kept:1");
        assert_eq!(recalled.messages.len(), expected, "{topic}");
    }
    outside.end().await;
}

#[tokio::test]
async fn a_subscription_brings_what_is_broadcast_line_by_line_until_the_server_stops() {
    let outside = Outside::start().await;
    let mut lines = Lines::of(&outside, "/v1/topics/room%3A%C3%A9%2F1/broadcasts").await;
    let topic = "room:é/1";
    for other in ["room:2", topic] {
        let news = json!({"topic": other, "event": "news", "payload": {"a": "x\ny"}});
        outside.done("/v1/topic-broadcast", &news).await;
    }
    let news = json!({"topic": topic, "event": "news", "payload": {"a": "x\ny"}});
    assert_eq!(lines.next().await, Some(news));
    let raw = json!({"topic": topic, "event": "raw", "bytes": "AP8="});
    outside.done("/v1/topic-broadcast", &raw).await;
    assert_eq!(lines.next().await, Some(raw));
    outside.stop.cancel();
    assert_eq!(lines.next().await, None);
    outside.end().await;
}

#[tokio::test]
async fn a_subscription_outlives_the_time_of_a_request_by_empty_lines() {
    let limits = ApiLimits {
        request_timeout: Duration::from_millis(300),
        ..ApiLimits::default()
    };
    let outside = Outside::start_with(Limits::default(), limits).await;
    let mut lines = Lines::of(&outside, "/v1/topics/room/broadcasts").await;
    for _ in 0..4 {
        assert_eq!(lines.line().await.as_deref(), Some(""));
    }
    let refused = outside.get("/v1/topics/phoenix/broadcasts").await;
    assert_eq!(refused.status, 422);
    outside.end().await;
}

#[tokio::test]
async fn a_socket_is_ended_by_its_id_and_others_are_not() {
    let stage = Stage::start().await;
    let (mut ada, mut bob) = (stage.connect("user:1").await, stage.connect("user:2").await);
    stage.join(&mut ada, "room:1").await;
    stage.join(&mut bob, "room:1").await;
    let end = json!({"operations": [{"topic_disconnect": {"socket": "user:1"}},
        {"topic_broadcast": {"topic": "room:1", "event": "left", "payload": {}}}]});
    let results = stage.outside.done("/v1/batch", &end).await;
    assert_eq!(results["results"][0]["done"]["delivered"], 1, "{results}");
    assert_eq!(ada.closed().await, 1001);
    assert_eq!(bob.text().await, r#"[null,null,"room:1","left",{}]"#);
    stage.end().await;
}

#[tokio::test]
async fn an_outside_worker_serves_a_topic_from_join_to_leave() {
    let stage = Stage::start().await;
    let mut client = stage.connect("user:1").await;
    let channel = stage.join(&mut client, "watched:1").await;
    client.send(r#"["1",2,"watched:1","ask",{"n":1}]"#).await;
    let asked = stage.event(channels::RECEIVE).await;
    assert_eq!(
        (&asked["kind"], &asked["name"], &asked["text"]),
        (&json!("in"), &json!("ask"), &json!(r#"{"n":1}"#))
    );
    assert_eq!(
        (&asked["reference"], &asked["reply_channel"]),
        (&json!(2), &channel)
    );
    let said = json!([
        {"push": {"event": "tick", "payload": {"at": 1}}},
        {"answer": {"reference": asked["reference"], "status": "ok", "response": null}},
    ]);
    stage.complete(&asked, json!({ "topic": said })).await;
    assert_eq!(
        client.text().await,
        r#"["1",null,"watched:1","tick",{"at":1}]"#
    );
    let answer = r#"["1",2,"watched:1","phx_reply",{"status":"ok","response":null}]"#;
    assert_eq!(client.text().await, answer);

    // The mount lets the topic's consumer see this event first.
    let secret = json!({"topic": "watched:1", "event": "secret", "payload": {"n": 2}});
    stage.broadcast(&secret).await;
    let out = stage.event(channels::RECEIVE).await;
    assert_eq!(
        (&out["kind"], &out["name"]),
        (&json!("out"), &json!("secret"))
    );
    let raw = json!([{"push": {"event": "raw", "bytes": "AP8="}}, "stop"]);
    stage.complete(&out, json!({ "topic": raw })).await;
    let frame = client.next().await.unwrap().unwrap();
    assert_eq!(
        frame,
        WsMessage::binary(&b"\x00\x01\x09\x031watched:1raw\x00\xff"[..])
    );
    let end = stage.event(channels::DISCONNECT).await;
    assert_eq!(
        (&end["topic"], &end["reason"]),
        (&json!("watched:1"), &json!("stopped"))
    );
    stage.complete(&end, json!({})).await;
    let close = r#"["1","1","watched:1","phx_close",{}]"#;
    assert_eq!(client.text().await, close);
    client.close().await;
    stage.end().await;
}

#[tokio::test]
async fn an_outside_worker_refuses_a_join() {
    let stage = Stage::start().await;
    let mut client = stage.connect("user:1").await;
    client.send(r#"["1","1","room:1","phx_join",{}]"#).await;
    let join = stage.event(channels::CONNECT).await;
    let refused = json!([{"refused": {"response": {"reason": "full"}}}]);
    stage.complete(&join, json!({ "topic": refused })).await;
    let told = r#"["1","1","room:1","phx_reply",{"status":"error","response":{"reason":"full"}}]"#;
    assert_eq!(client.text().await, told);
    stage.end().await;
}

#[tokio::test]
async fn names_of_the_protocol_and_payloads_that_do_not_fit_are_refused() {
    let outside = Outside::start().await;
    let good = json!({"topic": "room:1", "event": "news", "payload": {}});
    let changed = |key: &str, value: Value| {
        let mut body = good.clone();
        body[key] = value;
        body
    };
    for (path, body, key) in [
        (
            "/v1/topic-broadcast",
            changed("topic", json!("phoenix")),
            "topic",
        ),
        (
            "/v1/topic-broadcast",
            changed("event", json!("phx_join")),
            "event",
        ),
        (
            "/v1/topic-broadcast",
            changed("payload", json!([1])),
            "payload",
        ),
        (
            "/v1/topic-broadcast",
            changed("payload", json!(null)),
            "payload",
        ),
        (
            "/v1/topic-broadcast",
            changed("bytes", json!("AA==")),
            "payload",
        ),
        (
            "/v1/topic-broadcast",
            changed("except", json!("jobs")),
            "except",
        ),
        (
            "/v1/topic-broadcast",
            json!({"topic": "a", "event": "b"}),
            "payload",
        ),
        (
            "/v1/topic-disconnect",
            json!({"socket": "phoenix"}),
            "socket",
        ),
        ("/v1/add", json!({"channel": REPLY}), "group"),
        (
            "/v1/add",
            json!({"channel": REPLY, "group": "a", "topic": "b"}),
            "group",
        ),
        (
            "/v1/discard",
            json!({"channel": REPLY, "topic": "phoenix"}),
            "topic",
        ),
    ] {
        let problem = outside.refused(path, &body).await;
        let found = (&problem["status"], &problem["key"]);
        assert_eq!(found, (&json!(422), &json!(key)), "{problem}");
    }
    outside.end().await;
}

#[tokio::test]
async fn a_part_of_a_topics_reply_that_does_not_fit_is_named() {
    let outside = Outside::start().await;
    let completion = |groups: Value| json!({"attempt": 1, "outcome": "lost", "groups": groups});
    for (part, value, key) in [
        (
            "topic",
            json!(["stop", {"push": {"event": "phx_reply", "payload": {}}}]),
            "topic[1].push.event",
        ),
        (
            "topic",
            json!([{"push": {"event": "a"}}]),
            "topic[0].push.payload",
        ),
        (
            "topic",
            json!([{"joined": {"response": 1, "bytes": ""}}]),
            "topic[0].joined.response",
        ),
        (
            "topic",
            json!([{"answer": {"reference": [1], "status": "ok"}}]),
            "topic[0].answer.reference",
        ),
        ("topic", json!(vec!["stop"; 1001]), "topic"),
        (
            "completion",
            completion(json!([{"add": {}}])),
            "completion.groups[0].add.group",
        ),
    ] {
        let mut body = json!({"channel": REPLY});
        body[part] = value;
        let problem = outside.refused("/v1/send", &body).await;
        assert_eq!(
            (&problem["status"], &problem["key"]),
            (&json!(422), &json!(key)),
            "{problem}"
        );
    }
    outside.end().await;
}
