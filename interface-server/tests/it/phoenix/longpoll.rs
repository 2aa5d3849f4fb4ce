//! Long-poll: sessions in requests, on the node where they live and on another.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use towpath_layer_core::{ChannelLayer, Deny, EventKind, Outcome, Reply, TopicReply};

use super::stage::{Stage, answer, json as payload, parting, pushed};
use crate::rig::{Rig, config, within};

/// A mount whose polls wait long, and one whose sessions end soon.
pub(super) const LONG: &str = "/socket";
pub(super) const SHORT: &str = "/short";

/// A client that polls.
pub(super) struct Poller {
    mount: &'static str,
    pub(super) address: SocketAddr,
    pub(super) token: String,
}

/// Sends a request; the head of the answer and its body.
pub(crate) async fn request(address: SocketAddr, head: &str, body: &str) -> (String, Value) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let len = body.len();
    let request = format!(
        "{head}\r\nhost: example.org\r\nconnection: close\r\ncontent-length: {len}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut read = String::new();
    within(stream.read_to_string(&mut read)).await.unwrap();
    let (head, body) = read.split_once("\r\n\r\n").unwrap();
    (
        head.to_owned(),
        serde_json::from_str(body).unwrap_or_default(),
    )
}

pub(super) async fn get(address: SocketAddr, mount: &str, query: &str) -> Value {
    let head = format!("GET {mount}/longpoll?vsn=2.0.0{query} HTTP/1.1");
    request(address, &head, "").await.1
}

impl Poller {
    pub(super) async fn open(stage: &mut Stage, mount: &'static str) -> Self {
        let address = stage.rig.address;
        let (opened, connect) = tokio::join!(get(address, mount, "&"), stage.worker.welcome());
        let EventKind::Connect(handshake) = &connect.kind else {
            panic!("a connect");
        };
        assert_eq!((&*handshake.scheme, &*connect.path), ("http", mount));
        assert_eq!(
            (&opened["status"], &opened["messages"]),
            (&json!(410), &json!([]))
        );
        let token = opened["token"].as_str().unwrap().to_owned();
        Self {
            mount,
            address,
            token,
        }
    }

    pub(super) async fn poll(&self) -> Value {
        get(self.address, self.mount, &format!("&token={}", self.token)).await
    }

    /// Polls until something came.
    pub(super) async fn messages(&self) -> Vec<String> {
        loop {
            let polled = self.poll().await;
            if polled["status"] == 200 {
                assert_eq!(polled["token"], self.token);
                return serde_json::from_value(polled["messages"].clone()).unwrap();
            }
            assert_eq!(
                (&polled["status"], &polled["messages"]),
                (&json!(204), &json!([]))
            );
        }
    }

    pub(super) async fn post_as(&self, kind: &str, body: &str) -> Value {
        let (mount, token) = (self.mount, &self.token);
        let head = format!(
            "POST {mount}/longpoll?vsn=2.0.0&token=stale HTTP/1.1\r\ncontent-type: {kind}\r\n\
             x-phoenix-longpoll-token: {token}"
        );
        request(self.address, &head, body).await.1
    }

    pub(super) async fn post(&self, lines: &str) {
        let answer = self.post_as("application/x-ndjson", lines).await;
        assert_eq!(answer, json!({"status": 200}));
    }

