//! A topic that does what its clients tell it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use towpath::prelude::*;
use towpath::worker::TerminateReason;

use crate::join::Wishes;
use crate::socket::{Known, UserSocket};
use crate::{gates, later};

/// The event to itself that ends the sockets of an id.
const DISCONNECT: &str = "disconnect";
const PUSHES_MAX: u64 = 1000;

/// Somebody in a room.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Room {
    user: Option<String>,
    known: Known,
    /// JSON: what the session travels as knows no value of any kind.
    value: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Pushes {
    event: String,
    payload: Map<String, Value>,
    #[serde(default = "one")]
    times: u64,
}

#[derive(Debug, Deserialize)]
struct Told {
    topic: String,
    event: String,
    payload: Value,
}

#[derive(Debug, Deserialize)]
struct Status {
    status: String,
    response: Value,
}

#[derive(Debug, Deserialize)]
struct Named {
    #[serde(alias = "id", alias = "topic")]
    name: String,
}

fn one() -> u64 {
    1
}

impl Room {
    pub(crate) fn new(socket: UserSocket) -> Self {
        Self {
            user: socket.user,
            known: socket.known,
            value: None,
        }
    }
}

impl TopicConsumer for Room {
    type Socket = UserSocket;

    const INTERCEPT: &'static [&'static str] = &["new_msg"];

    async fn join(
        payload: TopicPayload,
        socket: &UserSocket,
        topic: &Topic,
    ) -> Result<Joined<Self>> {
        payload.json::<Wishes>()?.fulfil(socket, topic).await
    }

    async fn handle_in(
        &mut self,
        event: &str,
        payload: TopicPayload,
        topic: &Topic,
    ) -> Result<Answer> {
        match event {
            "crash" => panic!("a message told the room to crash"),
            "stop" => Ok(Answer::none().stop()),
            "stop_reply" => Ok(Answer::ok(&json!({"stopped": true})).stop()),
            "set" => {
                let value: Value = payload.json()?;
                self.value = value.get("value").map(Value::to_string);
                Ok(done())
            }
            "get" => {
                let value: Value = self
                    .value
                    .as_deref()
                    .map_or(Ok(Value::Null), serde_json::from_str)?;
                Ok(Answer::ok(&json!({"value": value})))
            }
            "connect_info" => Ok(Answer::ok(&self.known)),
            "echo" | "error" | "answer" | "nothing" | "later" | "twice" | "bytes" => {
                answered(event, payload, topic).await
            }
            _ => said(event, payload, topic).await,
        }
    }

    async fn handle_out(&mut self, event: &str, payload: TopicPayload, topic: &Topic) -> Result {
        let mut message: Map<String, Value> = payload.json()?;
        message.insert("seen_by".to_owned(), json!(self.user));
        topic.push(event, &message).await
    }

    async fn handle_info(&mut self, info: Info, topic: &Topic) -> Result {
        match info {
            Info::Event(own) if own.name == DISCONNECT => {
                let id: String = own.content.decode()?;
                topic.topics().disconnect(id).await.map(drop)
            }
            Info::Broadcast {
                topic: other,
                event,
                payload,
            } => {
                let payload: Value = payload.json()?;
                let heard = json!({"topic": &*other, "event": &*event, "payload": payload});
                topic.push("heard", &heard).await
            }
            _ => Ok(()),
        }
    }

    async fn terminate(&mut self, terminated: Terminated, topic: &Topic) -> Result {
        let reason = text(&terminated.reason);
        topic.push("you_left", &json!({"reason": reason})).await?;
        let watch = format!("watch:{}", topic.name());
        let report = json!({"topic": topic.name(), "user": self.user, "reason": reason});
        topic
            .topics()
            .broadcast(watch, "terminated", &report)
            .await?;
        Ok(())
    }
}

/// Events that are about answers.
async fn answered(event: &str, payload: TopicPayload, topic: &Topic) -> Result<Answer> {
    match event {
        "echo" => Ok(Answer::payload("ok", payload)),
        "error" => Ok(Answer::payload("error", payload)),
        "answer" => {
            let Status { status, response } = payload.json()?;
            Ok(Answer::status(status, &response))
        }
        "later" => {
            let layer = topic.layer();
            layer.send(later::ANSWER, &topic.reply_ref()?).await?;
            Ok(Answer::none())
        }
        "twice" => {
            let layer = topic.layer();
            layer.send(later::ANSWER_TWICE, &topic.reply_ref()?).await?;
            Ok(Answer::none())
        }
        "bytes" => {
            let bytes = if payload.is_binary() {
                &**payload.bytes()?
            } else {
                &[]
            };
            Ok(Answer::bytes("ok", [bytes, &[3, 4]].concat()))
        }
        _ => Ok(Answer::none()),
    }
}

/// Events that make the room say something.
async fn said(event: &str, payload: TopicPayload, topic: &Topic) -> Result<Answer> {
    match event {
        "push" => pushed(payload.json()?, topic).await?,
        "bytes_push" => {
            let bytes = Bytes::from_static(&[0, 1]);
            topic.push_bytes("bytes_event", bytes).await?;
            return Ok(Answer::none());
        }
        "shout" => topic.broadcast_payload("shout", payload).await?,
        "shout_others" => topic.broadcast_payload_from("shout", payload).await?,
        "new_msg" => {
            topic.broadcast_payload("new_msg", payload).await?;
            return Ok(Answer::none());
        }
        "tell" => {
            let Told {
                topic: other,
                event,
                payload,
            } = payload.json()?;
            topic.topics().broadcast(other, &event, &payload).await?;
        }
        "reserved" => {
            let refused = topic.broadcast("phx_reply", &json!({})).await;
            let reason = refused.err().map(|error| error.to_string());
            return Ok(Answer::error(&json!({"reason": reason})));
        }
        "subscribe" => topic.subscribe(&payload.json::<Named>()?.name).await?,
        "disconnect" => {
            let id = payload.json::<Named>()?.name;
            topic.event(DISCONNECT, &id).await?;
        }
        "open_gate" => {
            let gate = payload.json::<Named>()?.name;
            gates::open(&topic.layer(), &gate).await?;
        }
        "drain" => {
            stop_process()?;
            return Ok(Answer::none());
        }
        _ => return Err(topic.unknown(event)),
    }
    Ok(done())
}

async fn pushed(pushes: Pushes, topic: &Topic) -> Result {
    let Pushes {
        event,
        mut payload,
        times,
    } = pushes;
    for n in 1..=times.min(PUSHES_MAX) {
        payload.insert("n".to_owned(), json!(n));
        topic.push(&event, &payload).await?;
    }
    Ok(())
}

/// As an operator would.
fn stop_process() -> Result {
    let id = std::process::id().to_string();
    let mut kill = std::process::Command::new("kill");
    kill.args(["-TERM", &id]).spawn()?;
    Ok(())
}

fn done() -> Answer {
    Answer::ok(&json!({}))
}

fn text(reason: &TerminateReason) -> &str {
    match reason {
        TerminateReason::Left => "left",
        TerminateReason::DuplicateJoin => "duplicate_join",
        TerminateReason::Closed => "closed",
        TerminateReason::Disconnected => "disconnected",
        TerminateReason::Inactive => "inactive",
        TerminateReason::Draining => "draining",
        TerminateReason::Stopped => "stopped",
        TerminateReason::Other(text) => text,
        _ => "unknown",
    }
}
