//! `topic …`: what an operator tells those who joined a topic.

use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use clap::Subcommand;
use serde_json::value::RawValue;
use towpath_layer_core::ChannelLayer;
use towpath_worker::Topics;

use super::output;

/// What to do with a topic.
#[derive(Debug, Subcommand)]
pub(crate) enum TopicCommand {
    /// Send a message to everybody who has joined a topic.
    Broadcast {
        /// The topic, room:lobby for example.
        topic: String,
        /// What the message is.
        event: String,
        /// What it says: an object.
        #[arg(value_name = "JSON")]
        payload: String,
    },
    /// End every socket of an id with 1001; its clients connect again.
    Disconnect {
        /// The id that the socket's consumer gave it.
        socket_id: String,
    },
}

impl TopicCommand {
    /// Does it, and prints what came of it.
    ///
    /// # Errors
    ///
    /// A name of the protocol's own, what is no JSON object, or what the layer
    /// says.
    ///
    /// # Cancel safety
    ///
    /// It may have reached some nodes.
    pub(crate) async fn run(self, layer: Arc<dyn ChannelLayer>, json: bool) -> Result<()> {
        let topics = Topics::new(layer);
        let delivery = match self {
            Self::Broadcast {
                topic,
                event,
                payload,
            } => {
                let payload: Box<RawValue> = serde_json::from_str(&payload)
                    .with_context(|| format!("{payload:?} is not JSON"))?;
                topics.broadcast(topic, &event, &*payload).await
            }
            Self::Disconnect { socket_id } => topics.disconnect(socket_id).await,
        };
        // It tells its cause itself.
        let delivery = delivery.map_err(|error| anyhow!("{error}"))?;
        Ok(output::delivery(&delivery, json)?)
    }
}
