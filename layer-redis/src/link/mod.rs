//! The connections of a node to its Redis.
//!
//! One carries all commands, pipelined, and is made anew for ever when it
//! breaks ([`Link`]); whoever waits inside Redis has its own ([`Blocking`]).

mod blocking;
mod dialer;
mod session;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use redis::{Cmd, Pipeline, Value};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use towpath_layer_core::metrics::{LAYER_RECONNECTS, LAYER_UP};
use towpath_layer_core::{Clock, Entropy};

use crate::backoff::Backoff;
use crate::failure::{Failure, is_no_script, is_unfit};
use crate::known_nodes::KnownNodes;
use crate::options::RedisOptions;
use crate::rooms::Rooms;
use crate::scripts;
use crate::server_time::ServerTime;

pub(crate) use blocking::{BLOCK, Blocking};
pub(crate) use dialer::Dialer;
pub(crate) use session::Session;

/// The one connection for commands.
#[derive(Debug)]
pub(crate) struct Link {
    dialer: Dialer,
    reconnect_pause_max: Duration,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    news: News,
    pub(crate) time: ServerTime,
    current: watch::Sender<Option<Arc<Session>>>,
    next_serial: AtomicU64,
    epoch: Mutex<Option<Epoch>>,
    /// When the connection was made that followed another, by our clock.
    back_since: Mutex<Option<Duration>>,
    /// Why there is no connection, for those who ask for one.
    last_failure: Mutex<Option<Failure>>,
}

/// Who hears what the server says unasked.
#[derive(Debug, Clone)]
pub(crate) struct News {
    pub(crate) rooms: Arc<Rooms>,
    pub(crate) known_nodes: Arc<KnownNodes>,
}

/// The life of a backend's data.
#[derive(Debug, Clone)]
struct Epoch {
    run_id: String,
    /// When we first saw it, by our clock.
    seen: Duration,
    /// How old it was then, as far as that matters to what we keep in it.
    age: Duration,
}

impl Link {
    pub(crate) fn new(
        options: &RedisOptions,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        news: News,
    ) -> Result<Self, Failure> {
        Ok(Self {
            dialer: Dialer::new(options)?,
            reconnect_pause_max: options.reconnect_pause_max,
            clock,
            entropy,
            news,
            time: ServerTime::default(),
            current: watch::Sender::new(None),
            next_serial: AtomicU64::new(1),
            epoch: Mutex::default(),
            back_since: Mutex::default(),
            last_failure: Mutex::default(),
        })
    }

    pub(crate) fn dialer(&self) -> &Dialer {
        &self.dialer
    }

