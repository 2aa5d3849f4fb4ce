//! The layer: channels of the application, and other connections.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use towpath_layer_core::{ChannelLayer, ChannelName, Content, DelayKey, Message, Reply};

use super::FromContext;
use crate::{Context, Result, held};

/// The layer on which the event came: channels of the application, and other
/// connections. Code that is no consumer makes one with [`Layer::new`].
///
/// A name that is not valid is an internal [`Error`](crate::Error) that shows
/// it.
#[derive(Debug, Clone)]
pub struct Layer {
    layer: Arc<dyn ChannelLayer>,
}

impl Layer {
    /// For code that is no consumer.
    #[must_use]
    pub fn new(layer: Arc<dyn ChannelLayer>) -> Self {
        Self { layer }
    }

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
        held::flush().await;
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
    pub async fn reply(&self, channel: &ChannelName, reply: impl Into<Reply>) -> Result {
        let message = Message::Reply(reply.into());
        held::flush().await;
        Ok(self.layer.send(channel, message).await?)
    }

    /// Sends a value to a channel of the application later: expiry and place
    /// in the queue count from then on. It survives the end of this process if
    /// the layer does. The key [`cancel`](Self::cancel)s it.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), or if the delay is longer than the layer's
    /// `delay_max`, or as many as `delayed_max` wait on the channel.
    ///
    /// # Cancel safety
    ///
    /// A dropped future may leave the message waiting.
    pub async fn send_after<T: Serialize + Sync + ?Sized>(
        &self,
        delay: Duration,
        channel: impl AsRef<str>,
        value: &T,
    ) -> Result<DelayKey> {
        let channel = ChannelName::new(channel)?;
        let message = Message::Custom(Content::encode(value)?);
        held::flush().await;
        Ok(self.layer.send_after(delay, &channel, message).await?)
    }

    /// Cancels what was to be sent later; false if it was not waiting any more.
    ///
    /// # Errors
    ///
    /// [`Error`](crate::Error) with the layer's
    /// [`LayerError`](towpath_layer_core::LayerError).
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have cancelled the message or not.
    pub async fn cancel(&self, key: &DelayKey) -> Result<bool> {
        Ok(self.layer.cancel(key).await?)
    }

    /// The layer with all it can do. What is asked of it may overtake what the
    /// consumer wrote last to its own connection.
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
