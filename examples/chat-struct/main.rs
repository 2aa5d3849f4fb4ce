//! A chat with a struct: its fields are what a connection remembers.

use std::collections::BTreeSet;
use std::process::ExitCode;

use axum::{response::Html, routing::get};
use serde::{Deserialize, Serialize};
use towpath::prelude::*;

const PAGE: &str = concat!(include_str!("../head.html"), include_str!("page.html"));

#[derive(Serialize, Deserialize)]
struct Chat {
    room: String,
    name: String,
    muted: BTreeSet<String>,
}

#[derive(Serialize, Deserialize)]
struct Line {
    name: String,
    text: String,
}

impl WebsocketConsumer for Chat {
    async fn connect(socket: &Socket) -> Result<Self> {
        let (room, name) = socket.path()?;
        let muted = BTreeSet::new();
        Ok(Self { room, name, muted })
    }

    fn groups(&self) -> Vec<String> {
        vec![format!("chat.{}", self.room)]
    }

    async fn receive_text(&mut self, text: &str, socket: &Socket) -> Result {
        if let Some(name) = text.strip_prefix("/mute ") {
            self.muted.insert(name.to_owned());
            return Ok(());
        }
        let (name, text) = (self.name.clone(), text.to_owned());
        let room = format!("chat.{}", self.room);
        socket.groups().send_event(room, "chat.line", &Line { name, text }).await?;
        Ok(())
    }

    async fn event(&mut self, event: Application, socket: &Socket) -> Result {
        let line: Line = event.content.decode()?;
        if self.muted.contains(&line.name) {
            return Ok(());
        }
        socket.json(&line).await
    }
}

fn main() -> ExitCode {
    App::new()
        .route("/chat/{room}/{name}", Chat::websocket())
        .http(axum::Router::new().route("/", get(async || Html(PAGE))))
        .run()
}
