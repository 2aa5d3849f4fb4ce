//! Runs steps on a backend and writes down what they show.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use tokio::time::timeout;
use towpath_layer_core::{
    ChannelLayer, ChannelName, Content, DelayKey, Frame, GroupName, LocalId, Message, Position,
    Reply, SendError,
};

use super::{CHANNELS, CONNECTIONS, DELAY, GROUPS, HISTORY, NODES, Observed, Shown, Step};
use crate::{Backend, CollectingSink};

/// How long one step may take, besides the passing of time.
const STEP_MAX: Duration = Duration::from_secs(15);

/// The reply that is sent to see that those before it have come.
const BARRIER: u64 = u64::MAX;

pub(super) async fn run(backend: &dyn Backend, steps: &[Step]) -> Observed {
    let mut run = Run::new(backend).await;
    let mut shown = Vec::new();
    for (at, step) in (0..).zip(steps) {
        if matches!(step, Step::Pass) {
            backend.pass(super::PASS).await;
        }
        match timeout(STEP_MAX, run.apply(at, step)).await {
            Ok(step) => shown.push(step),
            Err(_) => panic!("{step:?} took longer than {STEP_MAX:?}"),
        }
    }
    run.collect().await;
    for node in &run.nodes {
        node.layer.close().await;
    }
    Observed {
        steps: shown,
        replies: run.replies,
    }
}

struct Node {
    layer: Arc<dyn ChannelLayer>,
    sink: Arc<CollectingSink>,
}

struct Run {
    nodes: Vec<Node>,
    channels: Vec<ChannelName>,
    groups: Vec<GroupName>,
    /// Connection n is on node n modulo the number of nodes.
    connections: Vec<(LocalId, ChannelName)>,
    replies: Vec<Vec<u64>>,
    /// The delayed messages that were not cancelled.
    keys: Vec<DelayKey>,
    /// The epoch of each group's history, as it was seen last.
    epochs: [Option<u64>; GROUPS],
}

impl Run {
    async fn new(backend: &dyn Backend) -> Self {
        let mut nodes = Vec::new();
        for _ in 0..NODES {
            let layer = backend.node().await;
            let sink = Arc::new(CollectingSink::new(layer.limits()));
            layer.attach(sink.clone()).await.unwrap();
            nodes.push(Node { layer, sink });
        }
        let connections = (0..CONNECTIONS).map(|number| {
            let node = &nodes[number % NODES];
            let local = node.sink.open();
            (local, ChannelName::reply(node.layer.node(), local))
        });
        let group = |number| GroupName::new(format!("group-{number}")).unwrap();
        Self {
            connections: connections.collect(),
            nodes,
            channels: CHANNELS.map(|name| ChannelName::new(name).unwrap()).into(),
            groups: (0..GROUPS).map(group).collect(),
            replies: vec![Vec::new(); CONNECTIONS],
            keys: Vec::new(),
            epochs: [None; GROUPS],
        }
    }

    async fn apply(&mut self, at: u64, step: &Step) -> Shown {
        let layer = |node: &usize| &self.nodes[*node].layer;
        let member = |member: &usize| &self.connections[*member].1;
        match step {
            Step::Send {
                node,
                channel,
                count,
            } => send(layer(node), &self.channels[*channel], at, *count).await,
            Step::SendLater {
                node,
                channel,
                count,
            } => self.send_later(*node, *channel, at, *count).await,
            Step::Cancel { node } => self.cancel(*node).await,
            Step::Receive { node, channel, max } => {
                receive(layer(node), &self.channels[*channel], *max).await
            }
            Step::Reply { node, to } => {
                let reply = Reply::text(at.to_string());
                layer(node).send(member(to), reply.into()).await.unwrap();
                Shown::Done
            }
            Step::Add {
                node,
                group,
                member: who,
                meta,
            } => {
                let (group, meta) = (&self.groups[*group], Bytes::from(vec![*meta]));
                let added = layer(node).group_add(group, member(who), meta).await;
                added.unwrap();
                Shown::Done
            }
            Step::Discard {
                node,
                group,
                member: who,
            } => {
                let group = &self.groups[*group];
                let ended = layer(node).group_discard(group, member(who)).await;
                ended.unwrap();
                Shown::Done
            }
            Step::DiscardAll { node, member: who } => {
                layer(node).discard_all(member(who)).await.unwrap();
                Shown::Done
            }
            Step::GroupSend { node, group } => self.group_send(layer(node), *group, at).await,
            Step::Publish { node, group } => self.publish(*node, *group, at).await,
            Step::Recall {
                node,
                group,
                since,
                max,
            } => self.recall(*node, *group, *since, *max).await,
            Step::Members { node, group } => self.members(layer(node), *group).await,
            Step::ChannelGroups { node, member: who } => {
                self.groups_of(layer(node), member(who)).await
            }
            Step::Pass => Shown::Done,
            Step::Flush { node } => {
                let layer = Arc::clone(layer(node));
                // What is on its way to a connection may go with the flush.
                self.collect().await;
                layer.flush().await.unwrap();
                Shown::Done
            }
        }
    }

    async fn send_later(&mut self, node: usize, channel: usize, at: u64, count: usize) -> Shown {
        let (layer, channel) = (&self.nodes[node].layer, &self.channels[channel]);
        for _ in 0..count {
            let message = Content::encode(&at).unwrap().into();
            let key = layer.send_after(DELAY, channel, message).await;
            self.keys.push(key.unwrap());
        }
        Shown::Done
    }

