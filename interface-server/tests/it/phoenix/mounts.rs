//! What is particular to one mount: versions, limits, tokens.

use bytes::Bytes;
use serde_json::json;
use towpath_layer_core::{ChannelLayer, Event, EventKind, GroupName, Handshake, Reply};

use super::longpoll::request;
use super::stage::{Stage, json as payload, pushed};
use crate::client::{Client, status};

/// Version 2 alone, messages of 64 bytes, and no tokens.
const STRICT: &str = "/strict/websocket?vsn=2.0.0";

/// A message of 64 bytes, and one more if `more` is.
fn message(more: &str) -> String {
    let message = format!(
        r#"["1","2","room:1","say",{{"a":"{}{more}"}}]"#,
        "x".repeat(31)
    );
    assert_eq!(message.len(), 64 + more.len());
    message
}

/// What a consumer is told of a handshake.
fn told(connect: &Event) -> &Handshake {
    match &connect.kind {
        EventKind::Connect(handshake) => handshake,
        other => panic!("a connect, not {other:?}"),
    }
}

/// The header fields of a name that a consumer is told of.
fn headers<'e>(connect: &'e Event, name: &str) -> Vec<&'e [u8]> {
    let fields = told(connect).headers.iter();
    let fields = fields.filter(|(known, _)| *known == *name);
    fields.map(|(_, value)| &**value).collect()
}

/// A client that offers subprotocols, and how it connects.
async fn offering(stage: &mut Stage, path: &str, offered: &str) -> (Client, Event) {
    let offered = [("sec-websocket-protocol", offered)];
    let (client, connect) = tokio::join!(
        Client::connect_with(stage.rig.address, path, &offered),
        stage.worker.welcome()
    );
    (client.unwrap(), connect)
}

#[tokio::test]
async fn each_mount_speaks_its_own_versions() {
    let mut stage = Stage::start().await;
    let old = Client::connect(stage.rig.address, "/strict/websocket").await;
    assert_eq!(status(&old), 403);
    let (_new, _) = stage.connect_to(STRICT).await;
    let (_old, _) = stage.connect_to("/socket/websocket").await;
    let poll = "GET /strict/longpoll?vsn=1.0.0 HTTP/1.1";
    let (_, refused) = request(stage.rig.address, poll, "").await;
    assert_eq!(refused["status"], 403);
    stage.rig.end().await;
}

#[tokio::test]
async fn a_message_is_as_large_as_its_mount_allows() {
    let mut stage = Stage::start().await;
    let (mut strict, _) = stage.connect_to(STRICT).await;
    stage.join(&mut strict, "room:1").await;
    strict.send(&message("")).await;
    assert_eq!(pushed(&stage.worker.next().await).event, "say");
    strict.send(&message("x")).await;
    assert_eq!(strict.closed().await, 1009);
    stage.rig.end().await;

    let mut stage = Stage::start().await;
    let (mut other, _) = stage.joined("room:1").await;
    other.send(&message("x")).await;
    assert_eq!(pushed(&stage.worker.next().await).event, "say");
    stage.rig.end().await;
}

#[tokio::test]
async fn what_is_polled_in_is_as_large_as_its_mount_allows() {
    let mut stage = Stage::start().await;
    let address = stage.rig.address;
    let open = "GET /strict/longpoll?vsn=2.0.0& HTTP/1.1";
    let (opened, _) = tokio::join!(request(address, open, ""), stage.worker.welcome());
    let token = opened.1["token"].as_str().unwrap().to_owned();
    let head = format!(
        "POST /strict/longpoll?vsn=2.0.0&token={token} HTTP/1.1\r\n\
         content-type: application/x-ndjson"
    );
    let (head_of, _) = request(address, &head, &message("x")).await;
    assert!(head_of.starts_with("HTTP/1.1 400"), "{head_of}");
    let (_, taken) = request(address, &head, &message("")).await;
    assert_eq!(taken, json!({"status": 200}));
    stage.rig.end().await;
}

