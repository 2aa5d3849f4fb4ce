//! What a node does now and then: announce, sweep ghosts, bury the dead.

use std::time::Duration;

use towpath_layer_core::{GroupName, LocalId};

use crate::core::Core;
use crate::deaths::Contact;
use crate::failure::Failure;
use crate::{millis, value};

/// Commands in one pipeline.
const BATCH_MAX: usize = 128;

impl Core {
    /// Keeps things in order, for as long as this node lives.
    pub(crate) async fn upkeep(&self) {
        let turn = self.limits.lease / 3;
        let sweep_interval = self.limits.lease.min(self.limits.group_expiry / 3);
        let mut contact = Contact::default();
        let mut swept_at = self.clock.now();
        let mut renewed_at = swept_at;
        loop {
            tokio::select! {
                () = self.tenancy.announce_due.notified() => {}
                () = tokio::time::sleep(turn.min(sweep_interval)) => {}
            }
            self.announce_if_due().await;
            let now = self.clock.now();
            let sweeps = now.saturating_sub(swept_at) >= sweep_interval;
            let renews = now.saturating_sub(renewed_at) >= self.limits.group_expiry / 3;
            let outcome = async {
                self.bury_the_dead(&mut contact).await?;
                if sweeps {
                    self.sweep(renews).await?;
                    swept_at = now;
                    if renews {
                        renewed_at = now;
                    }
                }
                self.link.refine_time().await?;
                self.settle_abandoned().await?;
                self.rooms.tidy(&*self.link.session()?).await;
                Ok::<_, Failure>(())
            };
            if let Err(error) = outcome.await {
                contact.lost();
                tracing::debug!(%error, "upkeep waits for redis");
            }
        }
    }

    async fn announce_if_due(&self) {
        let mut backoff = self.link.backoff();
        while self.tenancy.is_announcing() {
            if let Err(error) = self.announce().await {
                tracing::debug!(%error, "the announcement is made again");
                backoff.pause().await;
            }
        }
    }

    /// Ends the stored memberships of connections that are not there, and
    /// renews the others where that is due.
    async fn sweep(&self, renews: bool) -> Result<(), Failure> {
        let Some(sink) = self.sink() else {
            return Ok(());
        };
        for group in self.groups_of_node(&self.own).await? {
            let mut cursor = Some(0);
            while let Some(at) = cursor {
                let page = self.scan_members(&self.own, &group, at).await?;
                cursor = page.next;
                let (live, ghosts): (Vec<_>, Vec<_>) = page
                    .members
                    .into_iter()
                    .map(|(local, _)| local)
                    .partition(|local| sink.is_live(*local));
                let ghosts: Vec<_> = ghosts
                    .into_iter()
                    .map(|ghost| (group.clone(), ghost))
                    .collect();
                self.discard_members(&ghosts).await?;
                if renews {
                    self.renew_members(&group, &live).await?;
                }
            }
        }
        Ok(())
    }

    /// Ends memberships of this node.
    pub(crate) async fn discard_members(
        &self,
        members: &[(GroupName, LocalId)],
    ) -> Result<(), Failure> {
        for members in members.chunks(BATCH_MAX) {
            let discards: Vec<_> = members
                .iter()
                .map(|(group, local)| self.discard_command(self.node, group, *local))
                .collect::<Result<_, _>>()?;
            for answer in self.link.run(discards).await? {
                answer?;
            }
        }
        Ok(())
    }

    async fn renew_members(&self, group: &GroupName, live: &[LocalId]) -> Result<(), Failure> {
        if live.is_empty() {
            return Ok(());
        }
        let expiry: Duration = self.limits.group_expiry;
        let of_group = [self.own.members(group), self.own.index.clone()];
        let of_members = live.iter().map(|local| self.own.groups_of(*local));
        let keys: Vec<_> = of_group.into_iter().chain(of_members).collect();
        for keys in keys.chunks(BATCH_MAX) {
            let renewals = keys.iter().map(|key| {
                let mut renewal = redis::cmd("PEXPIRE");
                renewal.arg(key).arg(millis(expiry));
                renewal
            });
            for answer in self.link.run(renewals).await? {
                value::int(&answer?)?;
            }
        }
        Ok(())
    }
}
