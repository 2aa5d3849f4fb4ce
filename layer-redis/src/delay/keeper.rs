//! The task of every node that sends what is due, whoever asked for it.

use std::time::Duration;

use crate::core::Core;
use crate::failure::Failure;
use crate::parcels::Target;
use crate::scripts::{DELAY_CLAIM, DELAY_RELEASE};
use crate::{millis, value};

/// The longest pause between two looks at the registry: the clock of Redis may
/// have jumped meanwhile, and news may have been lost.
const LOOK_MAX: Duration = Duration::from_secs(5);
/// For how long a target is left to who claimed it; a process that dies on it
/// delays it by as much.
const CLAIM: Duration = Duration::from_secs(1);
/// Targets looked at in one pipeline.
const TARGETS_MAX: usize = 128;

impl Core {
    /// Sends what is due, for as long as this node lives.
    pub(crate) async fn keep_delays(&self) {
        let mut changes = self.link.changes();
        let news = self.rooms.enter(self.keys.delays().topic);
        let mut backoff = self.link.backoff();
        loop {
            changes.mark_unchanged();
            let look = async {
                // Before the look: what is told after it is not missed.
                news.subscribe(&*self.link.session()?).await?;
                self.send_due().await
            };
            match look.await {
                Ok(wait) => {
                    backoff.reset();
                    tokio::select! {
                        () = news.freed() => {}
                        () = tokio::time::sleep(wait) => {}
                        _ = changes.changed() => {}
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "what is due waits for redis");
                    backoff.pause().await;
                }
            }
        }
    }

    /// Sends all that is due. Returns how long to wait for the next.
    async fn send_due(&self) -> Result<Duration, Failure> {
        let token = self.token();
        loop {
            let (wait, targets) = self.claim(&token).await?;
            if targets.is_empty() {
                return Ok(wait);
            }
            let wait = self.send_claimed(&token, targets).await?;
            if !wait.is_zero() {
                return Ok(wait);
            }
        }
    }

    /// Claims targets on which something is due.
    async fn claim(&self, token: &str) -> Result<(Duration, Vec<String>), Failure> {
        let keys = self.keys.delays();
        let mut claim = DELAY_CLAIM.call([&*keys.registry, &keys.claims]);
        claim.arg(token).arg(millis(CLAIM)).arg(TARGETS_MAX);
        let answer = self.link.run_one(claim).await?;
        let mut answer = value::list(answer)?.into_iter();
        let wait = value::int(&answer.next().ok_or_else(Failure::unexpected)?)?;
        let targets = answer.map(value::text).collect::<Result<_, _>>()?;
        Ok((pause(wait), targets))
    }

    /// Sends what is due on claimed targets and gives them back. What fails
    /// stays claimed, and is looked at again when the claim ends.
    async fn send_claimed(&self, token: &str, claimed: Vec<String>) -> Result<Duration, Failure> {
        let keys = self.keys.delays();
        let mut release = DELAY_RELEASE.call([&*keys.registry, &keys.claims]);
        release.arg(token);
        let mut targets = Vec::with_capacity(claimed.len());
        for name in claimed {
            match Target::read(&name) {
                Some(target) => targets.push((name, target)),
                None => {
                    tracing::warn!(name, "the registry of what is delayed has a wrong name");
                    release.arg(name).arg(-1);
                }
            }
        }
        let commands = targets
            .iter()
            .map(|(_, target)| self.send_due_command(target));
        let answers = self.link.run(commands).await?;
        for ((name, target), answer) in targets.iter().zip(answers) {
            match answer.and_then(|answer| self.settle_due(target, answer)) {
                Ok(next) => {
                    release.arg(name).arg(next);
                }
                Err(error) => tracing::debug!(%error, name, "what is due there waits"),
            }
        }
        let wait = self.link.run_one(release).await?;
        Ok(pause(value::int(&wait)?))
    }
}

/// How long to wait until something is due; negative if nothing is.
fn pause(wait_ms: i64) -> Duration {
    u64::try_from(wait_ms).map_or(LOOK_MAX, |ms| Duration::from_millis(ms).min(LOOK_MAX))
}
