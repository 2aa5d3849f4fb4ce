//! A quiz with typed messages: one enum comes in, another goes out.

use std::process::ExitCode;

use axum::{response::Html, routing::get};
use serde::{Deserialize, Serialize};
use towpath::prelude::*;

const PAGE: &str = concat!(include_str!("../head.html"), include_str!("page.html"));

const QUESTIONS: [(&str, [&str; 3], usize); 3] = [
    ("Who walked the towpath?", ["The miller", "The horse", "The lock keeper"], 1),
    ("What does a lock change?", ["The level", "The current", "The toll"], 0),
    ("What does an aqueduct carry?", ["A road", "A toll house", "A canal"], 2),
];

#[derive(Clone, Default, Serialize, Deserialize)]
struct Player {
    name: String,
    asked: usize,
    right: usize,
}

#[derive(Deserialize)]
enum Incoming {
    Play { name: String },
    Answer { choice: usize },
}

#[derive(Serialize)]
enum Outgoing {
    Question { text: &'static str, choices: [&'static str; 3] },
    Verdict { right: bool },
    Standing(Player),
}

impl JsonConsumer for Player {
    type Incoming = Incoming;
    type Outgoing = Outgoing;

    async fn connect(_: &JsonSocket<Outgoing>) -> Result<Self> {
        Ok(Self::default())
    }

    fn groups(&self) -> Vec<String> {
        vec!["quiz".to_owned()]
    }

    async fn receive(&mut self, message: Incoming, socket: &JsonSocket<Outgoing>) -> Result {
        match (message, QUESTIONS.get(self.asked)) {
            (Incoming::Play { name }, _) => *self = Self { name, ..Self::default() },
            (Incoming::Answer { choice }, Some((_, _, answer))) => {
                self.asked += 1;
                self.right += usize::from(choice == *answer);
                socket.send(&Outgoing::Verdict { right: choice == *answer }).await?;
            }
            (Incoming::Answer { .. }, None) => return Err(Error::rejected("the quiz is over")),
        }
        if let Some((text, choices, _)) = QUESTIONS.get(self.asked) {
            socket.send(&Outgoing::Question { text, choices: *choices }).await?;
        }
        socket.group_send("quiz", &Outgoing::Standing(self.clone())).await?;
        Ok(())
    }
}

fn main() -> ExitCode {
    App::new()
        .route("/quiz", Player::websocket())
        .http(axum::Router::new().route("/", get(async || Html(PAGE))))
        .run()
}
