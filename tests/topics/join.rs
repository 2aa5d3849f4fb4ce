//! What a join of a room can be told to do.

use serde::Deserialize;
use serde_json::{Value, json};
use towpath::prelude::*;

use crate::gates;
use crate::room::Room;
use crate::socket::UserSocket;

/// The payload of a join.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Wishes {
    reply: Option<Value>,
    refuse: Option<Value>,
    crash: bool,
    gate: Option<String>,
    announce: bool,
}

impl Wishes {
    pub(crate) async fn fulfil(self, socket: &UserSocket, topic: &Topic) -> Result<Joined<Room>> {
        assert!(!self.crash, "a join was told to crash");
        if let Some(refusal) = self.refuse {
            return Ok(Joined::refused(&refusal));
        }
        if let Some(gate) = self.gate {
            gates::pass(&topic.layer(), &gate).await?;
        }
        let room = Room::new(socket.clone());
        if self.announce {
            let user = &socket.user;
            topic
                .broadcast("user_entered", &json!({"user": user}))
                .await?;
            let joined = json!({"status": "connected", "user": user});
            topic.push("joined", &joined).await?;
        }
        let joined = Joined::ok(room);
        Ok(match self.reply {
            Some(reply) => joined.with(&reply),
            None => joined,
        })
    }
}
