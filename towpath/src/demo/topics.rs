//! Topics for whoever measures: joins, answers and broadcasts, and nothing else.

use serde::{Deserialize, Serialize};
use towpath::prelude::*;

/// Anybody.
#[derive(Serialize, Deserialize)]
pub(crate) struct Anybody;

/// A client in a topic of `bench:*`.
#[derive(Serialize, Deserialize)]
pub(crate) struct Bench;

impl TopicSocket for Anybody {
    async fn connect(_: SocketParams, _: &ConnectInfo) -> Result<Self> {
        Ok(Self)
    }
}

impl TopicConsumer for Bench {
    type Socket = Anybody;

    async fn join(_: TopicPayload, _: &Anybody, _: &Topic) -> Result<Joined<Self>> {
        Ok(Joined::ok(Self))
    }

    async fn handle_in(
        &mut self,
        event: &str,
        payload: TopicPayload,
        topic: &Topic,
    ) -> Result<Answer> {
        match event {
            "echo" => Ok(Answer::payload("ok", payload)),
            "shout" => {
                topic.broadcast_payload("shout", payload).await?;
                Ok(Answer::none())
            }
            _ => Err(topic.unknown(event)),
        }
    }
}
