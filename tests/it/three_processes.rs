//! An interface server and two workers over Redis, one killed, one restarted.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::Value;
use towpath_testkit::redis::RedisServer;

use crate::chat::Person;
use crate::process::{Process, stdout_of};

const PEOPLE: usize = 20;

/// Short, so that what a dead worker held is given up before anybody's patience.
const LEASE: (&str, &str) = ("TOWPATH__LAYERS__DEFAULT__LEASE", "3s");

#[tokio::test]
async fn workers_die_and_restart_while_people_chat() -> Result<()> {
    let redis = RedisServer::launch().await?;
    let url = redis.url();
    let arguments = ["interface", "--layer", &url, "--listen", "127.0.0.1:0"];
    let interface = Process::start_with(&arguments, &[LEASE])?;
    let address = interface.address().await?;
    let killed = worker(&url).await?;
    let restarted = worker(&url).await?;

    let mut people = Vec::new();
    for number in 0..PEOPLE {
        people.push(Person::enter(&address, "deploy", &format!("p{number}")).await?);
    }
    talk(&mut people, "before").await?;

    // Everybody speaks while one worker dies and the other is replaced.
    for person in &mut people {
        person.say("during").await?;
    }
    killed.kill().await?;
    let (replacement, stopped) = tokio::join!(worker(&url), stop(restarted));
    let _replacement = replacement?;
    stopped?;

    // Names are in the sessions: they are still known, and no socket closed.
    talk(&mut people, "after").await?;

    let stats: Value =
        serde_json::from_str(&stdout_of(&["layer", "stats", "--json", "--layer", &url]).await?)?;
    ensure!(
        stats["lost"]
            .as_u64()
            .is_some_and(|lost| lost <= PEOPLE as u64),
        "{stats}"
    );
    Ok(())
}

async fn worker(url: &str) -> Result<Process> {
    let worker = Process::start_with(&["worker", "--layer", url], &[LEASE])?;
    worker.logged("the worker receives").await?;
    Ok(worker)
}

async fn stop(mut worker: Process) -> Result<()> {
    worker.signal(libc::SIGTERM);
    ensure!(worker.exit_code().await? == Some(0), "{}", worker.log());
    Ok(())
}

/// One after the other speaks, and everybody hears it under the speaker's name.
async fn talk(people: &mut [Person], topic: &str) -> Result<()> {
    for speaker in 0..people.len() {
        let text = format!("{topic} {speaker}");
        people[speaker].say(&text).await?;
        for listener in people.iter_mut() {
            ensure!(
                listener.hears_text(&text, Duration::from_secs(30)).await?,
                "{} did not hear {text:?}",
                listener.name
            );
        }
    }
    Ok(())
}
