//! History: in which order those are told who are there already.

use std::sync::Arc;

use towpath_interface_server::ServerConfig;
use towpath_layer_core::{
    Broadcast, ChannelLayer, Event, GroupName, InboxEntry, Limits, Position, Reply, TopicReply,
};
use towpath_testkit::{Call, Trouble, Troubled};

use super::resume::{TOPIC, response, said};
use super::stage::{Stage, json};
use crate::client::Client;
use crate::rig::{Rig, config, layer, within};

/// One shard, on a layer with troubles.
async fn start() -> (Stage, Arc<Troubled>) {
    start_with(config()).await
}

async fn start_with(config: ServerConfig) -> (Stage, Arc<Troubled>) {
    let memory = layer(Limits::default());
    let troubled = Troubled::new(memory.clone());
    let server = Arc::clone(&troubled) as Arc<dyn ChannelLayer>;
    let config = ServerConfig {
        shards: 1,
        ..config
    };
    let rig = Rig::start_on(config, memory, server, None, None).await;
    let worker = rig.worker();
    (Stage { rig, worker }, troubled)
}

fn group() -> GroupName {
    GroupName::topic(TOPIC)
}

impl Stage {
    /// A client that has joined, and has asked for nothing of the past.
    async fn bystander(&mut self) -> (Client, Event) {
        let mut client = self.connect().await;
        let join = self.asked(&mut client).await;
        let response = json(r#"{"hello":1}"#);
        self.complete(&join, vec![TopicReply::Joined { response }])
            .await;
        self::response(&mut client).await;
        (client, join)
    }

    async fn tell(&self, numbers: impl IntoIterator<Item = u64>) {
        for number in numbers {
            self.publish_to(TOPIC, number).await;
        }
    }
}

/// What a client is told, in this order and no more.
async fn hears(client: &mut Client, numbers: impl IntoIterator<Item = u64>) {
    for number in numbers {
        assert_eq!(said(client).await.0, number);
    }
}

#[tokio::test]
async fn what_comes_while_the_first_reads_the_history_is_told_once_to_all() {
    let (mut stage, troubled) = start().await;
    let (mut bystander, _) = stage.bystander().await;
    stage.tell(1..=2).await;
    hears(&mut bystander, 1..=2).await;
    troubled.hold(Call::History);
    let mut client = stage.connect().await;
    let join = stage.asked(&mut client).await;
    stage.welcome_back(&join, None, 1).await;
    within(troubled.held(1)).await;
    stage.tell(3..=4).await;
    hears(&mut bystander, 3..=4).await;
    troubled.let_go();
    response(&mut client).await;
    stage.tell(5..=6).await;
    hears(&mut bystander, 5..=6).await;
    hears(&mut client, 2..=6).await;
}

#[tokio::test]
async fn an_order_ends_with_the_last_member() {
    for (with_all, late) in [(false, false), (true, false), (false, true)] {
        let (mut stage, troubled) = start().await;
        let mut client = stage.connect().await;
        let join = stage.asked(&mut client).await;
        let channel = &join.reply_channel;
        if late {
            // It has gone before its history is read.
            troubled.hold(Call::History);
            stage.welcome_back(&join, None, 0).await;
            within(troubled.held(1)).await;
            drop(client);
            let mut ended = [stage.worker.next().await, stage.worker.next().await];
            ended.sort_by_key(|event| event.topic.is_none());
            for event in &ended {
                stage.worker.done(event).await;
            }
            troubled.let_go();
        } else {
            stage.welcome_back(&join, None, 0).await;
            response(&mut client).await;
            let left = if with_all {
                stage.rig.layer.discard_all(channel).await
            } else {
                stage.rig.layer.group_discard(&group(), channel).await
            };
            left.unwrap();
        }
        // Nobody here is told these, and whoever comes has not asked for them.
        stage.tell(1..=3).await;
        let (mut bystander, _) = stage.bystander().await;
        stage.tell(4..=5).await;
        hears(&mut bystander, 4..=5).await;
    }
}

/// What a publisher sends, whose message comes in whatever order.
fn arrival(at: Position, number: u64) -> InboxEntry {
    let broadcast = Broadcast {
        topic: TOPIC.into(),
        event: "said".into(),
        payload: json(&format!(r#"{{"n":{number}}}"#)),
        except: None,
    };
    let position = Position {
        offset: at.offset + number,
        ..at
    };
    let reply = Reply {
        topic: vec![TopicReply::Broadcast(broadcast)],
        position: Some(Box::new(position)),
        ..Reply::default()
    };
    let group = group();
    InboxEntry::Group { group, reply }
}

#[tokio::test]
async fn what_waited_for_another_is_told_though_it_is_more_than_may_be_left_unread() {
    let (mut stage, troubled) = start_with(ServerConfig {
        outbox_bytes_max: 512,
        ..config()
    })
    .await;
    let mut client = stage.connect().await;
    let join = stage.asked(&mut client).await;
    stage.welcome_back(&join, None, 0).await;
    response(&mut client).await;
    let recalled = stage.rig.layer.group_history(&group(), None, 0).await;
    let at = recalled.unwrap().position;
    let sink = troubled.sink();
    for number in (1..=30).rev() {
        sink.deliver(arrival(at, number)).unwrap();
    }
    hears(&mut client, 1..=30).await;
}

#[tokio::test]
async fn what_a_client_says_that_it_has_seen_sets_no_order() {
    let (mut stage, troubled) = start().await;
    stage.tell(1..=3).await;
    let recalled = stage.rig.layer.group_history(&group(), None, 0).await;
    let at = recalled.unwrap().position;
    let (mut bystander, _) = stage.bystander().await;
    let beyond = Position {
        offset: u64::MAX,
        ..at
    };
    let mut liar = stage.connect().await;
    let join = stage.asked(&mut liar).await;
    troubled.set(Trouble::Away);
    let said = Some(beyond.to_string());
    stage.welcome_back(&join, said.as_deref(), 0).await;
    assert_eq!(response(&mut liar).await["resync"], true);
    troubled.set(Trouble::None);
    let mut client = stage.connect().await;
    stage.resumed(&mut client, None, 0).await;
    for number in [2, 3, 1] {
        let arrival = arrival(at, number);
        troubled.sink().deliver(arrival).unwrap();
    }
    hears(&mut bystander, 1..=3).await;
    hears(&mut client, 1..=3).await;
}
