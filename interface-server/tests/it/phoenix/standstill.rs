//! A topic whose consumer hangs: what it keeps waiting, and for how long.

use std::time::Duration;

use towpath_layer_core::{Event, Reply};

use super::stage::{Stage, answer, json, parting, pushed};
use crate::client::Client;

/// Messages that wait for a topic before reading stops, and after it goes on.
const BEFORE: usize = 16;
const AFTER: usize = 32;

/// The next event, which a worker takes and is not done with for a while.
async fn hangs(stage: &mut Stage) -> Event {
    let event = stage.worker.next().await;
    stage.worker.holds(&event).await;
    event
}

async fn push(client: &mut Client, topic: &str, number: usize) {
    let push = format!(r#"["1","n{number}","{topic}","n",{{}}]"#);
    client.send(&push).await;
}

#[tokio::test]
async fn a_topic_that_hangs_holds_up_no_other_and_no_heartbeat() {
    let mut stage = Stage::start().await;
    let (mut client, _) = stage.joined("room:1").await;
    stage.join(&mut client, "room:2").await;
    push(&mut client, "room:1", 0).await;
    let mut hanging = hangs(&mut stage).await;
    for number in 1..=AFTER + 2 {
        push(&mut client, "room:1", number).await;
    }
    client.send(r#"[null,"h","phoenix","heartbeat",{}]"#).await;
    push(&mut client, "room:2", 0).await;
    for number in AFTER + 1..=AFTER + 2 {
        let refused = format!(
            r#"["1","n{number}","room:1","phx_reply",{{"status":"error","response":{{"reason":"too many messages wait for the topic","topic_waiting_max":{AFTER}}}}}]"#
        );
        assert_eq!(client.text().await, refused);
    }
    let alive = r#"[null,"h","phoenix","phx_reply",{"status":"ok","response":{}}]"#;
    assert_eq!(client.text().await, alive);
    let other = stage.worker.next().await;
    assert_eq!(other.topic.as_deref(), Some("room:2"));
    stage.worker.done(&other).await;
    // All that was not refused is handled, and then there is room again.
    for number in 0..=AFTER {
        stage.complete(&hanging, vec![answer(&hanging, "1")]).await;
        let answered = format!(r#"["1","n{number}","room:1","phx_reply""#);
        assert!(client.text().await.starts_with(&answered));
        if number < AFTER {
            hanging = stage.worker.next().await;
        }
    }
    for number in 0..BEFORE {
        push(&mut client, "room:1", number).await;
    }
    for number in 0..BEFORE {
        let event = stage.worker.next().await;
        stage.complete(&event, vec![answer(&event, "1")]).await;
        let answered = format!(r#"["1","n{number}","room:1","phx_reply",{{"status":"ok""#);
        assert!(client.text().await.starts_with(&answered));
    }
    stage.rig.end().await;
}

#[tokio::test]
async fn a_second_join_waits_five_seconds_for_the_first_to_end() {
    let mut stage = Stage::start().await;
    let (mut client, first) = stage.joined("room:1").await;
    push(&mut client, "room:1", 1).await;
    let hanging = hangs(&mut stage).await;
    push(&mut client, "room:1", 2).await;
    let begun = tokio::time::Instant::now();
    client.send(r#"["2","2","room:1","phx_join",{}]"#).await;
    assert_eq!(client.text().await, r#"["1","1","room:1","phx_close",{}]"#);
    assert!(begun.elapsed() >= Duration::from_secs(5));
    let join = stage.worker.next().await;
    assert_ne!(join.reply_channel, first.reply_channel);
    stage.welcome(&join).await;
    let joined = r#"["2","2","room:1","phx_reply",{"status":"ok","response":{}}]"#;
    assert_eq!(client.text().await, joined);
    // The first is in the topic no more, and what it says is for nobody.
    stage.broadcast("room:1", "said", json("{}")).await;
    assert_eq!(client.text().await, r#"[null,null,"room:1","said",{}]"#);
    stage.complete(&hanging, vec![answer(&hanging, "1")]).await;
    let gone = stage.worker.next().await;
    assert_eq!(
        (parting(&gone), &gone.reply_channel),
        ("duplicate_join", &first.reply_channel)
    );
    stage.worker.done(&gone).await;
    client.send(r#"["2","3","room:1","fresh",{}]"#).await;
    let fresh = stage.worker.next().await;
    assert_eq!(&*pushed(&fresh).event, "fresh");
    stage.complete(&fresh, vec![answer(&fresh, "2")]).await;
    assert!(client.text().await.starts_with(r#"["2","3","room:1""#));
    stage.rig.end().await;
}

/// Lets a client that was told of a crash join again while the crashed topic's
/// event is in flight, and be told of a broadcast once.
async fn joins_again_and_is_told_once(mut stage: Stage, mut client: Client, hanging: Event) {
    let topic = hanging.topic.as_deref().unwrap();
    let crashed = format!(r#"["1","1","{topic}","phx_error",{{"reason":"channel_crash"}}]"#);
    assert_eq!(client.text().await, crashed);
    client
        .send(&format!(r#"["2","2","{topic}","phx_join",{{}}]"#))
        .await;
    let join = stage.worker.next().await;
    stage.welcome(&join).await;
    assert!(client.text().await.starts_with(r#"["2","2""#));
    for event in ["said", "after"] {
        stage.broadcast(topic, event, json("{}")).await;
        let said = format!(r#"[null,null,"{topic}","{event}",{{}}]"#);
        assert_eq!(client.text().await, said);
    }
    stage.worker.done(&hanging).await;
    stage.rig.end().await;
}

#[tokio::test]
async fn a_topic_for_which_too_much_waits_is_told_nothing_more() {
    let mut stage = Stage::start().await;
    let (mut client, _) = stage.joined("watched:1").await;
    push(&mut client, "watched:1", 0).await;
    let hanging = hangs(&mut stage).await;
    for _ in 0..=64 {
        stage.broadcast("watched:1", "secret", json("{}")).await;
    }
    joins_again_and_is_told_once(stage, client, hanging).await;
}

#[tokio::test]
async fn a_topic_that_its_consumer_closes_is_told_nothing_more() {
    let mut stage = Stage::start().await;
    let (mut client, _) = stage.joined("room:1").await;
    push(&mut client, "room:1", 0).await;
    let hanging = hangs(&mut stage).await;
    stage
        .worker
        .reply(&hanging, Reply::close(4000, "enough"))
        .await;
    joins_again_and_is_told_once(stage, client, hanging).await;
}
