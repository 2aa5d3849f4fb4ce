//! Sends.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http_body_util::Full;
use rmpv::Value as Packed;
use serde_json::{Value, json};
use towpath_interface_server::ApiLimits;
use towpath_layer_core::{ChannelLayer, GlobTable, Limits, Message, Received};

use super::outsider::{Outside, channel, content};
use crate::rig::{Rig, config, within};

async fn next(outside: &Outside, name: &str) -> Received {
    let mut receiver = outside.layer.receiver(vec![channel(name)]).unwrap();
    let mut taken = Vec::new();
    within(receiver.receive_many(&mut taken, 1)).await.unwrap();
    taken.remove(0)
}

#[tokio::test]
async fn content_arrives_as_a_consumer_decodes_it() {
    let outside = Outside::start().await;
    for value in [
        json!({"group": "chat.lock", "count": 3, "parts": [0.5, null, true, "é"]}),
        json!("text"),
        json!(null),
        json!(-7),
    ] {
        let sent = outside
            .done(
                "/v1/send",
                &json!({"channel": "jobs.run", "content": value}),
            )
            .await;
        assert_eq!(sent, json!({}));
        let received = next(&outside, "jobs.run").await;
        assert_eq!(received.message, Message::Custom(content(&value)));
    }
    outside.end().await;
}

#[tokio::test]
async fn message_pack_is_read_and_written() {
    let outside = Outside::start().await;
    let value = Packed::Map(vec![
        ("raw".into(), Packed::Binary(vec![0, 255])),
        ("count".into(), 7.into()),
    ]);
    let send = Packed::Map(vec![
        ("channel".into(), "jobs.run".into()),
        ("content".into(), value.clone()),
    ]);
    let receive = Packed::Map(vec![(
        "channels".into(),
        Packed::Array(vec!["jobs.run".into()]),
    )]);
    let mut answers = Vec::new();
    for (path, body) in [("/v1/send", send), ("/v1/receive", receive)] {
        let request = outside
            .request(&Method::POST, path)
            .header("content-type", "application/msgpack")
            .header("accept", "application/msgpack")
            .body(Full::new(Bytes::from(rmp_serde::to_vec(&body).unwrap())));
        let answer = outside.send(request.unwrap()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("content-type"), "application/msgpack");
        let mut read = &answer.body[..];
        answers.push(rmpv::decode::read_value(&mut read).unwrap());
    }
    assert_eq!(answers[0], Packed::Map(Vec::new()));
    let message = &answers[1]["messages"][0];
    assert_eq!(message["content"], value);
    outside.end().await;
}

#[tokio::test]
async fn a_connection_is_told_frames_and_closed() {
    let rig = Rig::start(config()).await;
    let outside = Outside::on(rig.layer.another_node(), ApiLimits::default()).await;
    let mut worker = rig.worker();
    let (client, event) = tokio::join!(rig.connect("/chat"), worker.welcome());
    let mut client = client;
    let to = event.reply_channel.to_string();
    for (part, value, text) in [
        ("text", json!("plain"), "plain"),
        ("json", json!({"a": 1}), "{\"a\":1}"),
    ] {
        outside
            .done("/v1/send", &json!({"channel": to, part: value}))
            .await;
        assert_eq!(client.text().await, text);
    }
    outside
        .done("/v1/send", &json!({"channel": to, "bytes": "AP8="}))
        .await;
    let frame = client.next().await.unwrap().unwrap();
    assert_eq!(frame.into_data(), vec![0, 255]);
    let event = json!({"name": "chat.message", "content": {"text": "hi"}});
    outside
        .done("/v1/send", &json!({"channel": to, "event": event}))
        .await;
    let event = worker.next().await;
    worker.done(&event).await;
    let close = json!({"code": 4000, "reason": "enough"});
    outside
        .done("/v1/send", &json!({"channel": to, "close": close}))
        .await;
    assert_eq!(client.closed().await, 4000);
    outside.end().await;
    rig.end().await;
}

#[tokio::test]
async fn a_delayed_message_comes_later_or_is_cancelled() {
    let outside = Outside::start().await;
    let later = |delay: Value| json!({"channel": "jobs.run", "content": delay, "delay": delay});
    let key = outside.done("/v1/send", &later(json!("1h"))).await["key"].clone();
    let soon = outside.done("/v1/send", &later(json!(0.05))).await;
    assert!(soon["key"].is_string(), "{soon}");
    let received = next(&outside, "jobs.run").await;
    assert_eq!(received.message, Message::Custom(content(&json!(0.05))));
    for still in [true, false] {
        let cancelled = outside.done("/v1/cancel", &json!({ "key": key })).await;
        assert_eq!(cancelled, json!({ "cancelled": still }));
    }
    let problem = outside
        .refused("/v1/cancel", &json!({"key": "jobs.run"}))
        .await;
    assert_eq!(problem["key"], "key", "{problem}");
    assert_eq!(problem["value"], "\"jobs.run\"", "{problem}");
    let problem = outside.refused("/v1/send", &later(json!("90days"))).await;
    assert_eq!(
        (&problem["key"], &problem["status"]),
        (&json!("delay"), &json!(422))
    );
    outside.end().await;
}

#[tokio::test]
async fn what_the_layer_does_not_take_is_a_problem_that_says_so() {
    let limits = Limits {
        capacity: GlobTable::new(1),
        message_size_max: 1000,
        delay_max: Duration::from_secs(1),
        ..Limits::default()
    };
    let outside = Outside::start_with(limits, ApiLimits::default()).await;
    let one = json!({"channel": "jobs.run", "content": 1});
    outside.done("/v1/send", &one).await;
    let full = outside.post("/v1/send", &one).await;
    assert_eq!(full.status, 429);
    assert_eq!(full.header("retry-after"), "1");
    assert_eq!(full.json()["type"], "urn:towpath:problem:channel-full");
    assert_eq!(full.json()["value"], "jobs.run");
    assert_eq!(full.json()["effect"], "none");
    let large = json!({"channel": "jobs.other", "content": "x".repeat(1000)});
    let large = outside.refused("/v1/send", &large).await;
    assert_eq!(large["status"], 413, "{large}");
    assert_eq!(large["expected"], "at most 1000 bytes, as MessagePack");
    outside.end().await;
}
