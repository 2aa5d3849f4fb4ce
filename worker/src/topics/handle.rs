//! Topics, from anywhere.

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use towpath_layer_core::{
    Broadcast, ChannelLayer, ChannelName, Delivery, Frame, GroupName, History, Reply, TopicReply,
};

use super::{Histories, Kept, Presences, Subscription, TopicPattern, TopicPayload, names};
use crate::effects::Effect;
use crate::{Context, Error, FromContext, Result, held};

/// Topics, to broadcast to: from any consumer, as an argument, and from any
/// task of any process with [`Topics::new`].
///
/// A broadcast goes to everybody who has joined the topic, on every node; it is
/// encoded once, and kept only if the topic has a
/// [history](super::TopicConsumer::HISTORY). What it carries is a JSON object (a
/// struct or a map) or bytes.
///
/// ```
/// use serde_json::json;
/// use towpath_worker::{Payload, Result, Topics};
///
/// async fn announce(Payload(line): Payload<String>, topics: Topics) -> Result {
///     topics.broadcast("room:lobby", "news", &json!({"line": line})).await?;
///     Ok(())
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Topics {
    layer: Arc<dyn ChannelLayer>,
    histories: Histories,
}

impl Topics {
    /// For code that is no consumer. It knows no routes, and so of no topic that
    /// it keeps a history: [`with_history`](Self::with_history) says so. Those of
    /// [`Router::topics`](crate::Router::topics) do.
    #[must_use]
    pub fn new(layer: Arc<dyn ChannelLayer>) -> Self {
        Self::with(layer, Histories::default())
    }

    pub(crate) fn with(layer: Arc<dyn ChannelLayer>, histories: Histories) -> Self {
        Self { layer, histories }
    }

    /// For a consumer, of any topic or none: with what the routes say.
    pub(super) fn of(context: &Context) -> Self {
        let histories = context.environment().histories.clone();
        Self::with(Arc::clone(context.layer()), histories)
    }

    /// A topic, or all that begin alike (`room:*`), keep a history: the one that
    /// their consumer's [`HISTORY`](super::TopicConsumer::HISTORY) says. What is
    /// broadcast without is told, and not kept.
    ///
    /// # Errors
    ///
    /// An internal [`Error`] if the pattern is not valid.
    pub fn with_history(self, pattern: &str, history: History) -> Result<Self> {
        let unfit = |reason| Error::internal(format!("the topic {pattern:?}: {reason}"));
        let histories = self.histories.with(Kept {
            pattern: TopicPattern::new(pattern).map_err(unfit)?,
            history: Some(history),
        });
        Ok(Self { histories, ..self })
    }

    /// How much of what is broadcast in a topic is kept, if any is.
    #[must_use]
    pub fn history(&self, topic: impl AsRef<str>) -> Option<History> {
        self.histories.of(topic.as_ref())
    }

    /// Sends a message to everybody who has joined a topic; says how many nodes
    /// took it.
    ///
    /// # Errors
    ///
    /// [`Error`] with the layer's
    /// [`SendError`](towpath_layer_core::SendError), or an internal one if the
    /// value is no JSON object, or the name of topic or event is the
    /// protocol's own (`phoenix`, `phx_…`).
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have reached some nodes.
    pub async fn broadcast<T: Serialize + Sync + ?Sized>(
        &self,
        topic: impl AsRef<str>,
        event: &str,
        payload: &T,
    ) -> Result<Delivery> {
        let payload = TopicPayload::encode(payload)?;
        self.broadcast_payload(topic, event, payload).await
    }

    /// As [`broadcast`](Self::broadcast), with bytes.
    ///
    /// # Errors
    ///
    /// As [`broadcast`](Self::broadcast).
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have reached some nodes.
    pub async fn broadcast_bytes(
        &self,
        topic: impl AsRef<str>,
        event: &str,
        payload: impl Into<Bytes>,
    ) -> Result<Delivery> {
        let payload = TopicPayload::binary(payload);
        self.broadcast_payload(topic, event, payload).await
    }

