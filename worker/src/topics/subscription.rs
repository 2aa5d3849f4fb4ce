//! What is broadcast in topics, for code that is no consumer.

use std::sync::Arc;

use bytestring::ByteString;
use towpath_layer_core::{ChannelLayer, Fed, TopicFeed};

use super::{TopicPayload, names};
use crate::Result;

/// What a [`Subscription`] brings.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Heard {
    /// A broadcast.
    Broadcast {
        /// The topic.
        topic: ByteString,
        /// What it is.
        event: ByteString,
        /// What it carries.
        payload: TopicPayload,
    },
    /// Broadcasts may be missing here: 1024 of them, or 1 MiB, waited to be
    /// read and more came, or this process was without its backend. What the
    /// subscriber knows by them is to be read anew.
    Gap,
}

/// The broadcasts of some topics, from all processes, for a task; its own are
/// among them. [`Topics::subscribe`](super::Topics::subscribe) begins one.
///
/// What one process broadcasts comes in its order. Dropping the subscription
/// ends it.
///
/// ```
/// use towpath_worker::{Heard, Result, Topics};
///
/// async fn watch(topics: Topics) -> Result {
///     let mut news = topics.subscribe("room:lobby").await?;
///     while let Some(heard) = news.next().await {
///         if let Heard::Broadcast { event, payload, .. } = heard {
///             println!("{event}: {}", payload.text()?);
///         }
///     }
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct Subscription {
    feed: TopicFeed,
}

impl Subscription {
    pub(super) async fn begin(layer: Arc<dyn ChannelLayer>, topic: &str) -> Result<Self> {
        names::check_topic(topic)?;
        let mut feed = TopicFeed::open(layer).await?;
        feed.add(topic).await?;
        Ok(Self { feed })
    }

    /// Takes another topic in: what is broadcast there from then on.
    ///
    /// # Errors
    ///
    /// As [`Topics::subscribe`](super::Topics::subscribe).
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have subscribed or not.
    pub async fn subscribe(&mut self, topic: impl AsRef<str>) -> Result {
        names::check_topic(topic.as_ref())?;
        Ok(self.feed.add(topic.as_ref()).await?)
    }

    /// Leaves a topic out from now on; fine if it was not in. What was
    /// broadcast before still comes.
    ///
    /// # Errors
    ///
    /// As [`Topics::subscribe`](super::Topics::subscribe).
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have unsubscribed or not.
    pub async fn unsubscribe(&mut self, topic: impl AsRef<str>) -> Result {
        Ok(self.feed.remove(topic.as_ref()).await?)
    }

    /// Waits for what comes next; `None` once the process has left the layer.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Heard> {
        Some(match self.feed.next().await? {
            Fed::Broadcast(broadcast) => Heard::Broadcast {
                topic: broadcast.topic,
                event: broadcast.event,
                payload: broadcast.payload.into(),
            },
            Fed::Gap => Heard::Gap,
        })
    }
}
