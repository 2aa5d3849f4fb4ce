//! A topic in which every client has a count of its own.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use towpath::prelude::*;

use crate::Visitor;

/// What a consumer waits for, a database for example.
const WORK: Duration = Duration::from_millis(20);

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Counter {
    count: u64,
}

impl TopicConsumer for Counter {
    type Socket = Visitor;

    async fn join(_: TopicPayload, _: &Visitor, _: &Topic) -> Result<Joined<Self>> {
        Ok(Joined::ok(Self { count: 0 }))
    }

    async fn handle_in(
        &mut self,
        event: &str,
        payload: TopicPayload,
        topic: &Topic,
    ) -> Result<Answer> {
        match event {
            "bump" => {
                tokio::time::sleep(WORK).await;
                self.count += 1;
                Ok(Answer::ok(&json!({"count": self.count})))
            }
            "shout" => {
                topic.broadcast_payload("shout", payload).await?;
                Ok(Answer::none())
            }
            _ => Err(topic.unknown(event)),
        }
    }
}
