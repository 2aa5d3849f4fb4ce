//! `/socket`: topics for people who talk, and for whoever measures.

use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use towpath::prelude::*;

/// The longest name, in characters.
const NAME_LEN_MAX: usize = 40;

/// The longest text, in characters.
const TEXT_LEN_MAX: usize = 2000;

/// Whoever has connected, under the name that they gave.
#[derive(Serialize, Deserialize)]
pub(crate) struct Guest {
    user: Option<String>,
}

/// A person in a room, `chat:*`.
#[derive(Serialize, Deserialize)]
pub(crate) struct Chat {
    user: String,
    typing: bool,
}

/// A client that measures, in a topic of `bench:*`.
#[derive(Serialize, Deserialize)]
pub(crate) struct Bench;

#[derive(Deserialize)]
struct Say {
    text: String,
}

#[derive(Serialize)]
struct Said<'a> {
    user: &'a str,
    text: &'a str,
    /// Milliseconds since 1970.
    at: u128,
}

#[derive(Serialize, Deserialize)]
struct Typing {
    typing: bool,
}

impl TopicSocket for Guest {
    async fn connect(params: SocketParams, _: &ConnectInfo) -> Result<Self> {
        let user = params.get("user").map(str::trim).map(str::to_owned);
        Ok(Self { user })
    }
}

impl TopicConsumer for Chat {
    type Socket = Guest;
    const PRESENCE: Watch = Watch::Diffs;
    const HISTORY: Option<History> = Some(History {
        size: 100,
        ttl: Duration::from_hours(24),
    });
    const HISTORY_ON_JOIN: u32 = 20;

    async fn join(_: TopicPayload, socket: &Guest, topic: &Topic) -> Result<Joined<Self>> {
        let name = socket.user.as_ref();
        let fits = |name: &&String| (1..=NAME_LEN_MAX).contains(&name.chars().count());
        let Some(user) = name.filter(fits).cloned() else {
            let reason = format!("a name has 1 to {NAME_LEN_MAX} characters");
            return Err(Error::rejected(reason));
        };
        topic.track(&*user, &Typing { typing: false })?;
        let typing = false;
        Ok(Joined::ok(Self { user, typing }))
    }

    async fn handle_in(
        &mut self,
        event: &str,
        payload: TopicPayload,
        topic: &Topic,
    ) -> Result<Answer> {
        match event {
            "new_msg" => self.say(&payload.json()?, topic).await,
            "typing" => {
                let typing: Typing = payload.json()?;
                if typing.typing != self.typing {
                    self.typing = typing.typing;
                    topic.update(&*self.user, &typing)?;
                }
                Ok(Answer::none())
            }
            _ => Err(topic.unknown(event)),
        }
    }
}

impl Chat {
    async fn say(&self, say: &Say, topic: &Topic) -> Result<Answer> {
        let text = say.text.trim();
        if !(1..=TEXT_LEN_MAX).contains(&text.chars().count()) {
            let reason = format!("a message has 1 to {TEXT_LEN_MAX} characters");
            return Err(Error::rejected(reason));
        }
        let at = UNIX_EPOCH.elapsed().unwrap_or_default().as_millis();
        let user = &*self.user;
        topic.broadcast("new_msg", &Said { user, text, at }).await?;
        Ok(Answer::ok(&serde_json::json!({})))
    }
}

impl TopicConsumer for Bench {
    type Socket = Guest;

    async fn join(_: TopicPayload, _: &Guest, _: &Topic) -> Result<Joined<Self>> {
        Ok(Joined::ok(Self))
    }

    async fn handle_in(
        &mut self,
        event: &str,
        payload: TopicPayload,
        topic: &Topic,
    ) -> Result<Answer> {
        match event {
            "echo" => Ok(Answer::payload("ok", payload)),
            "shout" => {
                topic.broadcast_payload("shout", payload).await?;
                Ok(Answer::none())
            }
            _ => Err(topic.unknown(event)),
        }
    }
}
