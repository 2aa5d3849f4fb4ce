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

#[derive(Debug, Deserialize)]
struct Wishes {
    /// A welcome is pushed, and this is said to everybody.
    announce: Option<Value>,
}

impl TopicConsumer for Remembered {
    type Socket = UserSocket;

    const HISTORY: Option<History> = Some(History {
        size: 5,
        ttl: Duration::from_mins(1),
    });

    async fn join(payload: TopicPayload, _: &UserSocket, topic: &Topic) -> Result<Joined<Self>> {
        let Wishes { announce } = payload.json()?;
        if let Some(n) = announce {
            topic.push("welcome", &json!({})).await?;
            topic.broadcast("said", &Line { n }).await?;
        }
        Ok(Joined::ok(Self))
    }

    async fn handle_in(
        &mut self,
        event: &str,
        payload: TopicPayload,
        topic: &Topic,
    ) -> Result<Answer> {
        let line: Line = payload.json()?;
        match event {
            "say" => topic.broadcast("said", &line).await?,
            "say_others" => topic.broadcast_from("said", &line).await?,
            _ => return Err(topic.unknown(event)),
        }
        Ok(Answer::ok(&json!({})))
    }
}
