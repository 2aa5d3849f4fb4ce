//! A talk with its audience: two streams over one WebSocket.

use std::process::ExitCode;
use std::time::Duration;

use axum::{response::Html, routing::get};
use serde::{Deserialize, Serialize};
use towpath::prelude::*;

const PAGE: &str = concat!(include_str!("../head.html"), include_str!("page.html"));

#[derive(Serialize, Deserialize)]
struct Chat {
    name: String,
}

impl JsonConsumer for Chat {
    type Incoming = String;
    type Outgoing = (String, String);

    async fn connect(socket: &JsonSocket<Self::Outgoing>) -> Result<Self> {
        Ok(Self { name: socket.path()? })
    }

    fn groups(&self) -> Vec<String> {
        vec!["talk".to_owned()]
    }

    async fn receive(&mut self, text: String, socket: &JsonSocket<Self::Outgoing>) -> Result {
        socket.group_send("talk", &(self.name.clone(), text)).await?;
        Ok(())
    }
}

#[derive(Clone, Copy, Serialize, Deserialize)]
enum Reaction {
    Clap,
    Heart,
    Laugh,
}

async fn react(
    Json(reaction): Json<Reaction>,
    mut spent: Session<u8>,
    groups: Groups,
    socket: Socket,
) -> Result {
    if *spent == 5 {
        return Err(Error::rejected("five reactions at once are enough"));
    }
    *spent += 1;
    socket.tick_every(Duration::from_secs(2), "reactions.rest").await?;
    groups.send_json("talk", &reaction).await?;
    Ok(())
}

async fn rest(mut spent: Session<u8>, socket: Socket) -> Result {
    *spent = spent.saturating_sub(1);
    if *spent == 0 { socket.stop_ticking("reactions.rest").await } else { Ok(()) }
}

fn main() -> ExitCode {
    let reactions = websocket().receive(react).on("reactions.rest", rest);
    let streams = demultiplexer().stream("chat", Chat::websocket()).stream("reactions", reactions);
    App::new()
        .route("/talk/{name}", streams)
        .http(axum::Router::new().route("/", get(async || Html(PAGE))))
        .run()
}
