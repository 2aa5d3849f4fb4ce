//! Comparing the members that a node knows with those stored: after the backend
//! or the node was away, and after some of what the node was told was lost.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use redis::Cmd;
use towpath_layer_core::{GroupName, InboxEntry, InboxSink, LocalId, Membership};

use crate::core::Core;
use crate::failure::Failure;
use crate::letter::Letter;
use crate::members::SCANS_MAX;
use crate::scripts::GROUP_ANNOUNCE;
use crate::{millis, value};

/// Members in one script.
const MEMBERS_MAX: usize = 128;
/// Scripts in one pipeline.
const SCRIPTS_MAX: usize = 32;

/// Who is a member of what, as the sink has it.
type Snapshot = HashMap<GroupName, Vec<(LocalId, Bytes)>>;

impl Core {
    /// Stores every membership of every open connection, as one change: who
    /// was a member is one, and nobody is told of leaves and joins.
    pub(crate) async fn announce(&self) -> Result<(), Failure> {
        let Some(sink) = self.sink() else {
            return Ok(());
        };
        let lease = self.tenancy.value();
        // It may be empty by now, or say other things.
        self.registered.lock().clear();
        let snapshot = by_group(sink.memberships().await);
        self.compare(&lease, &snapshot, true).await?;
        self.register(snapshot.keys().cloned()).await?;
        self.rejoin(&snapshot, &sink).await?;
        self.end_announcement(&lease).await?;
        sink.mark_gap();
        tracing::info!(node = %self.node, groups = snapshot.len(), "announced all members");
        Ok(())
    }

    /// Tells the sink of the joins and leaves that it may have missed. What is
    /// stored is right: under this lease nobody else has touched it.
    pub(crate) async fn reconcile(&self) -> Result<(), Failure> {
        let Some(sink) = self.sink() else {
            return Ok(());
        };
        let lease = self.tenancy.value();
        let snapshot = by_group(sink.memberships().await);
        self.compare(&lease, &snapshot, false).await?;
        self.rejoin(&snapshot, &sink).await?;
        tracing::info!(node = %self.node, groups = snapshot.len(), "compared all members");
        Ok(())
    }

    async fn compare(
        &self,
        lease: &str,
        snapshot: &Snapshot,
        restores: bool,
    ) -> Result<(), Failure> {
        let mut commands = Vec::new();
        for (group, members) in snapshot {
            for members in members.chunks(MEMBERS_MAX) {
                commands.push(self.announce_command(lease, group, members, restores)?);
                if commands.len() == SCRIPTS_MAX {
                    self.run_announcements(std::mem::take(&mut commands))
                        .await?;
                }
            }
        }
        self.run_announcements(commands).await
    }

    fn announce_command(
        &self,
        lease: &str,
        group: &GroupName,
        members: &[(LocalId, Bytes)],
        restores: bool,
    ) -> Result<Cmd, Failure> {
        let own = &self.own;
        let mut keys = vec![
            own.lease.clone(),
            own.members(group),
            own.index.clone(),
            own.tombs.clone(),
            own.inbox.clone(),
            own.bytes.clone(),
        ];
        keys.extend(members.iter().map(|(local, _)| own.groups_of(*local)));
        let mut command = GROUP_ANNOUNCE.call(keys.iter().map(String::as_str));
        command
            .arg(lease)
            .arg(group.as_str())
            .arg(millis(self.limits.group_expiry))
            .arg(millis(self.inbox_ttl()))
            .arg(u8::from(restores));
        for (local, meta) in members {
            let leave = self.letter(&Letter::Entry(InboxEntry::Leave {
                group: group.clone(),
                to: *local,
            }))?;
            command.arg(local.to_string()).arg(&**meta).arg(&*leave);
        }
        Ok(command)
    }

    async fn run_announcements(&self, commands: Vec<Cmd>) -> Result<(), Failure> {
        for answer in self.link.run(commands).await? {
            if value::int(&answer?)? != 1 {
                return Err(Failure::lease_lost());
            }
        }
        Ok(())
    }

    /// Tells the sink of members that are stored and of whom it has not heard:
    /// their joins were lost on the way.
    async fn rejoin(&self, snapshot: &Snapshot, sink: &Arc<dyn InboxSink>) -> Result<(), Failure> {
        for groups in self.groups_of_node(&self.own).await?.chunks(SCANS_MAX) {
            let mut scans: Vec<_> = groups.iter().map(|group| (group, 0)).collect();
            while !scans.is_empty() {
                let pages = self.scan_members(&self.own, &scans).await?;
                let mut missing = Vec::new();
                for ((group, _), page) in std::mem::take(&mut scans).into_iter().zip(pages) {
                    scans.extend(page.next.map(|next| (group, next)));
                    let known: HashSet<LocalId> = snapshot
                        .get(group)
                        .into_iter()
                        .flatten()
                        .map(|(local, _)| *local)
                        .collect();
                    for (local, meta) in page.members {
                        if !known.contains(&local) && sink.is_live(local) {
                            missing.push(self.add_command(self.node, group, local, &meta, true)?);
                        }
                    }
                }
                for answer in self.link.run(missing).await? {
                    answer?;
                }
            }
        }
        Ok(())
    }
}

fn by_group(memberships: Vec<Membership>) -> Snapshot {
    let mut groups = Snapshot::new();
    for Membership {
        group,
        member,
        meta,
    } in memberships
    {
        groups.entry(group).or_default().push((member, meta));
    }
    groups
}
