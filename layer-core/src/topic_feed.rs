//! What is broadcast in some topics, for a task.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;

use crate::{
    Broadcast, ChannelLayer, GroupError, GroupName, LayerError, Mail, Mailbox, Reply, TopicReply,
};

/// What a [`TopicFeed`] brings.
#[derive(Debug, Clone, PartialEq)]
pub enum Fed {
    /// A broadcast of one of the topics.
    Broadcast(Broadcast),
    /// Broadcasts may be missing here: nobody read the feed for too long, or its
    /// node was without its backend.
    Gap,
}

/// The broadcasts of some topics, from all nodes and in order. It holds what a
/// [`Mailbox`] holds.
#[derive(Debug)]
pub struct TopicFeed {
    layer: Arc<dyn ChannelLayer>,
    mailbox: Mailbox,
    topics: BTreeSet<ByteString>,
    ready: VecDeque<Broadcast>,
    /// A gap was read, and is not told yet.
    gap: bool,
}

impl TopicFeed {
    /// A feed of no topics.
    ///
    /// # Errors
    ///
    /// As [`ChannelLayer::mailbox`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn open(layer: Arc<dyn ChannelLayer>) -> Result<Self, LayerError> {
        Ok(Self {
            mailbox: layer.mailbox().await?,
            layer,
            topics: BTreeSet::new(),
            ready: VecDeque::new(),
            gap: false,
        })
    }

    /// Adds a topic: what is broadcast there from then on.
    ///
    /// # Errors
    ///
    /// As [`ChannelLayer::group_add`].
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have added the topic or not.
    pub async fn add(&mut self, topic: &str) -> Result<(), GroupError> {
        self.topics.insert(topic.into());
        self.join(topic).await
    }

    /// Takes a topic away; fine if it was not there. What was broadcast before
    /// still comes.
    ///
    /// # Errors
    ///
    /// As [`ChannelLayer::group_discard`].
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have taken the topic away or not.
    pub async fn remove(&mut self, topic: &str) -> Result<(), GroupError> {
        self.topics.remove(topic);
        let group = GroupName::topic(topic);
        self.layer
            .group_discard(&group, self.mailbox.channel())
            .await
    }

    /// Waits for what comes next; `None` once the node has left the layer.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Fed> {
        loop {
            if let Some(broadcast) = self.ready.pop_front() {
                return Some(Fed::Broadcast(broadcast));
            }
            if self.gap {
                self.rejoin().await;
                self.gap = false;
                return Some(Fed::Gap);
            }
            match self.mailbox.next().await? {
                Mail::Reply(reply) | Mail::Group { reply, .. } => self.read(reply),
                Mail::Gap => self.gap = true,
            }
        }
    }

    fn read(&mut self, reply: Reply) {
        let broadcasts = reply.topic.into_iter().filter_map(|said| match said {
            TopicReply::Broadcast(broadcast) => Some(broadcast),
            _ => None,
        });
        self.ready.extend(broadcasts);
    }

    /// A join may have been on its way when the backend was lost. If it cannot
    /// be repeated now, the backend is away again, and another gap follows.
    async fn rejoin(&self) {
        for topic in &self.topics {
            if self.join(topic).await.is_err() {
                return;
            }
        }
    }

    async fn join(&self, topic: &str) -> Result<(), GroupError> {
        let group = GroupName::topic(topic);
        let channel = self.mailbox.channel();
        self.layer.group_add(&group, channel, Bytes::new()).await
    }
}
