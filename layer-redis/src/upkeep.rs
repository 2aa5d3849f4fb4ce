//! What a node does now and then: announce, sweep ghosts, bury the dead.

use std::collections::HashMap;
use std::time::Duration;

use towpath_layer_core::{GroupName, LocalId};

use crate::core::Core;
use crate::deaths::Contact;
use crate::failure::Failure;
use crate::members::SCANS_MAX;
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
        loop {
            let doubts = self.tenancy.take_doubts();
            let outcome = if self.tenancy.is_announcing() {
                self.announce().await
            } else if doubts {
                self.reconcile().await
            } else {
                return;
            };
            if let Err(error) = outcome {
                tracing::debug!(%error, "the announcement is made again");
                if doubts {
                    self.tenancy.doubt();
                }
                backoff.pause().await;
            }
        }
    }

    /// Ends the stored memberships of connections that are not there, and
    /// renews the others where that is due. Many groups go together: a node
    /// that has very many has other things to do within a lease.
    async fn sweep(&self, renews: bool) -> Result<(), Failure> {
        let Some(sink) = self.sink() else {
            return Ok(());
        };
        for groups in self.groups_of_node(&self.own).await?.chunks(SCANS_MAX) {
            let mut scans: Vec<_> = groups.iter().map(|group| (group, 0)).collect();
            while !scans.is_empty() {
                let pages = self.scan_members(&self.own, &scans).await?;
                let mut ghosts = Vec::new();
                let mut renewed = HashMap::new();
                for ((group, _), page) in std::mem::take(&mut scans).into_iter().zip(pages) {
                    scans.extend(page.next.map(|next| (group, next)));
                    for (local, _) in page.members {
                        if sink.is_live(local) {
                            let expiry = self.limits.group_expiry;
                            renewed.insert(self.own.groups_of(local), expiry);
                            renewed.insert(self.own.members(group), expiry);
                            renewed.insert(self.keys.registry(group), self.registry_ttl());
                        } else {
                            ghosts.push((group.clone(), local));
                        }
                    }
                }
                self.discard_members(&ghosts).await?;
                if renews && !renewed.is_empty() {
                    renewed.insert(self.own.index.clone(), self.limits.group_expiry);
                    self.renew(renewed).await?;
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

    async fn renew(&self, keys: HashMap<String, Duration>) -> Result<(), Failure> {
        let keys: Vec<_> = keys.into_iter().collect();
        for keys in keys.chunks(BATCH_MAX) {
            let renewals = keys.iter().map(|(key, expiry)| {
                let mut renewal = redis::cmd("PEXPIRE");
                renewal.arg(key).arg(millis(*expiry));
                renewal
            });
            for answer in self.link.run(renewals).await? {
                value::int(&answer?)?;
            }
        }
        Ok(())
    }
}
