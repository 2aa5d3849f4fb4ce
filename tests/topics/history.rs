//! A topic that remembers what was said last.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use towpath::layer::History;
use towpath::prelude::*;

use crate::socket::UserSocket;

/// Somebody who reads and says something.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Remembered;

#[derive(Debug, Serialize, Deserialize)]
struct Line {
    n: Value,
}

impl TopicConsumer for Remembered {
    type Socket = UserSocket;

    const HISTORY: Option<History> = Some(History {
        size: 5,
        ttl: Duration::from_mins(1),
    });

    async fn join(_: TopicPayload, _: &UserSocket, _: &Topic) -> Result<Joined<Self>> {
        Ok(Joined::ok(Self))
    }

    async fn handle_in(
        &mut self,
        event: &str,
        payload: TopicPayload,
        topic: &Topic,
    ) -> Result<Answer> {
        if event != "say" {
            return Err(topic.unknown(event));
        }
        let line: Line = payload.json()?;
        topic.broadcast("said", &line).await?;
        Ok(Answer::ok(&json!({})))
    }
}
