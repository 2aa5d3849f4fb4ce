//! `topic …`: what an operator tells those who joined a topic, and hears there.

use std::io;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Subcommand;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use towpath_worker::{Error, Heard, Topics};

use super::output;

/// What to do with a topic.
#[derive(Debug, Subcommand)]
pub(crate) enum TopicCommand {
    /// Send a message to everybody who has joined a topic.
    Broadcast {
        /// The topic, room:lobby for example.
        topic: String,
        /// What the message is.
        event: String,
        /// What it says: an object.
        #[arg(value_name = "JSON")]
        payload: String,
    },
    /// Print what is broadcast in topics, one a line, until a signal comes.
    Subscribe {
        /// The topics.
        #[arg(required = true, value_name = "TOPIC")]
        topics: Vec<String>,
    },
    /// End every socket of an id with 1001; its clients connect again.
    Disconnect {
        /// The id that the socket's consumer gave it.
        socket_id: String,
    },
}

impl TopicCommand {
    /// How long it may take, if not as long as other commands.
    pub(crate) fn time_max(&self) -> Option<Duration> {
        matches!(self, Self::Subscribe { .. }).then_some(Duration::MAX)
    }

    /// Does it, and prints what came of it.
    ///
    /// # Errors
    ///
    /// A name of the protocol's own, what is no JSON object, or what the layer
    /// says.
    ///
    /// # Cancel safety
    ///
    /// It may have reached some nodes.
    pub(crate) async fn run(self, topics: Topics, json: bool) -> Result<()> {
        let delivery = match self {
            Self::Broadcast {
                topic,
                event,
                payload,
            } => {
                let payload: Box<RawValue> = serde_json::from_str(&payload)
                    .with_context(|| format!("{payload:?} is not JSON"))?;
                topics.broadcast(topic, &event, &*payload).await
            }
            Self::Disconnect { socket_id } => topics.disconnect(socket_id).await,
            Self::Subscribe { topics: names } => return listen(&topics, &names, json).await,
        };
        Ok(output::delivery(
            &delivery.map_err(|error| told(&error))?,
            json,
        )?)
    }
}

/// An error that tells its cause itself.
fn told(error: &Error) -> anyhow::Error {
    anyhow!("{error}")
}

/// Prints what is broadcast until somebody ends it.
async fn listen(topics: &Topics, names: &[String], json: bool) -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let [first, others @ ..] = names else {
        return Ok(());
    };
    let mut news = topics
        .subscribe(first)
        .await
        .map_err(|error| told(&error))?;
    for name in others {
        news.subscribe(name).await.map_err(|error| told(&error))?;
    }
    eprintln!("subscribed to {}", names.join(", "));
    loop {
        let heard = tokio::select! {
            heard = news.next() => heard,
            _ = interrupt.recv() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
        };
        match heard {
            Some(heard) if print(&heard, json)? => {}
            Some(_) => return Ok(()),
            None => return Err(anyhow!("the layer is closed")),
        }
    }
}

/// Returns whether anybody reads it.
fn print(heard: &Heard, as_json: bool) -> io::Result<bool> {
    let Heard::Broadcast {
        topic,
        event,
        payload,
    } = heard
    else {
        eprintln!("something may be missing here");
        return Ok(true);
    };
    let bytes = payload.bytes().ok().map(|bytes| STANDARD.encode(bytes));
    if !as_json {
        let what = match (&bytes, payload.text()) {
            (None, Ok(text)) => one_line(text),
            (bytes, _) => format!("base64 {}", bytes.as_deref().unwrap_or_default()),
        };
        return output::line_for_reader(&format!("{topic} {event} {what}"));
    }
    let line = match bytes {
        Some(bytes) => json!({"topic": &**topic, "event": &**event, "bytes": bytes}),
        None => {
            let payload: Value = payload.json().unwrap_or_default();
            json!({"topic": &**topic, "event": &**event, "payload": payload})
        }
    };
    output::line_for_reader(&line.to_string())
}

/// JSON as it came, unless it has line breaks.
fn one_line(json: &str) -> String {
    let compact = || serde_json::from_str::<Value>(json).map(|value| value.to_string());
    if json.contains(['\n', '\r']) {
        return compact().unwrap_or_default();
    }
    json.to_owned()
}
