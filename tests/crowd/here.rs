//! A topic in which clients are present.

use serde::{Deserialize, Serialize};
use serde_json::json;
use towpath::prelude::*;
use towpath::worker::Watch;

use crate::Visitor;

/// One client, under a key that others may have as well.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Here {
    key: String,
}

#[derive(Debug, Deserialize)]
struct Entered {
    key: String,
    n: u64,
}

#[derive(Debug, Deserialize)]
struct Changed {
    n: u64,
}

impl TopicConsumer for Here {
    type Socket = Visitor;

    const PRESENCE: Watch = Watch::Diffs;

    async fn join(payload: TopicPayload, _: &Visitor, topic: &Topic) -> Result<Joined<Self>> {
        let Entered { key, n } = payload.json()?;
        topic.track(&*key, &json!({"n": n}))?;
        Ok(Joined::ok(Self { key }))
    }

    async fn handle_in(
        &mut self,
        event: &str,
        payload: TopicPayload,
        topic: &Topic,
    ) -> Result<Answer> {
        match event {
            "track" => {
                let Changed { n } = payload.json()?;
                topic.track(&*self.key, &json!({"n": n}))?;
            }
            "untrack" => topic.untrack(&*self.key)?,
            _ => return Err(topic.unknown(event)),
        }
        Ok(Answer::ok(&json!({})))
    }
}
