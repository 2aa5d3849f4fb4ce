//! Conversations that always have an event in flight.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use towpath::prelude::*;

/// What a consumer waits for, a database for example.
const WORK: Duration = Duration::from_millis(20);

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Busy {
    count: u64,
}

impl WebsocketConsumer for Busy {
    async fn connect(_: &Socket) -> Result<Self> {
        Ok(Self { count: 0 })
    }

    /// Answers with the number that came and how many came before.
    async fn receive_text(&mut self, text: &str, socket: &Socket) -> Result {
        tokio::time::sleep(WORK).await;
        self.count += 1;
        socket.text(format!("{text} {}", self.count)).await
    }
}
