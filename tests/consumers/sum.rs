//! Typed JSON in both directions.

use serde::{Deserialize, Serialize};
use towpath::prelude::*;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Sum(i64);

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    Add(i64),
    Clear,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    Sum(i64),
    Misfit(String),
}

impl JsonConsumer for Sum {
    type Incoming = Request;
    type Outgoing = Answer;

    async fn connect(_: &JsonSocket<Answer>) -> Result<Self> {
        Ok(Self(0))
    }

    async fn receive(&mut self, request: Request, socket: &JsonSocket<Answer>) -> Result {
        match request {
            Request::Add(by) => self.0 += by,
            Request::Clear => self.0 = 0,
        }
        socket.send(&Answer::Sum(self.0)).await
    }

    async fn misfit(&mut self, error: Error, socket: &JsonSocket<Answer>) -> Result {
        socket.send(&Answer::Misfit(error.to_string())).await
    }
}
