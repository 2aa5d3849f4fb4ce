//! One connection for commands, from its making to its breaking.

use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Pipeline, PushInfo, PushKind, Value};
use tokio_util::sync::CancellationToken;

use super::dialer::Dialer;
use crate::failure::Failure;
use crate::link::News;
use crate::{scripts, value};

/// The first version that can wait for several messages on several lists.
const MAJOR_MIN: u32 = 7;

/// A connection that works, or did.
#[derive(Debug)]
pub(crate) struct Session {
    connection: MultiplexedConnection,
    serial: u64,
    run_id: String,
    uptime: Duration,
    tracks: bool,
    broken: CancellationToken,
}

impl Session {
    pub(super) async fn establish(
        dialer: &Dialer,
        news: &News,
        serial: u64,
    ) -> Result<Self, Failure> {
        let broken = CancellationToken::new();
        let connection = dialer
            .commands(listener(news.clone(), broken.clone()))
            .await
            .map_err(Failure::lost)?;
        let mut session = Self {
            connection,
            serial,
            run_id: String::new(),
            uptime: Duration::ZERO,
            tracks: false,
            broken,
        };
        let mut greeting = Pipeline::new();
        greeting.cmd("PING").cmd("INFO").arg("server");
        for load in scripts::load_all() {
            greeting.add_command(load);
        }
        // Whoever may not do this reads registries each time.
        greeting
            .cmd("CLIENT")
            .arg("TRACKING")
            .arg("ON")
            .arg("OPTIN");
        let mut answers = session.exchange(&greeting).await?;
        session.tracks = matches!(answers.pop(), Some(Value::Okay));
        let mut answers = answers.into_iter();
        for answer in answers.as_slice() {
            if let Value::ServerError(error) = answer {
                return Err(Failure::refused(error.clone()));
            }
        }
        let info = value::text(answers.nth(1).ok_or_else(Failure::unexpected)?)?;
        let field = |name| value::field(&info, name);
        let version = field("redis_version").unwrap_or_default();
        let major = version.split('.').next().and_then(|text| text.parse().ok());
        if major.is_none_or(|major: u32| major < MAJOR_MIN) {
            return Err(Failure::too_old(version));
        }
        session.run_id = field("run_id").unwrap_or_default().to_owned();
        let seconds = field("uptime_in_seconds").and_then(|text| text.parse().ok());
        session.uptime = Duration::from_secs(seconds.unwrap_or(0));
        Ok(session)
    }

    /// A number that no other connection of this link has.
    pub(crate) fn serial(&self) -> u64 {
        self.serial
    }

    /// The server's identity, new with each of its lives.
    pub(crate) fn run_id(&self) -> &str {
        &self.run_id
    }

    /// How long the server had lived when this connection was made.
    pub(super) fn uptime(&self) -> Duration {
        self.uptime
    }

    /// Whether the server tells of changes to what is read after asking for that
    /// (`CLIENT CACHING`).
    pub(crate) fn tracks(&self) -> bool {
        self.tracks
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.broken.is_cancelled()
    }

    pub(super) async fn broken(&self) {
        self.broken.cancelled().await;
    }

    /// Has the connection thrown away and another made.
    pub(crate) fn give_up(&self) {
        self.broken.cancel();
    }

    /// Runs commands in one go; refusals are among the answers.
    pub(crate) async fn exchange(&self, pipeline: &Pipeline) -> Result<Vec<Value>, Failure> {
        if pipeline.is_empty() {
            return Ok(Vec::new());
        }
        let count = pipeline.len();
        let mut connection = self.connection.clone();
        let answers = connection.req_packed_commands(pipeline, 0, count).await;
        answers.map_err(|error| {
            if error.is_unrecoverable_error() || error.is_timeout() {
                self.give_up();
            }
            if error.is_timeout() {
                return Failure::timed_out();
            }
            Failure::lost(error)
        })
    }

    pub(crate) async fn subscribe(&self, topic: &str) -> Result<(), Failure> {
        let mut connection = self.connection.clone();
        connection.subscribe(topic).await.map_err(Failure::lost)
    }

    pub(crate) async fn unsubscribe(&self, topic: &str) -> Result<(), Failure> {
        let mut connection = self.connection.clone();
        connection.unsubscribe(topic).await.map_err(Failure::lost)
    }

    pub(super) async fn time_ms(&self) -> Result<u64, Failure> {
        let mut question = Pipeline::new();
        question.cmd("TIME");
        let mut answers = self.exchange(&question).await?;
        time_ms(answers.pop().ok_or_else(Failure::unexpected)?)
    }
}

/// What `TIME` answers, in milliseconds.
pub(super) fn time_ms(answer: Value) -> Result<u64, Failure> {
    let [seconds, micros] = value::array(answer)?;
    let number = |value| -> Result<u64, Failure> {
        value::text(value)?
            .parse()
            .map_err(|_| Failure::unexpected())
    };
    Ok(number(seconds)? * 1_000 + number(micros)? / 1_000)
}

/// Takes what comes unasked: the end of the connection, and news of room and of
/// registries. It is called before any later answer is given to whoever waits.
fn listener(
    news: News,
    broken: CancellationToken,
) -> impl Fn(PushInfo) -> Result<(), redis::aio::SendError> + Send + Sync + 'static {
    move |info| {
        match info.kind {
            PushKind::Disconnection => broken.cancel(),
            PushKind::Message => {
                if let Ok([topic, freed]) = value::array(Value::Array(info.data))
                    && let (Ok(topic), Ok(freed)) = (value::text(topic), value::text(freed))
                {
                    news.rooms.wake(&topic, freed.parse().unwrap_or(0));
                }
            }
            PushKind::Invalidate => {
                let keys = info.data.into_iter().next().unwrap_or(Value::Nil);
                match value::texts(keys) {
                    Ok(keys) if !keys.is_empty() => {
                        keys.iter().for_each(|key| news.known_nodes.forget(key));
                    }
                    // Everything was deleted, or who knows.
                    _ => news.known_nodes.forget_all(),
                }
            }
            _ => {}
        }
        Ok(())
    }
}