    /// Pauses between attempts to reach this Redis.
    pub(crate) fn backoff(&self) -> Backoff<'_> {
        Backoff::new(self.reconnect_pause_max, &*self.entropy)
    }

    /// The connection as it is now.
    pub(crate) fn session(&self) -> Result<Arc<Session>, Failure> {
        let session = self.current.borrow().clone();
        session
            .filter(|session| !session.is_broken())
            .ok_or_else(|| Failure::disconnected(self.last_failure.lock().as_ref()))
    }

    /// Lets go of the connection.
    pub(crate) fn end(&self) {
        if let Some(session) = self.current.send_replace(None) {
            session.give_up();
        }
    }

    /// Tells of every connection that is made or lost.
    pub(crate) fn changes(&self) -> watch::Receiver<Option<Arc<Session>>> {
        self.current.subscribe()
    }

    /// Runs commands in order, one answer for each. A script that the server
    /// has forgotten was not run: it is made known and run again.
    pub(crate) async fn run(
        &self,
        commands: impl IntoIterator<Item = Cmd>,
    ) -> Result<Vec<Result<Value, Failure>>, Failure> {
        let session = self.session()?;
        self.run_on(&session, commands).await
    }

    /// The same, on this connection and no other.
    pub(crate) async fn run_on(
        &self,
        session: &Session,
        commands: impl IntoIterator<Item = Cmd>,
    ) -> Result<Vec<Result<Value, Failure>>, Failure> {
        let mut pipeline = Pipeline::new();
        for command in commands {
            pipeline.add_command(command);
        }
        let mut answers = session.exchange(&pipeline).await?;
        let forgotten =
            |answer: &Value| matches!(answer, Value::ServerError(error) if is_no_script(error));
        if answers.iter().any(forgotten) {
            self.repeat(session, &pipeline, &mut answers, forgotten)
                .await?;
        }
        let fitness = answers.iter().find_map(|answer| match answer {
            Value::ServerError(error) if is_unfit(error) => Some(error),
            _ => None,
        });
        if let Some(error) = fitness {
            tracing::warn!(code = error.code(), "redis cannot serve now");
            session.give_up();
        }
        Ok(answers.into_iter().map(checked).collect())
    }

    /// Runs one command.
    pub(crate) async fn run_one(&self, command: Cmd) -> Result<Value, Failure> {
        let answers = self.run([command]).await?;
        answers.into_iter().next().ok_or_else(Failure::unexpected)?
    }

    async fn repeat(
        &self,
        session: &Session,
        pipeline: &Pipeline,
        answers: &mut [Value],
        again: impl Fn(&Value) -> bool,
    ) -> Result<(), Failure> {
        let mut second = Pipeline::new();
        let scripts = scripts::load_all();
        let loads = scripts.len();
        for load in scripts {
            second.add_command(load);
        }
        for (command, answer) in pipeline.cmd_iter().zip(answers.iter()) {
            if again(answer) {
                second.add_command(command.clone());
            }
        }
        let repeated = session.exchange(&second).await?;
        let places = answers.iter_mut().filter(|answer| again(answer));
        for (place, answer) in places.zip(repeated.into_iter().skip(loads)) {
            *place = answer;
        }
        Ok(())
    }

    /// Whether every node has had the time to announce its members.
    pub(crate) fn is_settled(&self, lease: Duration) -> bool {
        let epoch = self.epoch.lock();
        let now = self.clock.now();
        let age = epoch
            .as_ref()
            .map(|epoch| epoch.age + now.saturating_sub(epoch.seen));
        age.is_some_and(|age| age >= lease)
    }

    /// Whether the connection was lost, and another made less than a lease ago.
    /// Others may have lost theirs too, and their leases with them.
    pub(crate) fn was_away(&self, lease: Duration) -> bool {
        let back_since = *self.back_since.lock();
        back_since.is_some_and(|back| self.clock.now().saturating_sub(back) < lease)
    }

    /// Asks the server for its time once more.
    pub(crate) async fn refine_time(&self) -> Result<(), Failure> {
        let asked = self.clock.now();
        let answer = self.run_one(redis::cmd("TIME")).await?;
        self.time
            .refine(asked, self.clock.now(), session::time_ms(answer)?);
        Ok(())
    }

    /// Keeps a connection, for ever.
    pub(crate) async fn supervise(&self, end: &CancellationToken) {
        let mut backoff = self.backoff();
        let mut first = true;
        while !end.is_cancelled() {
            match self.establish().await {
                Ok(session) => {
                    let made = self.clock.now();
                    metrics::gauge!(LAYER_UP).set(1.0);
                    *self.last_failure.lock() = None;
                    if !std::mem::take(&mut first) {
                        metrics::counter!(LAYER_RECONNECTS).increment(1);
                        tracing::info!(run_id = session.run_id(), "redis is back");
                    }
                    let session = Arc::new(session);
                    self.current.send_replace(Some(Arc::clone(&session)));
                    tokio::select! {
                        () = session.broken() => tracing::warn!("the connection to redis is lost"),
                        () = end.cancelled() => {}
                    }
                    metrics::gauge!(LAYER_UP).set(0.0);
                    // One that cannot serve is not asked again at once.
                    if self.clock.now().saturating_sub(made) > self.reconnect_pause_max {
                        backoff.reset();
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "redis is out of reach");
                    *self.last_failure.lock() = Some(error);
                }
            }
            self.current.send_replace(None);
            // What was read through it is told to nobody any more.
            self.news.known_nodes.forget_all();
            tokio::select! {
                () = backoff.pause() => {}
                () = end.cancelled() => {}
            }
        }
    }

    async fn establish(&self) -> Result<Session, Failure> {
        let serial = self.next_serial.fetch_add(1, Ordering::Relaxed);
        let session = Session::establish(&self.dialer, &self.news, serial).await?;
        let asked = self.clock.now();
        let server_ms = session.time_ms().await?;
        self.time.replace(asked, self.clock.now(), server_ms);
        let mut epoch = self.epoch.lock();
        let seen = self.clock.now();
        if epoch.is_some() {
            *self.back_since.lock() = Some(seen);
        }
        let age = match &*epoch {
            Some(known) if known.run_id == session.run_id() => return Ok(session),
            // Another server than before: whatever its age, our data is new to it.
            Some(_) => Duration::ZERO,
            None => session.uptime(),
        };
        *epoch = Some(Epoch {
            run_id: session.run_id().to_owned(),
            seen,
            age,
        });
        drop(epoch);
        Ok(session)
    }
}

fn checked(answer: Value) -> Result<Value, Failure> {
    match answer {
        Value::ServerError(error) => Err(Failure::refused(error)),
        answer => Ok(answer),
    }
}
