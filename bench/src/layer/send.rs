//! Messages from send to receive, in the ways in which programs send.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use tokio::task::JoinSet;
use towpath::layer::{ChannelName, Content, SendError};

use super::{Shared, Sizes};

/// Its capacity is that of the events of an interface server.
const CHANNEL: &str = "websocket.bench";

/// Payload of one message, in bytes.
pub(super) const PAYLOAD: usize = 100;

/// How messages are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// One sender, many at a time.
    Batch,
    /// Many senders, one at a time each.
    Single,
    /// One sender that waits until each is received.
    PingPong,
}

impl Way {
    pub(super) const ALL: [Self; 3] = [Self::Batch, Self::Single, Self::PingPong];

    pub(super) fn scenario(self) -> &'static str {
        match self {
            Self::Batch => "layer-batch",
            Self::Single => "layer-single",
            Self::PingPong => "layer-ping-pong",
        }
    }

    /// A tenth of the messages where one waits for the other.
    pub(super) fn messages(self, sizes: &Sizes) -> usize {
        match self {
            Self::Batch | Self::Single => sizes.messages,
            Self::PingPong => sizes.messages / 10,
        }
    }

    pub(super) async fn run(self, sizes: &Sizes, sender: &Shared, receiver: &Shared) -> Result<()> {
        let (messages, batch) = (self.messages(sizes), sizes.batch);
        match self {
            Self::Batch => {
                let sending = send(sender, messages, batch);
                let (sent, got) = tokio::join!(sending, receive(receiver, messages, batch));
                sent.and(got)
            }
            Self::Single => {
                let sending = send_singly(sender, messages, batch);
                let (sent, got) = tokio::join!(sending, receive(receiver, messages, batch));
                sent.and(got)
            }
            Self::PingPong => ping_pong(sender, receiver, messages).await,
        }
    }
}

fn channel() -> Result<ChannelName> {
    Ok(ChannelName::new(CHANNEL)?)
}

async fn send(layer: &Shared, messages: usize, batch: usize) -> Result<()> {
    let content = Content::encode(&"x".repeat(PAYLOAD))?;
    let name = channel()?;
    let mut left = messages;
    while left > 0 {
        let batch = vec![(name.clone(), content.clone().into()); batch.min(left)];
        for sent in layer.send_many(batch).await {
            match sent {
                Ok(()) => left -= 1,
                Err(SendError::ChannelFull { channel }) => layer.room(&channel).await?,
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

async fn send_singly(layer: &Shared, messages: usize, senders: usize) -> Result<()> {
    let mut tasks = JoinSet::new();
    for number in 0..senders {
        let layer = Arc::clone(layer);
        let share = messages / senders + usize::from(number < messages % senders);
        tasks.spawn(async move { send(&layer, share, 1).await });
    }
    while let Some(sent) = tasks.join_next().await {
        sent??;
    }
    Ok(())
}

async fn receive(layer: &Shared, messages: usize, batch: usize) -> Result<()> {
    let mut receiver = layer.receiver(vec![channel()?])?;
    let mut buffer = Vec::new();
    let mut left = messages;
    while left > 0 {
        left -= receiver.receive_many(&mut buffer, batch.min(left)).await?;
        buffer.clear();
    }
    receiver.close().await.context("giving back")
}

async fn ping_pong(sender: &Shared, receiving: &Shared, messages: usize) -> Result<()> {
    let mut receiver = receiving.receiver(vec![channel()?])?;
    let mut buffer = Vec::new();
    for _ in 0..messages {
        send(sender, 1, 1).await?;
        let received = receiver.receive_many(&mut buffer, 1).await?;
        ensure!(received == 1, "{received} messages for one");
        buffer.clear();
    }
    receiver.close().await.context("giving back")
}
