//! Long-poll at its limits: of a request's size and time, of what the layer
//! carries between two nodes; and whose parameters are whose.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use towpath_interface_server::ServerConfig;
use towpath_layer_core::{
    ChannelLayer, Event, EventKind, Frame, Limits, Reference, Reply, TopicReply,
};

use super::longpoll::{LONG, Poller, SHORT, get};
use super::stage::{Stage, pushed};
use crate::client::Raw;
use crate::rig::{Rig, config};

const LINES: &str = "application/x-ndjson";

fn query(connect: &Event) -> &str {
    let EventKind::Connect(handshake) = &connect.kind else {
        panic!("a connect, not {connect:?}");
    };
    str::from_utf8(&handshake.query_string).unwrap()
}

#[tokio::test]
async fn a_parameter_that_is_named_token_is_the_clients() {
    let mut stage = Stage::start().await;
    let address = stage.rig.address;
    // As the npm client writes it: its own before, that of the session behind.
    let own = "&token=ada";
    let (opened, connect) = tokio::join!(get(address, LONG, own), stage.worker.welcome());
    assert_eq!(
        (&opened["status"], query(&connect)),
        (&json!(410), "vsn=2.0.0&token=ada")
    );
    let session = opened["token"].as_str().unwrap();
    let both = format!("&token=ada&token={session}");
    let head = format!("POST /socket/longpoll?vsn=2.0.0{both} HTTP/1.1");
    let beat = r#"[null,"1","phoenix","heartbeat",{}]"#;
    let (_, taken) = super::longpoll::request(address, &head, beat).await;
    assert_eq!(taken, json!({"status": 200}));
    let polled = get(address, LONG, &both).await;
    assert_eq!(
        (&polled["status"], polled["token"].as_str()),
        (&json!(200), Some(session))
    );
    // A session that is gone is none of the application's parameters.
    let mut gone = session.to_owned().into_bytes();
    gone[0] = if gone[0] == b'A' { b'B' } else { b'A' };
    let gone = format!("&token=ada&token={}", String::from_utf8(gone).unwrap());
    let (again, connect) = tokio::join!(get(address, LONG, &gone), stage.worker.welcome());
    assert_eq!(
        (&again["status"], query(&connect)),
        (&json!(410), "vsn=2.0.0&token=ada")
    );
    stage.rig.end().await;
}

#[tokio::test]
async fn a_session_that_has_ended_answers_at_once() {
    let mut stage = Stage::start().await;
    let address = stage.rig.address;
    let (opened, connect) = tokio::join!(get(address, LONG, "&"), stage.worker.welcome());
    stage.worker.reply(&connect, Reply::close(4000, "")).await;
    // Its disconnect stays with a worker: until that is done it is not forgotten.
    let ended = stage.worker.next().await;
    assert!(
        matches!(ended.kind, EventKind::Disconnect { .. }),
        "{ended:?}"
    );
    let token = format!("&token={}", opened["token"].as_str().unwrap());
    // A session that is there says so, and is waited for for its window of 2 s.
    let polled = tokio::time::timeout(Duration::from_secs(2), async {
        let head = format!("POST {LONG}/longpoll?vsn=2.0.0{token} HTTP/1.1");
        let beat = r#"[null,"1","phoenix","heartbeat",{}]"#;
        super::longpoll::request(address, &head, beat).await.1
    });
    assert_eq!(polled.await.unwrap(), json!({"status": 410}));
    stage.rig.end().await;
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let rig = Rig::start(ServerConfig {
        header_timeout: Duration::from_millis(200),
        ..config()
    });
    let rig = rig.await;
    let worker = rig.worker();
    let mut stage = Stage { rig, worker };
    let client = Poller::open(&mut stage, LONG).await;
    let head = format!(
        "POST /socket/longpoll?token={} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10",
        client.token
    );
    let mut raw = Raw::connect(stage.rig.address).await;
    raw.write(format!("{head}\r\n\r\n[").as_bytes()).await;
    let head = raw.head().await;
    assert!(head.starts_with("HTTP/1.1 400"), "{head}");
    stage.rig.end().await;
}