#[tokio::test]
async fn a_mount_without_tokens_tells_of_none() {
    let mut stage = Stage::start().await;
    let token = [("x-phoenix-authtoken", "secret")];
    let mut clients = Vec::new();
    for (path, told) in [
        (STRICT, vec![]),
        ("/socket/websocket", vec![&b"secret"[..]]),
    ] {
        let (client, connect) = tokio::join!(
            Client::connect_with(stage.rig.address, path, &token),
            stage.worker.welcome()
        );
        clients.push(client.unwrap());
        assert_eq!(headers(&connect, "x-phoenix-authtoken"), told);
    }
    stage.rig.end().await;
}

#[tokio::test]
async fn a_token_stands_in_one_place_alone() {
    let mut stage = Stage::start().await;
    let mut clients = Vec::new();
    // "???>>" in one alphabet and in the other.
    for token in ["Pz8/Pj4", "Pz8/Pj4=", "Pz8_Pj4", "Pz8_Pj4="] {
        let offered = format!("base64url.bearer.phx.{token}, phoenix");
        let (client, connect) = offering(&mut stage, "/socket/websocket", &offered).await;
        clients.push(client);
        assert_eq!(headers(&connect, "sec-websocket-protocol"), [b"phoenix"]);
        assert_eq!(headers(&connect, "x-phoenix-authtoken"), [b"???>>"]);
        assert_eq!(told(&connect).subprotocols, ["phoenix"]);
    }
    stage.rig.end().await;
}

#[tokio::test]
async fn a_token_that_a_mount_does_not_take_stands_nowhere() {
    let mut stage = Stage::start().await;
    let tokens = "base64url.bearer.phx.dG9rZW4, base64url.bearer.phx.Pz8/Pj4=";
    let offered = format!("phoenix, {tokens}");
    let (_client, connect) = offering(&mut stage, STRICT, &offered).await;
    assert_eq!(headers(&connect, "sec-websocket-protocol"), [b"phoenix"]);
    assert!(headers(&connect, "x-phoenix-authtoken").is_empty());
    assert_eq!(told(&connect).subprotocols, ["phoenix"]);
    let poll =
        format!("GET /strict/longpoll?vsn=2.0.0& HTTP/1.1\r\nsec-websocket-protocol: {tokens}");
    let (_, connect) = tokio::join!(
        request(stage.rig.address, &poll, ""),
        stage.worker.welcome()
    );
    assert!(headers(&connect, "sec-websocket-protocol").is_empty());
    stage.rig.end().await;
}

#[tokio::test]
async fn a_mount_that_takes_tokens_speaks_phoenix_besides_its_subprotocols() {
    let mut stage = Stage::start().await;
    let path = "/tokens/websocket?vsn=2.0.0";
    let mut clients = Vec::new();
    for (offered, answered) in [
        ("phoenix, base64url.bearer.phx.dG9rZW4", "phoenix"),
        ("phoenix", "phoenix"),
        ("mqtt, sip, phoenix", "sip"),
    ] {
        let (client, _) = offering(&mut stage, path, offered).await;
        assert_eq!(
            client.response.headers()["sec-websocket-protocol"],
            answered
        );
        clients.push(client);
    }
    let foreign = "mqtt, base64url.bearer.phx.dG9rZW4";
    let foreign = [("sec-websocket-protocol", foreign)];
    let refused = Client::connect_with(stage.rig.address, path, &foreign).await;
    assert_eq!(status(&refused), 403);
    stage.rig.end().await;
}

#[tokio::test]
async fn a_plain_socket_is_ended_by_its_id_and_hears_nothing_else_of_it() {
    let mut stage = Stage::start().await;
    let (mut client, connect) = stage.connect_to("/chat").await;
    let channel = &connect.reply_channel;
    let ids = GroupName::topic("users:eve");
    let meta = Bytes::from_static(GroupName::SOCKET_ID_META);
    stage
        .rig
        .layer
        .group_add(&ids, channel, meta)
        .await
        .unwrap();
    stage.broadcast("users:eve", "said", payload("{}")).await;
    stage.worker.reply(&connect, Reply::text("next")).await;
    assert_eq!(client.text().await, "next");
    stage
        .broadcast("users:eve", "disconnect", payload("{}"))
        .await;
    assert_eq!(client.closed().await, 1001);
    stage.rig.end().await;
}
