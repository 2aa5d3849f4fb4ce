//! A chat with functions: one for each thing that happens on a socket.

use std::process::ExitCode;

use axum::{response::Html, routing::get};
use serde::{Deserialize, Serialize};
use towpath::prelude::*;

const PAGE: &str = concat!(include_str!("../head.html"), include_str!("page.html"));

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Request {
    Hello { name: String },
    Say { text: String },
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum News<'a> {
    Joined { name: &'a str },
    Said { name: &'a str, text: &'a str },
    Left { name: &'a str },
}

async fn connect(Path(room): Path<String>, groups: Groups) -> Result {
    groups.add(format!("chat.{room}")).await
}

async fn receive(
    Path(room): Path<String>,
    Json(request): Json<Request>,
    mut name: Session<String>,
    groups: Groups,
) -> Result {
    let news = match &request {
        Request::Hello { name: new } => {
            name.clone_from(new);
            News::Joined { name: new }
        }
        Request::Say { text } => News::Said { name: &name, text },
    };
    groups.send_json(format!("chat.{room}"), &news).await?;
    Ok(())
}

async fn disconnect(Path(room): Path<String>, name: Session<String>, groups: Groups) -> Result {
    let news = News::Left { name: &name };
    groups.send_json(format!("chat.{room}"), &news).await?;
    Ok(())
}

fn main() -> ExitCode {
    let chat = websocket().connect(connect).receive(receive).disconnect(disconnect);
    App::new()
        .route("/chat/{room}", chat)
        .http(axum::Router::new().route("/", get(async || Html(PAGE))))
        .run()
}