/// A session on one node whose client asks another.
async fn apart(limits: Limits, mount: &'static str) -> (Stage, Rig, Poller) {
    let rig = Rig::start_with(config(), limits, None, None).await;
    let worker = rig.worker();
    let mut stage = Stage { rig, worker };
    let layer = stage.rig.layer.another_node();
    let same = Arc::clone(&layer) as Arc<dyn ChannelLayer>;
    let other = Rig::start_on(config(), layer, same, None, None).await;
    let mut client = Poller::open(&mut stage, mount).await;
    client.address = other.address;
    (stage, other, client)
}

#[tokio::test]
async fn a_request_may_bring_more_than_the_layer_carries_at_once() {
    const LEN: usize = 700 << 10;
    let (mut stage, other, client) = apart(Limits::default(), LONG).await;
    client.join(&mut stage, "room:1").await;
    let long = "x".repeat(LEN);
    let line = |n| format!(r#"["1","{n}","room:1","n",{{"long":"{long}"}}]"#);
    let lines = (0..4).map(line).collect::<Vec<_>>().join("\n");
    let handled = async {
        for n in 0..4 {
            let event = stage.worker.next().await;
            let push = pushed(&event);
            assert_eq!(push.reference, Some(Reference::Text(n.to_string().into())));
            assert!(push.payload.len() > LEN);
            stage.worker.done(&event).await;
        }
    };
    tokio::join!(client.post(&lines), handled);
    let large = format!(
        r#"["1","4","room:1","n",{{"long":"{}"}}]"#,
        "x".repeat(1 << 20)
    );
    assert_eq!(client.post_as(LINES, &large).await, json!({"status": 400}));
    other.end().await;
    stage.rig.end().await;
}

async fn push(stage: &Stage, join: &Event, len: usize) {
    let payload = format!(r#"{{"long":"{}"}}"#, "x".repeat(len));
    let reply = towpath_layer_core::Reply {
        topic: vec![TopicReply::Push {
            event: "n".into(),
            payload: Frame::Text(payload.into()),
        }],
        ..towpath_layer_core::Reply::default()
    };
    stage.worker.reply(join, reply).await;
}

#[tokio::test]
async fn what_the_layer_does_not_carry_at_once_comes_in_several_polls_or_ends_the_session() {
    const MAX: usize = 2000;
    let limits = Limits {
        message_size_max: MAX,
        ..Limits::default()
    };
    let (mut stage, other, client) = apart(limits, SHORT).await;
    let line = r#"["1","1","room:1","phx_join",{}]"#;
    client.post(line).await;
    let join = stage.worker.next().await;
    stage.welcome(&join).await;
    assert_eq!(client.messages().await.len(), 1);
    // A poll waits and is answered with the first; the rest waits for the next.
    for _ in 0..4 {
        push(&stage, &join, 900).await;
    }
    let mut came = 0;
    while came < 4 {
        let messages = client.messages().await;
        assert!(messages.iter().map(String::len).sum::<usize>() <= MAX);
        came += messages.len();
    }
    // With what is written around it this is too much for the layer.
    push(&stage, &join, MAX - 20).await;
    let (again, ()) = tokio::join!(client.poll(), async {
        // The topic, the old session and the new one, in any order.
        for _ in 0..3 {
            let event = stage.worker.next().await;
            if matches!(event.kind, EventKind::Connect(_)) {
                stage.worker.accept(&event).await;
            } else {
                assert!(matches!(event.kind, EventKind::Disconnect { .. }));
            }
            stage.worker.done(&event).await;
        }
    });
    assert_eq!(again["status"], 410);
    assert_ne!(again["token"], client.token);
    other.end().await;
    stage.rig.end().await;
}