    /// As [`broadcast`](Self::broadcast), with what is encoded already.
    ///
    /// # Errors
    ///
    /// As [`broadcast`](Self::broadcast).
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have reached some nodes.
    pub async fn broadcast_payload(
        &self,
        topic: impl AsRef<str>,
        event: &str,
        payload: TopicPayload,
    ) -> Result<Delivery> {
        let payload = payload.into_message()?;
        self.send(names::broadcast(topic.as_ref(), event, payload)?)
            .await
    }

    /// As [`broadcast`](Self::broadcast), for everybody but one conversation:
    /// [`Topic::channel`](super::Topic::channel) names it.
    ///
    /// # Errors
    ///
    /// As [`broadcast`](Self::broadcast).
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have reached some nodes.
    pub async fn broadcast_from<T: Serialize + Sync + ?Sized>(
        &self,
        except: &ChannelName,
        topic: impl AsRef<str>,
        event: &str,
        payload: &T,
    ) -> Result<Delivery> {
        let payload = TopicPayload::encode(payload)?;
        self.broadcast_payload_from(except, topic, event, payload)
            .await
    }

    /// As [`broadcast_from`](Self::broadcast_from), with bytes, or what is
    /// encoded already.
    ///
    /// # Errors
    ///
    /// As [`broadcast`](Self::broadcast).
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have reached some nodes.
    pub async fn broadcast_payload_from(
        &self,
        except: &ChannelName,
        topic: impl AsRef<str>,
        event: &str,
        payload: TopicPayload,
    ) -> Result<Delivery> {
        let payload = payload.into_message()?;
        let mut broadcast = names::broadcast(topic.as_ref(), event, payload)?;
        broadcast.except = Some(except.clone());
        self.send(broadcast).await
    }

    /// As [`broadcast`](Self::broadcast), to those alone who are connected to
    /// this process's own node; it is never kept. In a process without an
    /// interface server nobody is.
    ///
    /// # Errors
    ///
    /// As [`broadcast`](Self::broadcast).
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have sent the message or not.
    pub async fn local_broadcast<T: Serialize + Sync + ?Sized>(
        &self,
        topic: impl AsRef<str>,
        event: &str,
        payload: &T,
    ) -> Result<Delivery> {
        let payload = TopicPayload::encode(payload)?;
        self.local_broadcast_payload(topic, event, payload).await
    }

    /// As [`local_broadcast`](Self::local_broadcast), with bytes, or what is
    /// encoded already.
    ///
    /// # Errors
    ///
    /// As [`broadcast`](Self::broadcast).
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have sent the message or not.
    pub async fn local_broadcast_payload(
        &self,
        topic: impl AsRef<str>,
        event: &str,
        payload: TopicPayload,
    ) -> Result<Delivery> {
        let payload = payload.into_message()?;
        self.send_local(names::broadcast(topic.as_ref(), event, payload)?)
            .await
    }

    /// As [`local_broadcast`](Self::local_broadcast), for everybody but one
    /// conversation.
    ///
    /// # Errors
    ///
    /// As [`broadcast`](Self::broadcast).
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have sent the message or not.
    pub async fn local_broadcast_from<T: Serialize + Sync + ?Sized>(
        &self,
        except: &ChannelName,
        topic: impl AsRef<str>,
        event: &str,
        payload: &T,
    ) -> Result<Delivery> {
        let payload = TopicPayload::encode(payload)?;
        self.local_broadcast_payload_from(except, topic, event, payload)
            .await
    }

    /// As [`local_broadcast_from`](Self::local_broadcast_from), with bytes, or
    /// what is encoded already.
    ///
    /// # Errors
    ///
    /// As [`broadcast`](Self::broadcast).
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have sent the message or not.
    pub async fn local_broadcast_payload_from(
        &self,
        except: &ChannelName,
        topic: impl AsRef<str>,
        event: &str,
        payload: TopicPayload,
    ) -> Result<Delivery> {
        let payload = payload.into_message()?;
        let mut broadcast = names::broadcast(topic.as_ref(), event, payload)?;
        broadcast.except = Some(except.clone());
        self.send_local(broadcast).await
    }

