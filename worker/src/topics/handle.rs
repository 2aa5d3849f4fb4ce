//! Topics, from anywhere.

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use towpath_layer_core::{
    Broadcast, ChannelLayer, ChannelName, Delivery, Frame, GroupName, Reply, TopicReply,
};

use super::{TopicPayload, names};
use crate::{Context, FromContext, Result, held};

/// Topics, to broadcast to: from any consumer, as an argument, and from any
/// task of any process with [`Topics::new`].
///
/// A broadcast goes to everybody who has joined the topic, on every node; it is
/// encoded once, and stored nowhere. What it carries is a JSON object (a struct
/// or a map) or bytes.
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
}

impl Topics {
    /// For code that is no consumer.
    #[must_use]
    pub fn new(layer: Arc<dyn ChannelLayer>) -> Self {
        Self { layer }
    }

    /// Sends a message to everybody who has joined a topic; says how many nodes
    /// took it.
    ///
    /// # Errors
    ///
    /// [`Error`](crate::Error) with the layer's
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
        let payload = TopicPayload::encode(payload)?.into_message()?;
        let mut broadcast = names::broadcast(topic.as_ref(), event, payload)?;
        broadcast.except = Some(except.clone());
        self.send(broadcast).await
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
        self.send(disconnect).await
    }

    pub(super) async fn send(&self, broadcast: Broadcast) -> Result<Delivery> {
        let (group, reply) = group_message(broadcast);
        held::flush().await;
        Ok(self.layer.group_send(&group, reply).await?)
    }

    pub(super) fn layer(&self) -> &dyn ChannelLayer {
        &*self.layer
    }
}

/// A broadcast, and the group through which it goes.
pub(super) fn group_message(broadcast: Broadcast) -> (GroupName, Reply) {
    let group = GroupName::topic(&broadcast.topic);
    let reply = Reply {
        topic: vec![TopicReply::Broadcast(broadcast)],
        ..Reply::default()
    };
    (group, reply)
}

impl FromContext for Topics {
    async fn from_context(context: &Context) -> Result<Self> {
        Ok(Self::new(Arc::clone(context.layer())))
    }
}
