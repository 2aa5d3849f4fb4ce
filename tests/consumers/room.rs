//! A type as a consumer: groups, events, fields as the session.

use serde::{Deserialize, Serialize};
use towpath::prelude::*;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Room {
    name: String,
    heard: Vec<String>,
}

impl Room {
    fn group(&self) -> String {
        format!("room.{}", self.name)
    }
}

impl WebsocketConsumer for Room {
    async fn connect(socket: &Socket) -> Result<Self> {
        let name: String = socket.path()?;
        match name.as_str() {
            "closed" => return Err(Error::rejected("this room is closed")),
            "elsewhere" => return Err(Error::close(4404, "gone elsewhere")),
            _ => {}
        }
        let handshake = socket.context().handshake()?;
        if handshake.subprotocols.iter().any(|offered| offered == "v2") {
            socket.accept_subprotocol("v2").await?;
        }
        socket.text("welcome").await?;
        let heard = Vec::new();
        Ok(Self { name, heard })
    }

    fn groups(&self) -> Vec<String> {
        vec![self.group(), "rooms".to_owned()]
    }

    async fn receive_text(&mut self, text: &str, socket: &Socket) -> Result {
        let groups = socket.groups();
        match text {
            "fail" => {
                self.heard.push("what is never kept".to_owned());
                return Err(Error::bad_payload("asked to fail"));
            }
            "heard" => socket.json(&self.heard).await?,
            "count" => socket.json(&groups.count(self.group()).await?).await?,
            "groups" => {
                let joined = groups.joined().await?;
                let names: Vec<&str> = joined.iter().map(GroupName::as_str).collect();
                socket.json(&names).await?;
            }
            "leave" => groups.discard(self.group()).await?,
            "bye" => socket.close(4001, "bye").await?,
            text => {
                let _delivery = groups.send_event(self.group(), "said", text).await?;
            }
        }
        Ok(())
    }

    async fn receive_bytes(&mut self, bytes: Bytes, socket: &Socket) -> Result {
        socket.bytes(bytes).await
    }

    async fn event(&mut self, event: Application, socket: &Socket) -> Result {
        let text: String = event.content.decode()?;
        self.heard.push(text);
        socket
            .text(format!("{} {}", event.name, self.heard.len()))
            .await
    }

    async fn disconnect(&mut self, gone: Disconnected, socket: &Socket) -> Result {
        let groups = socket.groups();
        let left = groups.count(self.group()).await?;
        let line = format!(
            "gone with {} after {}, {left} left",
            gone.code,
            self.heard.len()
        );
        groups.send_text(self.group(), line).await?;
        Ok(())
    }
}