    /// The broadcasts of a topic from now on, from all processes, for the task
    /// that asks. A conversation has
    /// [`Topic::subscribe`](super::Topic::subscribe) for the same.
    ///
    /// # Errors
    ///
    /// [`Error`] with the layer's
    /// [`LayerError`](towpath_layer_core::LayerError) or
    /// [`GroupError`](towpath_layer_core::GroupError), or an internal one if the
    /// topic is the protocol's own (`phoenix`).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn subscribe(&self, topic: impl AsRef<str>) -> Result<Subscription> {
        held::flush().await;
        Subscription::begin(Arc::clone(&self.layer), topic.as_ref()).await
    }

    /// Who is present in a topic, on all nodes. It reads every member: ask for
    /// it now and then, and let clients follow by
    /// [`PRESENCE`](super::TopicConsumer::PRESENCE).
    ///
    /// # Errors
    ///
    /// [`Error`] with the layer's
    /// [`LayerError`](towpath_layer_core::LayerError).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn presences(&self, topic: impl AsRef<str>) -> Result<Presences> {
        Presences::read(&*self.layer, topic.as_ref()).await
    }

    /// Ends every socket of an [id](super::TopicSocket::id), on every node,
    /// with 1001: its clients connect again.
    ///
    /// # Errors
    ///
    /// As [`broadcast`](Self::broadcast).
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have reached some nodes.
    pub async fn disconnect(&self, socket_id: impl AsRef<str>) -> Result<Delivery> {
        let payload = Frame::Text("{}".into());
        let disconnect = names::broadcast(socket_id.as_ref(), names::DISCONNECT, payload)?;
        let (group, reply) = group_message(disconnect);
        held::flush().await;
        Ok(self.layer.group_send(&group, reply).await?)
    }

    pub(super) async fn send(&self, broadcast: Broadcast) -> Result<Delivery> {
        let history = self.histories.of(&broadcast.topic);
        let (group, reply) = group_message(broadcast);
        held::flush().await;
        match history {
            None => Ok(self.layer.group_send(&group, reply).await?),
            Some(history) => {
                let (delivery, _) = self.layer.group_publish(&group, reply, &history).await?;
                Ok(delivery)
            }
        }
    }

    async fn send_local(&self, broadcast: Broadcast) -> Result<Delivery> {
        let (group, reply) = group_message(broadcast);
        held::flush().await;
        Ok(self.layer.group_send_local(&group, reply).await?)
    }

    /// The same, once the consumer has returned.
    pub(super) fn effect(&self, broadcast: Broadcast) -> Effect {
        let history = self.histories.of(&broadcast.topic);
        let (group, reply) = group_message(broadcast);
        match history {
            None => Effect::GroupSend(group, reply),
            Some(history) => Effect::Publish(group, reply, history),
        }
    }

    pub(super) fn layer(&self) -> &dyn ChannelLayer {
        &*self.layer
    }
}

/// What an outbox sends for a broadcast.
pub(crate) fn broadcast_effect<T: Serialize + ?Sized>(
    context: &Context,
    topic: &str,
    event: &str,
    payload: &T,
) -> Result<Effect> {
    let payload = TopicPayload::encode(payload)?.into_message()?;
    Ok(Topics::of(context).effect(names::broadcast(topic, event, payload)?))
}

/// A broadcast, and the group through which it goes.
fn group_message(broadcast: Broadcast) -> (GroupName, Reply) {
    let group = GroupName::topic(&broadcast.topic);
    let reply = Reply {
        topic: vec![TopicReply::Broadcast(broadcast)],
        ..Reply::default()
    };
    (group, reply)
}

impl FromContext for Topics {
    async fn from_context(context: &Context) -> Result<Self> {
        Ok(Self::of(context))
    }
}
