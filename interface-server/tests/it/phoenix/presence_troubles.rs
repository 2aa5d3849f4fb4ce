//! Who is here while the layer answers late, or asks who is a member.

use std::sync::Arc;

use bytes::Bytes;
use towpath_interface_server::ServerConfig;
use towpath_layer_core::presence::{ChangeKind, Stored};
use towpath_layer_core::{ChannelLayer, GroupName, Limits, Mail, Membership, TopicReply};
use towpath_testkit::{Call, Trouble, Troubled};

use super::presence::{TOPIC, Watcher, enter, track, untrack, watch};
use super::stage::{Stage, json};
use crate::rig::{Rig, config, layer, until, within};

/// One shard, on a layer with troubles.
async fn start() -> (Stage, Arc<Troubled>) {
    let memory = layer(Limits::default());
    let troubled = Troubled::new(memory.clone());
    let server = Arc::clone(&troubled) as Arc<dyn ChannelLayer>;
    let config = ServerConfig {
        shards: 1,
        ..config()
    };
    let rig = Rig::start_on(config, memory, server, None, None).await;
    let worker = rig.worker();
    (Stage { rig, worker }, troubled)
}

/// Waits until so many connections have stored who they are.
async fn stored(stage: &Stage, count: u64) {
    let group = GroupName::presences(TOPIC);
    until(async || stage.rig.layer.group_count(&group).await.unwrap() == count).await;
}

#[tokio::test]
async fn a_reading_that_began_while_nodes_announced_themselves_makes_nobody_leave() {
    let (mut stage, troubled) = start().await;
    let mut ada = Watcher::enter(&mut stage, vec![track("ada", "{}"), watch(true)]).await;
    let node = stage.rig.layer.another_node();
    let same = Arc::clone(&node) as Arc<dyn ChannelLayer>;
    let other = Rig::start_on(config(), node, same, None, None).await;
    let bob = enter(&mut stage, &other, vec![track("bob", "{}")]).await;
    ada.sees(&[("ada", 1), ("bob", 1)]).await;
    // The backend has lost him, and his node has not said yet that he is there.
    let group = GroupName::presences(TOPIC);
    let lost = other.layer.group_discard(&group, &bob.join.reply_channel);
    lost.await.unwrap();
    troubled.set(Trouble::Unsettled);
    troubled.hold(Call::Members);
    troubled.sink().mark_gap();
    within(troubled.held(1)).await;
    troubled.set(Trouble::None);
    troubled.let_go();
    let _cid = Watcher::enter(&mut stage, vec![track("cid", "{}")]).await;
    ada.sees(&[("ada", 1), ("bob", 1), ("cid", 1)]).await;
    other.end().await;
}

#[tokio::test]
async fn what_was_read_for_one_who_left_is_not_told_to_the_next() {
    let (mut stage, troubled) = start().await;
    let _bob = Watcher::enter(&mut stage, vec![track("bob", "{}")]).await;
    stored(&stage, 1).await;
    troubled.hold(Call::Members);
    let mut ada = Watcher::enter(&mut stage, vec![watch(true)]).await;
    within(troubled.held(1)).await;
    ada.client
        .send(r#"["1","2","room:1","phx_leave",{}]"#)
        .await;
    let left = stage.worker.next().await;
    stage.worker.done(&left).await;
    let _dan = Watcher::enter(&mut stage, vec![track("dan", "{}")]).await;
    stored(&stage, 2).await;
    let mut eve = Watcher::enter(&mut stage, vec![watch(true)]).await;
    troubled.let_go();
    eve.sees(&[("bob", 1), ("dan", 1)]).await;
    assert!(eve.diffs.is_empty(), "{:?}", eve.diffs);
}

#[tokio::test]
async fn the_layer_is_given_presences_as_they_are_and_not_as_they_were_stored() {
    let (mut stage, troubled) = start().await;
    let mut ada = Watcher::enter(&mut stage, vec![track("ada", r#"{"at":1}"#)]).await;
    let mut bob = Watcher::enter(&mut stage, vec![track("bob", "{}")]).await;
    stored(&stage, 2).await;
    troubled.set(Trouble::Away);
    ada.say(&stage.worker, vec![track("ada", r#"{"at":2}"#)])
        .await;
    bob.say(&stage.worker, vec![untrack("bob")]).await;
    let (sink, group) = (troubled.sink(), GroupName::presences(TOPIC));
    until(async || {
        let mut all = sink.memberships().await;
        all.retain(|membership| membership.group == group);
        let metas = |one: &Membership| {
            let stored = Stored::decode(&one.meta).unwrap();
            let metas = stored.entries.iter();
            metas.map(|entry| entry.meta.clone()).collect::<Vec<_>>()
        };
        all.iter().flat_map(metas).collect::<Vec<_>>() == [r#"{"at":2}"#]
    })
    .await;
    troubled.set(Trouble::None);
}

#[tokio::test]
async fn all_there_is_is_said_as_it_is_when_everybody_is_stored() {
    let (mut stage, troubled) = start().await;
    let _ada = Watcher::enter(&mut stage, vec![track("ada", "{}")]).await;
    let mut bob = Watcher::enter(&mut stage, vec![track("bob", "{}")]).await;
    stored(&stage, 2).await;
    let node = stage.rig.layer.another_node();
    let mut mailbox = node.mailbox().await.unwrap();
    let group = GroupName::topic(TOPIC);
    let heard = node.group_add(&group, mailbox.channel(), Bytes::new());
    heard.await.unwrap();
    troubled.hold(Call::Change);
    troubled.sink().memberships().await;
    within(troubled.held(2)).await;
    let done = TopicReply::Push {
        event: "done".into(),
        payload: json("{}"),
    };
    bob.say(&stage.worker, vec![untrack("bob"), done]).await;
    assert!(bob.client.text().await.contains("done"));
    troubled.let_go();
    let change = loop {
        let Some(Mail::Group { reply, .. }) = within(mailbox.next()).await else {
            panic!("what the group is told");
        };
        if let Some(TopicReply::Presence(change)) = reply.topic.into_iter().next()
            && change.source.incarnation > 0
        {
            break change;
        }
    };
    let ChangeKind::Full { entries } = &change.kind else {
        panic!("all there is, not {change:?}");
    };
    let keys: Vec<&str> = entries.iter().map(|entry| &*entry.key).collect();
    assert_eq!(keys, ["ada"]);
}
