//! A worker outside, in any language: it takes events and completes them.

use futures_util::SinkExt;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message as WsMessage;
use towpath_interface_server::ApiLimits;
use towpath_layer_core::{
    Application, ChannelLayer, ChannelName, Event, EventKind, InboxEntry, LocalId, channels,
};

use super::outsider::{Outside, content};
use crate::rig::{Rig, config, layer, within};

async fn event(outside: &Outside, name: &str) -> Value {
    let answer = outside
        .done("/v1/receive", &json!({"channels": [name]}))
        .await;
    let message = &answer["messages"][0];
    assert_eq!(message["channel"], name);
    assert_eq!(message["id"].as_str().unwrap().len(), 32);
    message["event"].clone()
}

/// Completes an event, with more to do.
async fn complete(outside: &Outside, event: &Value, more: Value) {
    let mut body = more;
    body["channel"] = event["reply_channel"].clone();
    let completion = json!({"attempt": event["attempt"], "outcome": {"done": {}}});
    if body["completion"].is_null() {
        body["completion"] = completion;
    }
    outside.done("/v1/send", &body).await;
}

/// Takes a connect event, looks at it, accepts and completes it.
async fn accept(outside: &Outside) {
    let connect = event(outside, channels::CONNECT).await;
    assert_eq!(
        (&connect["kind"], &connect["order"]),
        (&json!("connect"), &json!(0))
    );
    assert_eq!(
        (&connect["path"], &connect["session"]),
        (&json!("/chat"), &json!(""))
    );
    let handshake = &connect["handshake"];
    assert_eq!(
        (&handshake["scheme"], &handshake["query_string"]),
        (&json!("ws"), &json!("a=%20b"))
    );
    let headers = handshake["headers"].as_array().unwrap();
    assert!(
        headers.contains(&json!(["upgrade", "websocket"])),
        "{headers:?}"
    );
    assert_eq!(handshake["client"][0], "127.0.0.1");
    let accept = json!({"headers": [["x-from", "outside"]]});
    let completion = json!({"attempt": connect["attempt"],
        "outcome": {"done": {"session": "c3RhdGU="}},
        "groups": [{"add": {"group": "room", "meta": 1}}]});
    complete(
        outside,
        &connect,
        json!({"accept": accept, "completion": completion}),
    )
    .await;
}

#[tokio::test]
async fn an_outside_worker_serves_a_conversation_from_connect_to_disconnect() {
    let rig = Rig::start(config()).await;
    let outside = Outside::on(rig.layer.another_node(), ApiLimits::default()).await;
    let (mut client, ()) = tokio::join!(rig.connect("/chat?a=%20b"), accept(&outside));
    assert_eq!(client.response.headers()["x-from"], "outside");

    client.send("hello").await;
    let receive = event(&outside, channels::RECEIVE).await;
    assert_eq!(
        (&receive["kind"], &receive["text"]),
        (&json!("receive"), &json!("hello"))
    );
    assert_eq!(
        (&receive["order"], &receive["session"]),
        (&json!(1), &json!("c3RhdGU="))
    );
    let said = json!({"event": {"name": "said", "content": [1]}, "text": "hello to you"});
    complete(&outside, &receive, said).await;
    assert_eq!(client.text().await, "hello to you");

    let application = event(&outside, channels::EVENT).await;
    assert_eq!(
        (&application["kind"], &application["name"]),
        (&json!("application"), &json!("said"))
    );
    assert_eq!(application["content"], json!([1]));
    complete(&outside, &application, json!({"bytes": "AP8="})).await;
    assert_eq!(
        client.next().await.unwrap().unwrap().into_data(),
        vec![0, 255]
    );

    let binary = WsMessage::binary(vec![255, 0]);
    client.socket.send(binary).await.unwrap();
    let receive = event(&outside, channels::RECEIVE).await;
    assert_eq!(
        (&receive["bytes"], &receive["text"]),
        (&json!("/wA="), &Value::Null)
    );
    complete(&outside, &receive, json!({})).await;

    client.close().await;
    let disconnect = event(&outside, channels::DISCONNECT).await;
    assert_eq!(
        (&disconnect["kind"], &disconnect["order"]),
        (&json!("disconnect"), &json!(4))
    );
    assert!(disconnect["code"].is_u64(), "{disconnect}");
    complete(&outside, &disconnect, json!({})).await;
    outside.end().await;
    rig.end().await;
}

#[tokio::test]
async fn an_outside_worker_refuses_a_handshake() {
    let rig = Rig::start(config()).await;
    let outside = Outside::on(rig.layer.another_node(), ApiLimits::default()).await;
    let refusing = async {
        let connect = event(&outside, channels::CONNECT).await;
        let deny = json!({"status": 402, "body": "pay first"});
        complete(&outside, &connect, json!({ "deny": deny })).await;
    };
    let client = crate::client::Client::connect(rig.address, "/chat");
    let (refused, ()) = tokio::join!(client, refusing);
    assert_eq!(crate::client::status(&refused), 402);
    outside.end().await;
    rig.end().await;
}

#[tokio::test]
async fn the_node_that_waits_is_told_who_vouches_for_an_outside_worker() {
    let outside = Outside::on(
        layer(towpath_layer_core::Limits::default()),
        ApiLimits::default(),
    )
    .await;
    let mut told = outside.attach().await;
    let event = Event {
        reply_channel: ChannelName::reply(outside.layer.node(), LocalId(7)),
        path: "/chat".into(),
        topic: None,
        order: 3,
        attempt: 9,
        session: bytes::Bytes::new(),
        kind: EventKind::Application(Box::new(Application::new("said", content(&json!(1))))),
    };
    let channel = ChannelName::new(channels::EVENT).unwrap();
    outside.layer.send(&channel, event.into()).await.unwrap();
    outside
        .done("/v1/receive", &json!({"channels": [channels::EVENT]}))
        .await;
    let InboxEntry::Reply { to, reply } = within(told.recv()).await.unwrap() else {
        panic!("a reply");
    };
    let taken = reply.taken.unwrap();
    assert_eq!((to, taken.attempt), (LocalId(7), 9));
    let absent = outside.layer.absent(&[taken.worker]).await.unwrap();
    assert_eq!(absent, [], "the node that vouches is alive");
    outside.end().await;
}
