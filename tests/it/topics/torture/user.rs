//! One user: comes and goes, here and there, as chance has it.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::form::{Form, HALL_SHARE};
use super::seat::Seat;
use crate::topics::client::{Client, Heard};

/// What all users do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Whatever comes to their minds.
    Torture,
    /// Nothing, but to wait for answers.
    Settle,
}

/// How often one who settles looks whether it has its answers.
const SETTLE_PAUSE: Duration = Duration::from_secs(1);

const HALL: &str = "here:hall";

pub struct User {
    seat: Arc<Mutex<Seat>>,
    rooms: [String; 2],
    in_hall: bool,
    form: Arc<Form>,
    random: StdRng,
    nodes: watch::Receiver<Vec<String>>,
    phase: watch::Receiver<Phase>,
    client: Option<Client>,
    /// The number of the next presence.
    n: u64,
}

impl User {
    pub fn new(
        number: usize,
        form: Arc<Form>,
        nodes: watch::Receiver<Vec<String>>,
        phase: watch::Receiver<Phase>,
    ) -> Self {
        let key = format!("u{}", number / 2);
        Self {
            seat: Arc::new(Mutex::new(Seat::new(key))),
            rooms: form.rooms(number),
            in_hall: form.in_hall(number),
            random: StdRng::seed_from_u64(form.seed.wrapping_add(number as u64)),
            form,
            nodes,
            phase,
            client: None,
            n: number as u64 * 1_000_000,
        }
    }

    pub fn seat(&self) -> Arc<Mutex<Seat>> {
        Arc::clone(&self.seat)
    }

    /// Lives until it finds fault with what it is told.
    pub async fn run(mut self) -> Result<()> {
        loop {
            self.listen().await?;
            self.seat.lock().check_answers()?;
            let phase = *self.phase.borrow();
            let done = match phase {
                Phase::Torture => self.act().await,
                Phase::Settle => self.ask_again().await,
            };
            if let Err(error) = done {
                self.is_cut_off(format!("{error:#}"));
            }
        }
    }

    /// Listens for a while.
    async fn listen(&mut self) -> Result<()> {
        let until = Instant::now() + self.pause();
        loop {
            tokio::select! {
                biased;
                changed = self.phase.changed() => return Ok(changed?),
                () = sleep_until(until) => return Ok(()),
                heard = next(&mut self.client) => match heard {
                    Ok(heard) => self.seat.lock().hears(&heard)?,
                    Err(error) => self.is_cut_off(format!("{error:#}")),
                },
            }
        }
    }

    fn pause(&mut self) -> Duration {
        match *self.phase.borrow() {
            Phase::Torture => self
                .form
                .pause()
                .mul_f64(self.random.random_range(0.0..2.0)),
            Phase::Settle => SETTLE_PAUSE,
        }
    }

    fn is_cut_off(&mut self, why: impl Into<String>) {
        self.client = None;
        self.seat.lock().is_cut_off(why);
    }

    async fn act(&mut self) -> Result<()> {
        let Some(client) = self.client.take() else {
            return self.connect().await;
        };
        match self.random.random_range(0..100) {
            0..4 => {
                drop(client);
                self.is_cut_off("killed");
                Ok(())
            }
            4..7 => {
                self.is_cut_off("closed");
                client.close().await
            }
            _ => {
                self.client = Some(client);
                self.act_in_a_topic().await
            }
        }
    }

    /// Connects to any node, and joins something.
    async fn connect(&mut self) -> Result<()> {
        let node = {
            let nodes = self.nodes.borrow();
            nodes[self.random.random_range(0..nodes.len())].clone()
        };
        self.client = Some(Client::connect(&node).await?);
        self.seat.lock().is_connected();
        self.act_in_a_topic().await
    }

    async fn act_in_a_topic(&mut self) -> Result<()> {
        let hall = self.in_hall && self.random.random_ratio(1, HALL_SHARE);
        let room = &self.rooms[self.random.random_range(0..2)];
        let topic = if hall { HALL } else { room }.to_owned();
        let (joined, quiet) = match self.seat.lock().memberships.get(&topic) {
            Some(membership) => (membership.joined, membership.is_quiet()),
            None => (0, true),
        };
        match self.random.random_range(0..20) {
            _ if !quiet => Ok(()),
            _ if joined == 0 => self.join(&topic).await,
            0..4 => self.leave(&topic, joined).await,
            4 => {
                self.seat.lock().figures.note("joined again");
                self.join(&topic).await
            }
            5..7 => self.say(&topic, joined, None).await,
            _ => self.say_new(&topic, joined).await,
        }
    }

    async fn join(&mut self, topic: &str) -> Result<()> {
        let n = self.draw();
        let entered = json!({"key": self.seat.lock().key, "n": n});
        if let Some(client) = &mut self.client {
            let joined = client.join(topic, &entered).await?;
            self.seat.lock().joins(topic, joined, n);
        }
        Ok(())
    }

    async fn leave(&mut self, topic: &str, joined: u64) -> Result<()> {
        if let Some(client) = &mut self.client {
            let reference = client.push(joined, topic, "phx_leave", &json!({})).await?;
            self.seat.lock().leaves(topic, reference);
            self.seat.lock().figures.note("left");
        }
        Ok(())
    }

    async fn say_new(&mut self, topic: &str, joined: u64) -> Result<()> {
        let n = self.draw();
        self.say(topic, joined, Some(n)).await
    }

    async fn say(&mut self, topic: &str, joined: u64, n: Option<u64>) -> Result<()> {
        let (event, payload, what) = match n {
            Some(n) => ("track", json!({"n": n}), "tracked"),
            None => ("untrack", json!({}), "untracked"),
        };
        if let Some(client) = &mut self.client {
            let reference = client.push(joined, topic, event, &payload).await?;
            self.seat.lock().says(topic, reference, n);
            self.seat.lock().figures.note(what);
        }
        Ok(())
    }

    /// What was not answered is said once more: it may be lost.
    async fn ask_again(&mut self) -> Result<()> {
        let unanswered = self.seat.lock().unanswered();
        for (topic, joined) in unanswered {
            self.say_new(&topic, joined).await?;
        }
        Ok(())
    }

    fn draw(&mut self) -> u64 {
        self.n += 1;
        self.n
    }
}

/// What comes next, if there is a connection.
async fn next(client: &mut Option<Client>) -> Result<Heard> {
    match client {
        Some(client) => client.next().await,
        None => pending().await,
    }
}
