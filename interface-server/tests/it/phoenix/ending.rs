//! How topics end: left, joined again, stopped, crashed, with their socket.

use std::time::Duration;

use towpath_layer_core::{Outcome, TopicReply};

use super::stage::{Stage, answer, json, parting, pushed};

#[tokio::test]
async fn a_leave_is_answered_and_closed_after_the_consumer_has_parted() {
    let mut stage = Stage::start().await;
    let (mut client, _) = stage.joined("room:1").await;
    client.send(r#"["1","2","room:1","last",{}]"#).await;
    client.send(r#"["1","3","room:1","phx_leave",{}]"#).await;
    // What came before it is handled.
    let last = stage.worker.next().await;
    stage.complete(&last, vec![answer(&last, "{}")]).await;
    assert!(
        client
            .text()
            .await
            .starts_with(r#"["1","2","room:1","phx_reply""#)
    );
    let gone = stage.worker.next().await;
    assert_eq!(parting(&gone), "left");
    let push = TopicReply::Push {
        event: "you_left".into(),
        payload: json("{}"),
    };
    stage.complete(&gone, vec![push]).await;
    assert_eq!(client.text().await, r#"["1",null,"room:1","you_left",{}]"#);
    let left = r#"["1","3","room:1","phx_reply",{"status":"ok","response":{}}]"#;
    assert_eq!(client.text().await, left);
    assert_eq!(client.text().await, r#"["1","1","room:1","phx_close",{}]"#);
    // It is in no group any more, and not joined.
    stage.broadcast("room:1", "said", json("{}")).await;
    client.send(r#"["1","4","room:1","more",{}]"#).await;
    assert!(client.text().await.contains("unmatched topic"));
    client.send(r#"["1","5","room:1","phx_leave",{}]"#).await;
    assert!(client.text().await.contains(r#""5""#));
    stage.rig.end().await;
}

#[tokio::test]
async fn a_second_join_ends_the_first_and_then_is_one() {
    let mut stage = Stage::start().await;
    let (mut client, first) = stage.joined("room:1").await;
    client.send(r#"["2","2","room:1","phx_join",{}]"#).await;
    let gone = stage.worker.next().await;
    assert_eq!(
        (parting(&gone), &gone.reply_channel),
        ("duplicate_join", &first.reply_channel)
    );
    assert!(stage.worker.is_idle(Duration::from_millis(50)).await);
    stage.worker.done(&gone).await;
    assert_eq!(client.text().await, r#"["1","1","room:1","phx_close",{}]"#);
    let join = stage.worker.next().await;
    assert_ne!(join.reply_channel, first.reply_channel);
    stage.welcome(&join).await;
    assert!(
        client
            .text()
            .await
            .starts_with(r#"["2","2","room:1","phx_reply""#)
    );
    // A message of the first join is nobody's.
    client.send(r#"["1","3","room:1","stale",{}]"#).await;
    client.send(r#"["2","4","room:1","fresh",{}]"#).await;
    let fresh = stage.worker.next().await;
    assert_eq!(&*pushed(&fresh).event, "fresh");
    stage.rig.end().await;
}

#[tokio::test]
async fn a_crash_is_told_at_once_and_touches_nothing_else() {
    let mut stage = Stage::start().await;
    let (mut client, _) = stage.joined("room:1").await;
    stage.join(&mut client, "room:2").await;
    client.send(r#"["1","2","room:1","boom",{}]"#).await;
    let boom = stage.worker.next().await;
    let error_id = "e1".into();
    stage
        .worker
        .complete(&boom, Outcome::Failed { error_id })
        .await;
    let crashed = r#"["1","1","room:1","phx_error",{"reason":"channel_crash"}]"#;
    assert_eq!(client.text().await, crashed);
    let gone = stage.worker.next().await;
    assert!(parting(&gone).contains("e1"));
    stage.worker.done(&gone).await;
    stage.join(&mut client, "room:1").await;
    client.send(r#"["1","3","room:2","still",{}]"#).await;
    let still = stage.worker.next().await;
    assert_eq!(still.topic.as_deref(), Some("room:2"));
    stage.rig.end().await;
}

#[tokio::test]
async fn a_consumer_stops_its_topic_after_its_answer() {
    let mut stage = Stage::start().await;
    let (mut client, _) = stage.joined("room:1").await;
    client.send(r#"["1","2","room:1","bye",{}]"#).await;
    let bye = stage.worker.next().await;
    let said = vec![answer(&bye, "{}"), TopicReply::Stop];
    stage.complete(&bye, said).await;
    assert!(
        client
            .text()
            .await
            .starts_with(r#"["1","2","room:1","phx_reply""#)
    );
    let gone = stage.worker.next().await;
    assert_eq!(parting(&gone), "stopped");
    stage.worker.done(&gone).await;
    assert_eq!(client.text().await, r#"["1","1","room:1","phx_close",{}]"#);
    stage.rig.end().await;
}

#[tokio::test]
async fn the_topics_of_a_socket_that_is_gone_part_each() {
    let mut stage = Stage::start().await;
    let (mut client, first) = stage.joined("room:1").await;
    let second = stage.join(&mut client, "room:2").await;
    client.close().await;
    let mut parted = Vec::new();
    for _ in 0..3 {
        let event = stage.worker.next().await;
        if event.topic.is_some() {
            assert_eq!(parting(&event), "closed");
            parted.push(event.reply_channel.clone());
        }
        stage.worker.done(&event).await;
    }
    assert_eq!(parted, [first.reply_channel, second.reply_channel]);
    stage.rig.end().await;
}

#[tokio::test]
async fn a_drain_lets_topics_finish_and_closes_with_1012() {
    let mut stage = Stage::start().await;
    let (mut client, _) = stage.joined("room:1").await;
    stage.join(&mut client, "room:2").await;
    client.send(r#"["1","2","room:1","last",{}]"#).await;
    let last = stage.worker.next().await;
    stage.rig.stop.cancel();
    let idle = stage.worker.next().await;
    assert_eq!(
        (parting(&idle), idle.topic.as_deref()),
        ("draining", Some("room:2"))
    );
    stage.worker.done(&idle).await;
    stage.complete(&last, vec![answer(&last, "{}")]).await;
    assert!(
        client
            .text()
            .await
            .starts_with(r#"["1","2","room:1","phx_reply""#)
    );
    assert_eq!(client.closed().await, 1012);
    let mut reasons = Vec::new();
    for _ in 0..2 {
        let gone = stage.worker.next().await;
        reasons.push(parting(&gone).to_owned());
        stage.worker.done(&gone).await;
    }
    reasons.sort();
    assert_eq!(reasons, ["draining", "the server restarts"]);
    stage.rig.end().await;
}
