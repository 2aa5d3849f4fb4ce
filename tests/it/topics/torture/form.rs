//! How much of it there is.

use std::time::Duration;

use anyhow::{Context, Result, bail};

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A whole run.
#[derive(Debug)]
pub struct Form {
    pub users: usize,
    pub seed: u64,
    pub duration: Duration,
    pub lease: Duration,
    /// One in so many users comes to the hall: one topic that is so large that
    /// changes are gathered for it.
    pub hall_every: usize,
    /// How often it is looked whether all is at rest.
    pub look_interval: Duration,
    pub blows: Vec<Blow>,
}

/// What happens to the servers, and when.
#[derive(Debug)]
pub enum Blow {
    /// A node is killed, and another takes its place.
    Kill(Duration),
    /// A node stops in good order, and another takes its place.
    Stop(Duration),
    /// Redis restarts and is empty.
    LoseRedis(Duration),
}

/// What all users together do in a second.
const ACTIONS_PER_SECOND: u32 = 150;

/// How many users one room has, of whom not all are there.
const ROOM: usize = 20;

/// One in so many of what somebody does is in the hall.
pub const HALL_SHARE: u32 = 5;

impl Form {
    /// As the environment says.
    pub fn chosen() -> Result<Self> {
        let seed = match variable("TOWPATH_TORTURE_SEED") {
            Some(seed) => seed.parse().context("TOWPATH_TORTURE_SEED is a number")?,
            None => rand::random(),
        };
        match variable("TOWPATH_TORTURE").as_deref() {
            None => Ok(Self::small(seed)),
            Some("full") => Ok(Self::full(seed)),
            Some(other) => bail!("TOWPATH_TORTURE is \"full\" or nothing, not {other:?}"),
        }
    }

    fn small(seed: u64) -> Self {
        Self {
            users: 300,
            seed,
            duration: seconds(20),
            lease: seconds(4),
            hall_every: 1,
            look_interval: Duration::from_millis(250),
            blows: vec![Blow::Kill(seconds(7)), Blow::LoseRedis(seconds(13))],
        }
    }

    fn full(seed: u64) -> Self {
        let mut blows = Vec::new();
        for round in 0..3 {
            blows.push(Blow::Kill(seconds(20 + 30 * round)));
            blows.push(Blow::LoseRedis(seconds(33 + 30 * round)));
        }
        blows.push(Blow::Stop(seconds(108)));
        Self {
            users: 2000,
            seed,
            duration: seconds(120),
            lease: seconds(6),
            hall_every: 4,
            look_interval: Duration::from_secs(1),
            blows,
        }
    }

    /// How long one user waits between two things, on average.
    pub fn pause(&self) -> Duration {
        seconds(self.users as u64) / ACTIONS_PER_SECOND
    }

    /// How long it may take until all is at rest: a death is noticed within two
    /// leases, what was lost is found within one, and the machine is busy.
    pub fn rest_max(&self) -> Duration {
        self.lease * 4 + seconds(60)
    }

    /// The two rooms of one user.
    pub fn rooms(&self, user: usize) -> [String; 2] {
        let rooms = (self.users / ROOM).max(2) * 2;
        let (one, other) = (user % rooms, (user * 7 + 3) % rooms);
        let other = if one == other {
            (one + 1) % rooms
        } else {
            other
        };
        [one, other].map(|room| format!("here:{room}"))
    }

    /// Whether one user comes to the hall.
    pub fn in_hall(&self, user: usize) -> bool {
        user.is_multiple_of(self.hall_every)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test is configured by nothing else"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