    async fn cancel(&mut self, node: usize) -> Shown {
        let layer = &self.nodes[node].layer;
        match self.keys.pop() {
            Some(key) => Shown::Cancelled(Some(layer.cancel(&key).await.unwrap())),
            None => Shown::Cancelled(None),
        }
    }

    async fn group_send(&self, layer: &Arc<dyn ChannelLayer>, group: usize, at: u64) -> Shown {
        let reply = Reply::text(at.to_string());
        let sent = layer.group_send(&self.groups[group], reply).await.unwrap();
        Shown::Delivered(sent.nodes, sent.delivered, sent.dropped)
    }

    async fn groups_of(&self, layer: &Arc<dyn ChannelLayer>, member: &ChannelName) -> Shown {
        let groups = layer.channel_groups(member).await.unwrap();
        let number = |group| self.groups.iter().position(|known| known == group);
        Shown::Groups(groups.iter().filter_map(number).collect())
    }

    async fn publish(&mut self, node: usize, group: usize, at: u64) -> Shown {
        let (layer, name) = (&self.nodes[node].layer, &self.groups[group]);
        let reply = Reply::text(at.to_string());
        let published = layer.group_publish(name, reply, &HISTORY).await;
        let (sent, position) = published.unwrap();
        self.epochs[group] = Some(position.epoch);
        Shown::Published(sent.nodes, sent.delivered, sent.dropped, position.offset)
    }

    async fn recall(&mut self, node: usize, group: usize, since: u64, max: usize) -> Shown {
        let (layer, name) = (&self.nodes[node].layer, &self.groups[group]);
        let since = self.epochs[group].map(|epoch| Position {
            epoch,
            offset: since,
        });
        let recalled = layer.group_history(name, since, max).await.unwrap();
        let position = recalled.position;
        self.epochs[group] = Some(position.epoch);
        let messages = recalled.messages.iter().map(|reply| {
            let at = reply.position.as_deref().expect("a published message");
            assert_eq!(at.epoch, position.epoch, "all are of one epoch");
            (at.offset, number_in(reply))
        });
        Shown::Recalled(position.offset, recalled.complete, messages.collect())
    }

    async fn members(&self, layer: &Arc<dyn ChannelLayer>, group: usize) -> Shown {
        let group = &self.groups[group];
        let listed: Vec<_> = layer.group_members(group).try_collect().await.unwrap();
        let count = layer.group_count(group).await.unwrap();
        assert_eq!(listed.len() as u64, count, "the list and the count");
        let number = |name| {
            let mut known = self.connections.iter();
            let number = known.position(|(_, known)| known == name);
            number.expect("a connection of this run")
        };
        let members: BTreeMap<_, _> = listed
            .iter()
            .map(|member| (number(&member.channel), member.meta.to_vec()))
            .collect();
        assert_eq!(members.len(), listed.len(), "a member is listed once");
        Shown::Members(members)
    }

    /// Waits until every connection has what was sent to it.
    async fn collect(&mut self) {
        for (number, (local, name)) in self.connections.iter().enumerate() {
            let node = &self.nodes[number % NODES];
            let barrier = Reply::text(BARRIER.to_string());
            node.layer.send(name, barrier.into()).await.unwrap();
            loop {
                let reply = node.sink.next(*local).await;
                match number_in(&reply) {
                    BARRIER => break,
                    reply => self.replies[number].push(reply),
                }
            }
        }
    }
}

fn number_in(reply: &Reply) -> u64 {
    match &reply.frame {
        Some(Frame::Text(text)) => text.parse().unwrap(),
        _ => panic!("a reply of nobody's: {reply:?}"),
    }
}

async fn send(
    layer: &Arc<dyn ChannelLayer>,
    channel: &ChannelName,
    at: u64,
    count: usize,
) -> Shown {
    let message: Message = Content::encode(&at).unwrap().into();
    let sent = match count {
        1 => vec![layer.send(channel, message).await],
        _ => {
            layer
                .send_many(vec![(channel.clone(), message); count])
                .await
        }
    };
    let accepted = sent.into_iter().map(|sent| match sent {
        Ok(()) => true,
        Err(SendError::ChannelFull { .. }) => false,
        Err(other) => panic!("{other}"),
    });
    Shown::Sent(accepted.collect())
}

/// Receives what is there, and gives back the rest.
async fn receive(layer: &Arc<dyn ChannelLayer>, channel: &ChannelName, max: usize) -> Shown {
    let seen = layer.channel_statistics(channel).await.unwrap();
    let count = usize::try_from(seen.pending).map_or(max, |pending| pending.min(max));
    let mut receiver = layer.receiver(vec![channel.clone()]).unwrap();
    let mut received = Vec::new();
    while received.len() < count {
        let rest = count - received.len();
        receiver.receive_many(&mut received, rest).await.unwrap();
    }
    receiver.close().await.unwrap();
    // What is due has the room that this made.
    layer.channel_statistics(channel).await.unwrap();
    let numbers = received.iter().map(|one| match &one.message {
        Message::Custom(content) => content.decode().unwrap(),
        other => panic!("not a number: {other:?}"),
    });
    Shown::Received(numbers.collect())
}
