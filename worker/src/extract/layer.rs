//! The layer: channels of the application, and other connections.

use std::sync::Arc;

use serde::Serialize;
use towpath_layer_core::{ChannelLayer, ChannelName, Content, Message, Reply};

use super::FromContext;
use crate::{Context, Result};

/// The layer on which the event came.
///
/// A name that is not valid is an internal [`Error`](crate::Error) that shows
/// it.
#[derive(Debug, Clone)]
pub struct Layer {
    layer: Arc<dyn ChannelLayer>,
}

impl Layer {
    /// Sends a value to a channel of the application; some worker's
    /// [`Payload`](crate::Payload) will be it.
    ///
    /// # Errors
    ///
    /// [`Error`](crate::Error) with the layer's
    /// [`SendError`](towpath_layer_core::SendError), or what the value's
    /// serialisation says.
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have sent the message or not.
    pub async fn send<T: Serialize + Sync + ?Sized>(
        &self,
        channel: impl AsRef<str>,
        value: &T,
    ) -> Result {
        let channel = ChannelName::new(channel)?;
        let message = Message::Custom(Content::encode(value)?);
        Ok(self.layer.send(&channel, message).await?)
    }

    /// Sends a reply to another connection, by its reply channel.
    ///
    /// # Errors
    ///
    /// [`Error`](crate::Error) with the layer's
    /// [`SendError`](towpath_layer_core::SendError).
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have sent the reply or not.
    pub async fn reply(&self, channel: &ChannelName, reply: Reply) -> Result {
        Ok(self.layer.send(channel, Message::Reply(reply)).await?)
    }

    /// The layer with all it can do.
    #[must_use]
    pub fn inner(&self) -> &Arc<dyn ChannelLayer> {
        &self.layer
    }
}

impl FromContext for Layer {
    async fn from_context(context: &Context) -> Result<Self> {
        Ok(Self {
            layer: Arc::clone(context.layer()),
        })
    }
}
