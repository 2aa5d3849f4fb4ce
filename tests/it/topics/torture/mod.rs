//! Who is here, while people come and go, nodes die and Redis loses everything.
//!
//! In the end everybody's view is what is true, and nobody was told of the same
//! join or leave twice. The test has a small form; `TOWPATH_TORTURE=full` in the
//! environment gives 2 000 users for two minutes. A failure names the seed of
//! what the users did, and `TOWPATH_TORTURE_SEED` repeats it.

mod cluster;
mod figures;
mod form;
mod rest;
mod seat;
mod user;
mod view;

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use self::cluster::Cluster;
use self::form::{Blow, Form};
use self::seat::Seat;
use self::user::{Phase, User};
use crate::machine;

type Seats = Vec<Arc<Mutex<Seat>>>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_rest_everybody_sees_who_is_here_and_was_told_nothing_twice() -> Result<()> {
    let _machine = machine::alone().await;
    let form = Arc::new(Form::chosen()?);
    eprintln!("{form:?}");
    let mut cluster = Cluster::start(&form).await?;
    let tortured = torture(&form, &mut cluster).await;
    tortured.with_context(|| {
        format!(
            "seed {}; the nodes warned:\n{}",
            form.seed,
            cluster.warnings()
        )
    })
}

async fn torture(form: &Arc<Form>, cluster: &mut Cluster) -> Result<()> {
    let (phase, phases) = watch::channel(Phase::Torture);
    let (mut users, mut seats) = (JoinSet::new(), Seats::new());
    for number in 0..form.users {
        let user = User::new(
            number,
            Arc::clone(form),
            cluster.addresses(),
            phases.clone(),
        );
        seats.push(user.seat());
        users.spawn(user.run());
    }
    let begun = Instant::now();
    for blow in &form.blows {
        go_on_until(begun + blow.at(), &mut users).await?;
        cluster.strike(blow).await?;
    }
    go_on_until(begun + form.duration, &mut users).await?;

    phase.send_replace(Phase::Settle);
    let settled = Instant::now();
    while let Err(differences) = rest::differences(&seats) {
        if settled.elapsed() > form.rest_max() {
            bail!("no rest after {:?}:\n{differences}", settled.elapsed());
        }
        go_on_until(Instant::now() + form.look_interval, &mut users).await?;
    }
    let took = settled.elapsed();
    let before = figures::of(&seats);
    // A late storm would come now.
    go_on_until(Instant::now() + form.lease * 2, &mut users).await?;
    let after = figures::of(&seats);
    if before.told != after.told || rest::differences(&seats).is_err() {
        bail!("it was no rest: {before:?}, then {after:?}");
    }
    eprintln!("at rest after {took:.1?}: {after:?}");
    cluster.nobody_was_held_for_dead()?;
    rest::enough_was_going_on(&after, form)
}

/// Waits for a time, while no user finds fault.
async fn go_on_until(when: Instant, users: &mut JoinSet<Result<()>>) -> Result<()> {
    tokio::select! {
        biased;
        Some(ended) = users.join_next() => match ended? {
            Err(fault) => Err(fault),
            Ok(()) => bail!("a user went home"),
        },
        () = sleep_until(when) => Ok(()),
    }
}

impl Blow {
    fn at(&self) -> std::time::Duration {
        match self {
            Self::Kill(at) | Self::Stop(at) | Self::LoseRedis(at) => *at,
        }
    }
}
