//! A group over several nodes, each of which takes what arrives in its inbox.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::time::timeout;
use towpath::config::Layer;
use towpath::layer::{
    ChannelName, GroupName, InboxEntry, InboxSink, LocalId, Membership, Refused, Reply,
};

use super::{Shared, open, send};

const NODES: usize = 4;
const MEMBERS: u64 = 1_000;
/// All that was sent must have arrived within this.
const ARRIVAL_WAIT: Duration = Duration::from_secs(30);

/// An inbox that counts.
#[derive(Debug, Default)]
struct Count {
    messages: AtomicUsize,
    more: Notify,
}

impl Count {
    async fn reaches(&self, messages: usize) {
        loop {
            let more = self.more.notified();
            if self.messages.load(Ordering::Acquire) >= messages {
                return;
            }
            more.await;
        }
    }
}

#[async_trait]
impl InboxSink for Count {
    fn deliver(&self, entry: InboxEntry) -> Result<(), Refused> {
        if matches!(entry, InboxEntry::Group { .. }) {
            self.messages.fetch_add(1, Ordering::Release);
            self.more.notify_one();
        }
        Ok(())
    }

    async fn room(&self) {}

    fn mark_gap(&self) {}

    fn is_live(&self, _member: LocalId) -> bool {
        true
    }

    async fn memberships(&self) -> Vec<Membership> {
        Vec::new()
    }
}

/// A group with members on several nodes.
#[derive(Debug)]
pub(super) struct Group {
    name: GroupName,
    nodes: Vec<(Shared, Arc<Count>)>,
    sender: Shared,
}

impl Group {
    pub(super) async fn open(at: impl Fn() -> Layer) -> Result<Self> {
        let name = GroupName::new("bench")?;
        let mut nodes = Vec::new();
        for _ in 0..NODES {
            let layer = open(at()).await?;
            let count = Arc::new(Count::default());
            layer.attach(Arc::clone(&count) as _).await?;
            for member in 0..MEMBERS / NODES as u64 {
                let channel = ChannelName::reply(layer.node(), LocalId(member));
                layer.group_add(&name, &channel, Default::default()).await?;
            }
            nodes.push((layer, count));
        }
        Ok(Self {
            name,
            nodes,
            sender: open(at()).await?,
        })
    }

    /// Sends so many messages one after the other, and waits until all nodes have them.
    pub(super) async fn send(&self, messages: usize) -> Result<()> {
        let reply = Reply::bytes(vec![7; send::PAYLOAD]);
        for _ in 0..messages {
            let delivery = self.sender.group_send(&self.name, reply.clone()).await?;
            ensure!(
                delivery.dropped == 0,
                "a group send was dropped: {delivery:?}"
            );
        }
        for (_, count) in &self.nodes {
            timeout(ARRIVAL_WAIT, count.reaches(messages))
                .await
                .context("not every group send has arrived")?;
        }
        Ok(())
    }

    pub(super) async fn close(&self) {
        self.sender.close().await;
        for (layer, _) in &self.nodes {
            layer.close().await;
        }
    }
}
