//! Jobs in the background: they count primes, and every page sees how far they are.

use std::process::ExitCode;
use std::time::Duration;

use axum::{response::Html, routing::get};
use serde::{Deserialize, Serialize};
use towpath::prelude::*;

const PAGE: &str = concat!(include_str!("../head.html"), include_str!("page.html"));

const STEPS: u64 = 50;
const STEP_LIMIT: Duration = Duration::from_secs(10);

#[derive(Serialize, Deserialize)]
struct Job {
    id: u32,
    limit: u64,
    step: u64,
    primes: u64,
}

#[derive(Deserialize)]
struct Wish {
    limit: u64,
}

async fn connect(groups: Groups) -> Result {
    groups.add("jobs").await
}

async fn receive(Json(wish): Json<Wish>, outbox: Outbox) -> Result {
    if wish.limit > 5_000_000 {
        return Err(Error::rejected("five million is as far as this counts"));
    }
    let job = Job { id: rand::random(), limit: wish.limit, step: 0, primes: 0 };
    outbox.group_json("jobs", &job)?;
    outbox.send("jobs.step", &job)
}

fn step(Payload(mut job): Payload<Job>, layer: Layer, groups: Groups) -> Result {
    // Should this process die on the way, the step comes again.
    let again = wait(layer.send_after(STEP_LIMIT, "jobs.step", &job))?;
    let range = job.limit * job.step / STEPS..job.limit * (job.step + 1) / STEPS;
    job.primes += range.filter(is_prime).count() as u64;
    job.step += 1;
    wait(groups.send_json("jobs", &job))?;
    if job.step < STEPS {
        wait(layer.send("jobs.step", &job))?;
    }
    wait(layer.cancel(&again))?;
    Ok(())
}

fn is_prime(number: &u64) -> bool {
    *number > 1 && (2..).take_while(|it| it * it <= *number).all(|it| !number.is_multiple_of(it))
}

fn main() -> ExitCode {
    App::new()
        .route("/jobs", websocket().connect(connect).receive(receive))
        .channel("jobs.step", blocking(step))
        .http(axum::Router::new().route("/", get(async || Html(PAGE))))
        .run()
}