    pub(super) async fn join(&self, stage: &mut Stage, topic: &str) {
        self.post(&format!(r#"["1","1","{topic}","phx_join",{{}}]"#))
            .await;
        let join = stage.worker.next().await;
        stage.welcome(&join).await;
        let ok = format!(r#"["1","1","{topic}","phx_reply",{{"status":"ok","response":{{}}}}]"#);
        assert_eq!(self.messages().await, [ok]);
    }
}

#[tokio::test]
async fn a_session_opens_joins_and_carries_messages_both_ways() {
    let mut stage = Stage::start().await;
    let client = Poller::open(&mut stage, LONG).await;
    client.join(&mut stage, "room:1").await;
    assert_eq!(client.poll().await["status"], 204);
    // A batch: text, a binary line in base64, and a join_ref of nobody.
    let lines = "[\"1\",\"2\",\"room:1\",\"one\",{}]\n\
                 AAEBBgVeMTNyb29tOjF0aHJlZXg=\n\
                 [\"9\",\"4\",\"room:1\",\"stale\",{}]\n[null,\"5\",\"room:1\",\"five\",{}]";
    let lines = lines.replace("AAEBBgVeMTNyb29tOjF0aHJlZXg=", &binary_line());
    let (_, events) = tokio::join!(client.post(&lines), async {
        let mut events = Vec::new();
        for _ in 0..3 {
            let event = stage.worker.next().await;
            stage.complete(&event, vec![answer(&event, "{}")]).await;
            events.push(pushed(&event).event.to_string());
        }
        events
    });
    assert_eq!(events, ["one", "three", "five"]);
    stage.broadcast("room:1", "said", payload("{}")).await;
    let mut messages = Vec::new();
    while messages.len() < 4 {
        messages.extend(client.messages().await);
    }
    assert!(messages[0].starts_with(r#"["1","2","room:1","phx_reply""#));
    assert_eq!(
        messages.last().unwrap(),
        r#"[null,null,"room:1","said",{}]"#
    );
    stage.rig.end().await;
}

/// A push `three` of the refs 1 and 3 to `room:1`.
fn binary_line() -> String {
    use base64::Engine as _;
    let frame = b"\x00\x01\x01\x06\x0513room:1threex";
    base64::engine::general_purpose::STANDARD.encode(frame)
}

#[tokio::test]
async fn an_answer_in_bytes_becomes_an_error_that_says_so() {
    let mut stage = Stage::start().await;
    let client = Poller::open(&mut stage, LONG).await;
    client.join(&mut stage, "room:1").await;
    client.post(r#"["1","2","room:1","bytes",{}]"#).await;
    let event = stage.worker.next().await;
    let bytes = TopicReply::Answer {
        reference: pushed(&event).reference.clone().unwrap(),
        status: "ok".into(),
        response: towpath_layer_core::Frame::Bytes("abc".into()),
    };
    stage.complete(&event, vec![bytes]).await;
    let [message] = &client.messages().await[..] else {
        panic!("one message");
    };
    assert!(
        message.starts_with(r#"["1","2","room:1","phx_reply",{"status":"error""#),
        "{message}"
    );
    assert!(message.contains("binary"), "{message}");
    stage.rig.end().await;
}

#[tokio::test]
async fn a_session_that_nobody_reads_ends_and_its_topics_part() {
    let mut stage = Stage::start().await;
    let client = Poller::open(&mut stage, SHORT).await;
    client.join(&mut stage, "room:1").await;
    let gone = stage.worker.next().await;
    let mut reasons = vec![parting(&gone).to_owned()];
    stage.worker.done(&gone).await;
    let gone = stage.worker.next().await;
    reasons.push(parting(&gone).to_owned());
    stage.worker.done(&gone).await;
    reasons.sort();
    assert_eq!(reasons, ["inactive", "inactive"]);
    let late = client.post_as("application/x-ndjson", "[]").await;
    assert_eq!(late, json!({"status": 410}));
    // A poll for it opens another.
    let (again, _) = tokio::join!(client.poll(), stage.worker.welcome());
    assert_eq!(again["status"], 410);
    assert_ne!(again["token"], client.token);
    stage.rig.end().await;
}

#[tokio::test]
async fn the_secret_of_a_session_is_needed() {
    let mut stage = Stage::start().await;
    let client = Poller::open(&mut stage, LONG).await;
    let mut stranger = client.token.clone().into_bytes();
    stranger[0] = if stranger[0] == b'A' { b'B' } else { b'A' };
    let stranger = Poller {
        mount: LONG,
        address: client.address,
        token: String::from_utf8(stranger).unwrap(),
    };
    let refused = stranger.post_as("application/x-ndjson", "[]").await;
    assert_eq!(refused, json!({"status": 410}));
    client.join(&mut stage, "room:1").await;
    stage.rig.end().await;
}

#[tokio::test]
async fn what_a_consumer_refuses_is_a_status_in_the_body() {
    let mut stage = Stage::start().await;
    for (outcome, status) in [
        (Outcome::Done { session: None }, 403),
        (
            Outcome::Failed {
                error_id: "e".into(),
            },
            500,
        ),
    ] {
        let (answer, ()) = tokio::join!(get(stage.rig.address, LONG, ""), async {
            let connect = stage.worker.next().await;
            stage.worker.complete(&connect, outcome).await;
        });
        assert_eq!(answer, json!({"status": status}));
    }
    let version = request(
        stage.rig.address,
        "GET /socket/longpoll?vsn=9.0.0 HTTP/1.1",
        "",
    )
    .await;
    assert_eq!(version.1, json!({"status": 403}));
    stage.rig.end().await;
}

#[tokio::test]
async fn a_client_is_told_the_statuses_that_it_knows() {
    let mut stage = Stage::start().await;
    for (status, told) in [(401, 403), (403, 403), (429, 403), (503, 500)] {
        let deny = Deny {
            status,
            headers: Vec::new(),
            body: "no".into(),
        };
        let deny = Reply {
            deny: Some(Box::new(deny)),
            ..Reply::default()
        };
        let (answer, ()) = tokio::join!(get(stage.rig.address, LONG, ""), async {
            let connect = stage.worker.next().await;
            stage.worker.reply(&connect, deny).await;
            stage.worker.done(&connect).await;
        });
        assert_eq!(answer, json!({"status": told}), "{status}");
    }
    stage.rig.end().await;
}

#[tokio::test]
async fn any_page_may_read_answers_and_a_foreign_origin_opens_nothing() {
    let mut stage = Stage::start().await;
    let address = stage.rig.address;
    let head = "OPTIONS /socket/longpoll HTTP/1.1\r\naccess-control-request-headers: content-type";
    let (head, _) = request(address, head, "").await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    for field in [
        "access-control-allow-origin: *",
        "access-control-allow-headers: content-type",
        "access-control-allow-methods: get, post, options",
        "access-control-max-age: 3600",
    ] {
        assert!(head.contains(field), "{field} in {head}");
    }
    let foreign = "GET /socket/longpoll?vsn=2.0.0 HTTP/1.1\r\norigin: https://evil.example";
    let (head, body) = request(address, foreign, "").await;
    assert!(head.contains("cache-control: no-store"), "{head}");
    assert!(head.contains("access-control-allow-origin: *"), "{head}");
    assert_eq!(body, json!({"status": 403}));
    let (head, _) = request(address, "PUT /socket/longpoll HTTP/1.1", "").await;
    assert!(head.starts_with("HTTP/1.1 400"), "{head}");
    let own = "GET /socket/longpoll?vsn=2.0.0 HTTP/1.1\r\norigin: http://example.org";
    let ((_, body), _) = tokio::join!(request(address, own, ""), stage.worker.welcome());
    assert_eq!(body["status"], 410);
    stage.rig.end().await;
}

#[tokio::test]
async fn an_old_client_sends_one_frame_and_garbage_closes_its_session_alone() {
    let mut stage = Stage::start().await;
    let client = Poller::open(&mut stage, LONG).await;
    let join = r#"["1","1","room:1","phx_join",{}]"#;
    assert_eq!(
        client.post_as("text/plain", join).await,
        json!({"status": 200})
    );
    let asked = stage.worker.next().await;
    stage.welcome(&asked).await;
    assert_eq!(client.messages().await.len(), 1);
    let refused = client.post_as("application/x-ndjson", "{}").await;
    assert_eq!(refused, json!({"status": 400}));
    client.post("[").await;
    let gone = client.post_as("application/x-ndjson", join).await;
    assert_eq!(gone, json!({"status": 410}));
    stage.rig.end().await;
}

#[tokio::test]
async fn a_request_may_come_to_another_node() {
    let mut stage = Stage::start().await;
    let layer = stage.rig.layer.another_node();
    let same = Arc::clone(&layer) as Arc<dyn ChannelLayer>;
    let other = Rig::start_on(config(), layer, same, None, None).await;
    let mut client = Poller::open(&mut stage, LONG).await;
    client.address = other.address;
    client.join(&mut stage, "room:1").await;
    stage.broadcast("room:1", "said", payload("{}")).await;
    assert_eq!(
        client.messages().await,
        [r#"[null,null,"room:1","said",{}]"#]
    );
    other.end().await;
    stage.rig.end().await;
}
