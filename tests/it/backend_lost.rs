//! Redis goes away under 200 sockets and comes back empty.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures_util::future::join_all;
use towpath_testkit::redis::RedisServer;

use crate::chat::Person;
use crate::machine;
use crate::process::Process;

const ROOMS: usize = 20;
const PEOPLE_PER_ROOM: usize = 10;

/// How soon after the return of the backend every group delivers again.
const HEAL_MAX: Duration = Duration::from_secs(2);

/// Speaks in a room until everybody else has heard something.
async fn heal(people: &mut [Person], until: Instant) -> Result<()> {
    let Some((speaker, listeners)) = people.split_first_mut() else {
        return Ok(());
    };
    let speak = async {
        loop {
            speaker.say("are you there?").await?;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let listen = join_all(listeners.iter_mut().map(async |person| {
        let left = until.saturating_duration_since(Instant::now());
        let heard = person.hears_text("are you there?", left).await?;
        ensure!(heard, "{} is deaf", person.name);
        Ok(())
    }));
    tokio::select! {
        failed = speak => failed,
        heard = listen => heard.into_iter().collect(),
    }
}

/// An interface server, two workers, and people in rooms.
struct House {
    redis: RedisServer,
    rooms: Vec<Vec<Person>>,
    _processes: [Process; 3],
}

impl House {
    async fn fill() -> Result<Self> {
        let redis = RedisServer::launch().await?;
        let url = redis.url();
        let interface = Process::start(&["interface", "--layer", &url, "--listen", "127.0.0.1:0"])?;
        let address = interface.address().await?;
        let one = Process::start(&["worker", "--layer", &url])?;
        let two = Process::start(&["worker", "--layer", &url])?;
        for worker in [&one, &two] {
            worker.logged("the worker receives").await?;
        }
        let mut rooms = Vec::new();
        for room in 0..ROOMS {
            let mut people = Vec::new();
            for person in 0..PEOPLE_PER_ROOM {
                people.push(
                    Person::enter(&address, &format!("r{room}"), &format!("p{person}")).await?,
                );
            }
            rooms.push(people);
        }
        Ok(Self {
            redis,
            rooms,
            _processes: [interface, one, two],
        })
    }

    /// One in each room says something that nobody hears.
    async fn speak_into_the_void(&mut self) -> Result<()> {
        for people in &mut self.rooms {
            people[0].say("into the void").await?;
        }
        Ok(())
    }

    /// Starts Redis, and has every room speak until all have heard.
    async fn heal(&mut self) -> Result<()> {
        self.redis.start().await?;
        let until = Instant::now() + HEAL_MAX;
        let healed = join_all(self.rooms.iter_mut().map(|people| heal(people, until))).await;
        healed.into_iter().collect()
    }

    /// Nobody was closed, and all hear all.
    async fn stays_whole(mut self) -> Result<()> {
        for people in &mut self.rooms {
            people[2].say("all still here").await?;
            for person in people.iter_mut() {
                let heard = person.hears_text("all still here", Duration::from_secs(5));
                ensure!(heard.await?);
            }
        }
        Ok(())
    }
}

#[tokio::test]
async fn redis_comes_back_empty_and_every_group_delivers_again() -> Result<()> {
    let _machine = machine::alone().await;
    let mut house = House::fill().await?;
    house.redis.stop().await?;
    house.speak_into_the_void().await?;
    // The outage itself is what is tested: five seconds of it, while all speak.
    tokio::time::sleep(Duration::from_secs(5)).await;
    house.heal().await?;
    house.stays_whole().await
}

#[tokio::test]
async fn events_that_were_on_their_way_when_redis_went_hold_nobody_up() -> Result<()> {
    let _machine = machine::alone().await;
    let mut house = House::fill().await?;
    house.redis.pause()?;
    house.speak_into_the_void().await?;
    for people in &mut house.rooms {
        people[0].is_read().await?;
    }
    house.redis.kill().await?;
    house.heal().await?;
    house.stays_whole().await
}
