//! The document says what there is.

use std::collections::BTreeSet;

use bytes::Bytes;
use http::Method;
use http_body_util::Full;
use serde_json::json;
use towpath_interface_server::ApiLimits;

use super::lines::Lines;
use super::outsider::Outside;
use crate::rig::{Rig, config};

/// Every operation once; the outsider holds each request and each answer
/// against the document.
#[tokio::test]
async fn every_operation_is_as_the_document_says() {
    let rig = Rig::start(config()).await;
    let outside = Outside::on(rig.layer.another_node(), ApiLimits::default()).await;
    let mut worker = rig.worker();
    let connecting = rig.connect("/chat?a=1");
    let accepting = async {
        let body = json!({"channels": ["websocket.connect"]});
        let taken = outside.done("/v1/receive", &body).await;
        let event = taken["messages"][0]["event"].clone();
        let done = json!({"channel": event["reply_channel"], "accept": {},
            "completion": {"attempt": event["attempt"], "outcome": {"done": {}}}});
        outside.done("/v1/send", &done).await;
        event["reply_channel"].as_str().unwrap().to_owned()
    };
    let (mut client, member) = tokio::join!(connecting, accepting);

    let add = json!({"group": "room", "channel": member, "meta": {"name": "Ada"}});
    outside.done("/v1/add", &add).await;
    outside.read("/v1/groups?limit=1").await;
    outside.read("/v1/groups/room").await;
    outside.read("/v1/groups/room/members").await;
    outside
        .read(&format!("/v1/groups/room/members/{member}"))
        .await;
    outside.read(&format!("/v1/channels/{member}/groups")).await;
    outside
        .done("/v1/group-send", &json!({"group": "room", "text": "hi"}))
        .await;
    assert_eq!(client.text().await, "hi");
    outside
        .done("/v1/discard", &json!({"group": "room", "channel": member}))
        .await;
    let broadcast = json!({"topic": "room:1", "event": "news", "payload": {}});
    let mut lines = Lines::of(&outside, "/v1/topics/room:1/broadcasts").await;
    outside.done("/v1/topic-broadcast", &broadcast).await;
    outside.check_line("/v1/topics/room:1/broadcasts", &lines.next().await.unwrap());
    drop(lines);
    let disconnect = json!({"socket": "user:1"});
    outside.done("/v1/topic-disconnect", &disconnect).await;
    let later = json!({"channel": "jobs", "content": 1, "delay": "1h"});
    let key = outside.done("/v1/send", &later).await["key"].clone();
    outside.done("/v1/cancel", &json!({ "key": key })).await;
    let operations = json!([
        {"send": {"channel": "jobs", "content": null}},
        {"send": later},
        {"group_send": {"group": "room", "json": [1]}},
        {"topic_broadcast": broadcast},
        {"topic_disconnect": disconnect},
        {"add": add},
        {"discard": {"channel": member}},
        {"cancel": {"key": key}},
        {"send": {"channel": "jobs", "text": "to nobody"}},
    ]);
    outside
        .done("/v1/batch", &json!({ "operations": operations }))
        .await;
    outside.read("/v1/statistics").await;
    outside.read("/v1/channels/jobs/statistics").await;
    outside.done("/v1/flush", &json!(null)).await;
    outside.read("/v1/openapi.json").await;

    let paths = outside.document()["paths"].as_object().unwrap();
    let operations = paths
        .values()
        .flat_map(|path| path.as_object().unwrap().values());
    let known: BTreeSet<String> = operations
        .map(|operation| operation["operationId"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(*outside.served.lock(), known);
    client.close().await;
    worker.farewell().await;
    outside.end().await;
    rig.end().await;
}

#[tokio::test]
async fn the_document_is_served_to_anybody() {
    let outside = Outside::start().await;
    for method in [Method::GET, Method::HEAD] {
        let request = http::Request::builder()
            .method(&method)
            .uri("/v1/openapi.json");
        let answer = outside
            .send(request.body(Full::<Bytes>::default()).unwrap())
            .await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.body.is_empty(), method == Method::HEAD);
    }
    outside.end().await;
}
