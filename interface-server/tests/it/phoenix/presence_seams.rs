//! Who is here, at the seams: joins that come again, joins that are answered late,
//! and streams of plain WebSockets that end.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;
use towpath_interface_server::ServerConfig;
use towpath_layer_core::{ChannelLayer, Event, GroupName, Limits, Reply, Resume, TopicReply};
use towpath_testkit::{Call, Troubled};

use super::presence::{TOPIC, Watcher, track, untrack, watch};
use super::stage::{Stage, json};
use crate::client::Client;
use crate::rig::{Rig, config, layer, within};

/// What comes next, by its event and its join's ref.
async fn next(client: &mut Client) -> (String, Value) {
    let text = client.text().await;
    let frame: Value = serde_json::from_str(&text).unwrap();
    (frame[3].as_str().unwrap().to_owned(), frame[0].clone())
}

#[tokio::test]
async fn a_join_that_comes_again_is_told_the_state_behind_its_answer_and_no_diff_before() {
    let mut stage = Stage::start().await;
    let mut ada = Watcher::enter(&mut stage, vec![watch(true)]).await;
    ada.hear().await;
    ada.client.send(r#"["2","2","room:1","phx_join",{}]"#).await;
    let parted = stage.worker.next().await;
    let mut bob = Watcher::enter(&mut stage, vec![track("bob", "{}"), watch(true)]).await;
    bob.sees(&[("bob", 1)]).await;
    stage.worker.done(&parted).await;
    assert_eq!(
        next(&mut ada.client).await,
        ("phx_close".into(), "1".into())
    );
    ada.join = stage.worker.next().await;
    bob.say(&stage.worker, vec![track("bea", "{}")]).await;
    bob.sees(&[("bea", 1), ("bob", 1)]).await;
    stage.welcome(&ada.join).await;
    assert_eq!(
        next(&mut ada.client).await,
        ("phx_reply".into(), "2".into())
    );
    ada.say(&stage.worker, vec![watch(true)]).await;
    ada.sees(&[("bea", 1), ("bob", 1)]).await;
    assert!(ada.diffs.is_empty());
    bob.say(&stage.worker, vec![untrack("bob")]).await;
    ada.sees(&[("bea", 1)]).await;
}

#[tokio::test]
async fn the_state_is_never_left_out_of_what_waits_for_a_history() {
    let memory = layer(Limits::default());
    let troubled = Troubled::new(memory.clone());
    let server = Arc::clone(&troubled) as Arc<dyn ChannelLayer>;
    // What one of them has been told of, the other has come behind.
    let config = ServerConfig {
        shards: 1,
        ..config()
    };
    let rig = Rig::start_on(config, memory, server, None, None).await;
    let worker = rig.worker();
    let mut stage = Stage { rig, worker };
    let mut bob = Watcher::enter(&mut stage, vec![track("bob", "{}"), watch(true)]).await;
    bob.sees(&[("bob", 1)]).await;
    let mut client = stage.connect().await;
    client.send(r#"["1","1","room:1","phx_join",{}]"#).await;
    let join = stage.worker.next().await;
    let group = GroupName::topic(TOPIC);
    let added = stage
        .rig
        .layer
        .group_add(&group, &join.reply_channel, Bytes::new());
    added.await.unwrap();
    troubled.hold(Call::History);
    let resume = Resume {
        topic: TOPIC.into(),
        last_seen_id: None,
        latest: 0,
        from: None,
        member: None,
    };
    let joined = TopicReply::Joined {
        response: json("{}"),
    };
    let said = vec![TopicReply::Resume(Box::new(resume)), joined];
    stage.complete(&join, said).await;
    within(troubled.held(1)).await;
    for _ in 0..300 {
        stage.broadcast(TOPIC, "said", json("{}")).await;
    }
    let said = vec![watch(true)];
    let reply = Reply {
        topic: said,
        ..Reply::default()
    };
    stage.worker.reply(&join, reply).await;
    bob.say(&stage.worker, vec![track("bea", "{}")]).await;
    while !bob.client.text().await.contains("presence_diff") {}
    troubled.let_go();
    assert_eq!(next(&mut client).await.0, "phx_reply");
    let mut said = 0;
    let last = loop {
        match &*next(&mut client).await.0 {
            "said" => said += 1,
            other => break other.to_owned(),
        }
    };
    assert_eq!((said, &*last), (256, "presence_state"));
}

/// A plain WebSocket.
async fn plain(stage: &mut Stage) -> (Client, Event) {
    tokio::join!(stage.rig.connect("/chat"), stage.worker.welcome())
}

async fn say(stage: &Stage, connect: &Event, topic: Vec<TopicReply>) {
    let reply = Reply {
        topic,
        ..Reply::default()
    };
    stage.worker.reply(connect, reply).await;
}

#[tokio::test]
async fn a_stream_that_ends_is_present_no_more_and_told_no_more() {
    let rig = Rig::start(ServerConfig {
        shards: 1,
        ..config()
    });
    let rig = rig.await;
    let worker = rig.worker();
    let mut stage = Stage { rig, worker };
    let mut ada = Watcher::enter(&mut stage, vec![watch(true)]).await;
    let (mut client, connect) = plain(&mut stage).await;
    let (group, channel) = (GroupName::topic(TOPIC), &connect.reply_channel);
    // Until it is a member, nobody knows which stream reads.
    say(&stage, &connect, vec![track("bob", "{}"), watch(true)]).await;
    ada.sees(&[("bob", 1)]).await;
    let layer = Arc::clone(&stage.rig.layer);
    layer
        .group_add(&group, channel, "feed".into())
        .await
        .unwrap();
    let state = client.text().await;
    assert!(
        state.starts_with(r#"{"stream":"feed","payload":{"#),
        "{state}"
    );
    assert!(
        state.contains("presence_state") && state.contains("bob"),
        "{state}"
    );
    layer.group_discard(&group, channel).await.unwrap();
    ada.sees(&[]).await;
    let _cid = Watcher::enter(&mut stage, vec![track("cid", "{}")]).await;
    ada.sees(&[("cid", 1)]).await;
    stage
        .worker
        .reply(&connect, Reply::text("still here"))
        .await;
    assert_eq!(client.text().await, "still here");
}

#[tokio::test]
async fn a_listener_that_goes_takes_no_presence_with_it() {
    let mut stage = Stage::start().await;
    let mut ada = Watcher::enter(&mut stage, vec![watch(true)]).await;
    let (_client, connect) = plain(&mut stage).await;
    say(&stage, &connect, vec![track("bob", "{}")]).await;
    ada.sees(&[("bob", 1)]).await;
    let (group, listener) = (GroupName::topic(TOPIC), connect.reply_channel.listener(1));
    let layer = &stage.rig.layer;
    let added = layer.group_add(&group, &listener, Bytes::new());
    added.await.unwrap();
    layer.group_discard(&group, &listener).await.unwrap();
    say(&stage, &connect, vec![track("bea", "{}")]).await;
    ada.sees(&[("bea", 1), ("bob", 1)]).await;
}
