//! A topic whose clients know who else is there.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use towpath::prelude::*;
use towpath::worker::Watch as Watching;

use crate::socket::UserSocket;

/// Somebody who is there, or who only looks.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Presence {
    key: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Entry {
    #[serde(default)]
    key: Option<String>,
    #[serde(default)]
    meta: Map<String, Value>,
}

impl TopicConsumer for Presence {
    type Socket = UserSocket;

    const PRESENCE: Watching = Watching::Diffs;

    async fn join(payload: TopicPayload, _: &UserSocket, topic: &Topic) -> Result<Joined<Self>> {
        let Entry { key, meta } = payload.json()?;
        if let Some(key) = &key {
            topic.track(key.as_str(), &meta)?;
        }
        Ok(Joined::ok(Self { key }))
    }

    async fn handle_in(
        &mut self,
        event: &str,
        payload: TopicPayload,
        topic: &Topic,
    ) -> Result<Answer> {
        let key = || {
            self.key
                .clone()
                .ok_or_else(|| Error::rejected("only looks"))
        };
        match event {
            "update" => topic.update(key()?, &payload.json::<Entry>()?.meta)?,
            "untrack" => topic.untrack(key()?)?,
            "list" => return Ok(Answer::ok(&topic.presences().await?)),
            "get" => {
                let asked = payload.json::<Entry>()?.key.unwrap_or_default();
                let all = topic.presences().await?;
                let metas = all.get_by_key(&asked);
                let entry = (!metas.is_empty()).then(|| json!({"metas": metas}));
                return Ok(Answer::ok(&json!({"entry": entry})));
            }
            "crash" => panic!("a message told the topic to crash"),
            _ => return Err(topic.unknown(event)),
        }
        Ok(Answer::ok(&json!({})))
    }
}
