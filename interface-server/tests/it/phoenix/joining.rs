//! Joins, messages and answers.

use std::time::Duration;

use towpath_interface_server::ServerConfig;
use towpath_layer_core::{EventKind, Outcome, Reference, TopicReply};

use super::stage::{Stage, answer, json, pushed};
use crate::client::{Client, status};
use crate::rig::{Rig, config};

#[tokio::test]
async fn a_join_is_a_conversation_of_its_own_with_the_sockets_session() {
    let mut stage = Stage::start().await;
    let (mut client, connect) = tokio::join!(
        stage.rig.connect("/socket/websocket?vsn=2.0.0&token=x"),
        async {
            let connect = stage.worker.next().await;
            stage.worker.accept(&connect).await;
            stage.worker.done_with_session(&connect, "ada").await;
            connect
        }
    );
    assert_eq!(
        (&*connect.path, connect.topic.as_deref()),
        ("/socket", None)
    );
    client
        .send(r#"["5","5","room:1","phx_join",{"a":1}]"#)
        .await;
    let join = stage.worker.next().await;
    let EventKind::Join(asked) = &join.kind else {
        panic!("a join, not {join:?}");
    };
    assert_eq!(
        (&asked.payload, &*asked.socket),
        (&json(r#"{"a":1}"#), &b"ada"[..])
    );
    assert_eq!(
        (&*join.path, join.topic.as_deref()),
        ("/socket", Some("room:1"))
    );
    assert_eq!((join.order, &*join.session), (0, &b""[..]));
    assert_ne!(join.reply_channel, connect.reply_channel);
    let response = json(r#"{"id":7}"#);
    stage
        .complete(&join, vec![TopicReply::Joined { response }])
        .await;
    let ok = r#"["5","5","room:1","phx_reply",{"status":"ok","response":{"id":7}}]"#;
    assert_eq!(client.text().await, ok);
    stage.rig.end().await;
}

#[tokio::test]
async fn a_join_waits_for_the_session_that_the_connect_leaves() {
    let mut stage = Stage::start().await;
    let (mut client, connect) =
        tokio::join!(stage.rig.connect("/socket/websocket?vsn=2.0.0"), async {
            let connect = stage.worker.next().await;
            stage.worker.accept(&connect).await;
            connect
        });
    client.send(r#"["1","1","room:1","phx_join",{}]"#).await;
    client.send(r#"[null,"2","phoenix","heartbeat",{}]"#).await;
    stage.worker.done_with_session(&connect, "ada").await;
    let join = stage.worker.next().await;
    let EventKind::Join(asked) = &join.kind else {
        panic!("a join, not {join:?}");
    };
    assert_eq!(&*asked.socket, b"ada");
    let heard = r#"[null,"2","phoenix","phx_reply",{"status":"ok","response":{}}]"#;
    assert_eq!(client.text().await, heard);
    stage.rig.end().await;
}

#[tokio::test]
async fn a_heartbeat_and_another_topic_do_not_wait_for_a_join() {
    let mut stage = Stage::start().await;
    let mut client = stage.connect().await;
    client.send(r#"["1","1","room:slow","phx_join",{}]"#).await;
    let slow = stage.worker.next().await;
    client.send(r#"[null,"2","phoenix","heartbeat",{}]"#).await;
    let alive = r#"[null,"2","phoenix","phx_reply",{"status":"ok","response":{}}]"#;
    assert_eq!(client.text().await, alive);
    // Waits for its topic, and for nothing else.
    client.send(r#"["1","3","room:slow","late",{}]"#).await;
    stage.join(&mut client, "room:quick").await;
    stage.welcome(&slow).await;
    assert!(
        client
            .text()
            .await
            .starts_with(r#"["1","1","room:slow","phx_reply""#)
    );
    let late = stage.worker.next().await;
    assert_eq!(
        (&*pushed(&late).event, late.topic.as_deref()),
        ("late", Some("room:slow"))
    );
    stage.rig.end().await;
}

#[tokio::test]
async fn messages_of_a_topic_come_one_at_a_time_and_are_answered_by_their_refs() {
    let mut stage = Stage::start().await;
    let (mut client, join) = stage.joined("room:1").await;
    client.send(r#"["1","2","room:1","one",{"n":1}]"#).await;
    client.send(r#"["1",3,"room:1","two",{"n":2}]"#).await;
    let one = stage.worker.next().await;
    assert_eq!(one.reply_channel, join.reply_channel);
    assert_eq!(pushed(&one).payload, json(r#"{"n":1}"#));
    assert!(stage.worker.is_idle(Duration::from_millis(50)).await);
    let push = TopicReply::Push {
        event: "tick".into(),
        payload: json(r#"{"at":1}"#),
    };
    let first = answer(&one, "[1]");
    stage.complete(&one, vec![push, first]).await;
    assert_eq!(
        client.text().await,
        r#"["1",null,"room:1","tick",{"at":1}]"#
    );
    let first = r#"["1","2","room:1","phx_reply",{"status":"ok","response":[1]}]"#;
    assert_eq!(client.text().await, first);
    let two = stage.worker.next().await;
    assert_eq!(pushed(&two).reference, Some(Reference::Number(3)));
    stage.complete(&two, vec![answer(&two, "null")]).await;
    let second = r#"["1",3,"room:1","phx_reply",{"status":"ok","response":null}]"#;
    assert_eq!(client.text().await, second);
    stage.rig.end().await;
}

#[tokio::test]
async fn a_join_is_refused_crashes_or_finds_no_topic() {
    let mut stage = Stage::start().await;
    let mut client = stage.connect().await;
    client.send(r#"["1","1","nowhere","phx_join",{}]"#).await;
    let unmatched = r#"[null,"1","nowhere","phx_reply",{"status":"error","response":{"reason":"unmatched topic"}}]"#;
    assert_eq!(client.text().await, unmatched);
    client.send(r#"["2","2","room:1","phx_join",{}]"#).await;
    let join = stage.worker.next().await;
    let response = json(r#"{"reason":"full"}"#);
    stage
        .complete(&join, vec![TopicReply::Refused { response }])
        .await;
    let refused =
        r#"["2","2","room:1","phx_reply",{"status":"error","response":{"reason":"full"}}]"#;
    assert_eq!(client.text().await, refused);
    client.send(r#"["3","3","room:1","phx_join",{}]"#).await;
    let join = stage.worker.next().await;
    let error_id = "e1".into();
    stage
        .worker
        .complete(&join, Outcome::Failed { error_id })
        .await;
    let crashed =
        r#"["3","3","room:1","phx_reply",{"status":"error","response":{"reason":"join crashed"}}]"#;
    assert_eq!(client.text().await, crashed);
    // Nobody was there: nobody parts, and the topic can be joined.
    client.send(r#"["4","4","room:1","other",{}]"#).await;
    assert!(client.text().await.contains("unmatched topic"));
    stage.join(&mut client, "room:1").await;
    stage.rig.end().await;
}

#[tokio::test]
async fn a_join_that_nobody_answers_is_no_crash_of_its_consumer() {
    let rig = Rig::start(ServerConfig {
        connect_timeout: Duration::from_secs(2),
        ..config()
    });
    let rig = rig.await;
    let worker = rig.worker();
    let mut stage = Stage { rig, worker };
    let mut client = stage.connect().await;
    client.send(r#"["1","1","room:1","phx_join",{}]"#).await;
    stage.worker.next().await;
    let lost = r#"["1","1","room:1","phx_reply",{"status":"error","response":{"reason":"service unavailable"}}]"#;
    assert_eq!(client.text().await, lost);
    stage.rig.end().await;
}

#[tokio::test]
async fn a_topic_beyond_the_mounts_limit_is_refused_by_its_name() {
    let mut stage = Stage::start().await;
    let (mut client, connect) = stage.connect_to("/narrow/a/websocket?vsn=2.0.0").await;
    assert_eq!(&*connect.path, "/narrow/a");
    stage.join(&mut client, "room:1").await;
    client.send(r#"["2","2","room:2","phx_join",{}]"#).await;
    let refused = client.text().await;
    assert!(refused.contains("too many channels joined"), "{refused}");
    assert!(refused.contains(r#""max_topics":1"#), "{refused}");
    stage.rig.end().await;
}

#[tokio::test]
async fn a_version_that_is_none_of_ours_is_refused() {
    let stage = Stage::start().await;
    let path = "/socket/websocket?vsn=123.1.1";
    assert_eq!(status(&Client::connect(stage.rig.address, path).await), 403);
    stage.rig.end().await;
}

#[tokio::test]
async fn a_token_among_the_subprotocols_is_told_and_phoenix_is_answered() {
    let mut stage = Stage::start().await;
    let offered = "phoenix, base64url.bearer.phx.dG9rZW4";
    let headers = [("sec-websocket-protocol", offered)];
    let address = stage.rig.address;
    let path = "/socket/websocket?vsn=2.0.0";
    let (client, connect) = tokio::join!(
        Client::connect_with(address, path, &headers),
        stage.worker.welcome()
    );
    let response = client.unwrap().response;
    assert_eq!(response.headers()["sec-websocket-protocol"], "phoenix");
    let EventKind::Connect(handshake) = &connect.kind else {
        panic!("a connect");
    };
    let token = handshake
        .headers
        .iter()
        .find(|(name, _)| name == "x-phoenix-authtoken");
    assert_eq!(&*token.unwrap().1, b"token");
    stage.rig.end().await;
}

#[tokio::test]
async fn a_client_of_version_1_is_spoken_to_in_version_1() {
    let mut stage = Stage::start().await;
    let (mut client, _) = stage.connect_to("/socket/websocket").await;
    client
        .send(r#"{"topic":"room:1","event":"phx_join","payload":{},"ref":"1"}"#)
        .await;
    let join = stage.worker.next().await;
    stage.welcome(&join).await;
    let ok = r#"{"topic":"room:1","event":"phx_reply","ref":"1","payload":{"status":"ok","response":{}}}"#;
    assert_eq!(client.text().await, ok);
    stage.rig.end().await;
}

#[tokio::test]
async fn a_frame_that_cannot_be_read_closes_its_socket_alone() {
    let mut stage = Stage::start().await;
    let (mut other, _) = stage.joined("room:1").await;
    let mut client = stage.connect().await;
    client.send("[]").await;
    assert_eq!(client.closed().await, 1011);
    other.send(r#"[null,"2","phoenix","heartbeat",{}]"#).await;
    assert!(other.text().await.contains("phx_reply"));
    stage.rig.end().await;
}

#[tokio::test]
async fn reading_stops_at_sixteen_waiting_messages_and_goes_on() {
    let mut stage = Stage::start().await;
    let (mut client, _) = stage.joined("room:1").await;
    for number in 0..100 {
        client
            .send(&format!(r#"["1","{number}","room:1","n",{{}}]"#))
            .await;
    }
    for number in 0..100 {
        let event = stage.worker.next().await;
        stage.complete(&event, vec![answer(&event, "{}")]).await;
        let expected = format!(r#"["1","{number}","room:1","phx_reply""#);
        assert!(client.text().await.starts_with(&expected));
    }
    stage.rig.end().await;
}
