//! The pump: empties this node's inbox into its sink, in order.

use std::collections::HashSet;
use std::sync::Arc;

use redis::{Pipeline, Value};
use towpath_layer_core::metrics::LAYER_MALFORMED;
use towpath_layer_core::{Counter, GroupName, InboxEntry, InboxSink, LocalId, Refused};

use crate::backoff::Backoff;
use crate::core::Core;
use crate::failure::{Failure, is_no_script};
use crate::intake::{Batch, Intake};
use crate::letter::Letter;
use crate::link::{BLOCK, Blocking};
use crate::scripts::{self, INBOX_SETTLE};
use crate::value;

/// How long the wait inside Redis lasts while there is something left to do.
const SHORT_BLOCK: f64 = 0.25;

/// What batches ask of the node itself.
#[derive(Debug, Default)]
struct Chores {
    /// Groups that have members here, of which the registry may not know.
    register: HashSet<GroupName>,
    /// Groups that may have no members here any more.
    leave: HashSet<GroupName>,
    /// Memberships of connections that are closed.
    undo: HashSet<(GroupName, LocalId)>,
}

/// A connection of the pump, as the server knows it.
#[derive(Debug, PartialEq, Eq)]
struct Known {
    id: i64,
    run_id: String,
}

impl Core {
    /// Pumps for as long as this node lives.
    pub(crate) async fn pump(&self) {
        let mut backoff = self.link.backoff();
        let mut chores = Chores::default();
        let mut before: Option<Known> = None;
        let mut intake = Intake::default();
        loop {
            let connection = self.link.dialer().blocking().await;
            let failed = match connection {
                Ok(mut connection) => {
                    let known = Known {
                        id: connection.id(),
                        run_id: connection.run_id().to_owned(),
                    };
                    if let Some(before) = before.replace(known) {
                        // Another server counts from nothing.
                        if before.run_id != connection.run_id() {
                            intake = Intake::default();
                        }
                        self.follow(&mut connection, &before).await;
                    }
                    intake.is_due = true;
                    self.pump_through(connection, &mut backoff, &mut chores, &mut intake)
                        .await
                }
                Err(error) => error,
            };
            tracing::debug!(error = %failed, "the inbox waits for redis");
            backoff.pause().await;
        }
    }

    /// Deals with what a connection that broke may have taken with it. In
    /// another life of the server all is announced anyway.
    async fn follow(&self, connection: &mut Blocking, before: &Known) {
        if before.run_id != connection.run_id() {
            return;
        }
        // The server may not know yet that it broke, and go on handing out.
        let mut kill = Pipeline::new();
        kill.cmd("CLIENT").arg("KILL").arg("ID").arg(before.id);
        if let Err(error) = connection.exchange(&kill).await {
            tracing::debug!(%error, "a broken connection was not ended");
        }
        tracing::warn!("what was on its way from the inbox is lost");
        if let Some(sink) = self.sink() {
            sink.mark_gap();
        }
        self.tenancy.doubt();
    }

    /// Pumps until the connection fails.
    async fn pump_through(
        &self,
        mut connection: Blocking,
        backoff: &mut Backoff<'_>,
        chores: &mut Chores,
        intake: &mut Intake,
    ) -> Failure {
        loop {
            let hurries = !chores.is_empty();
            let next = async {
                if intake.is_due {
                    self.settle_intake(&mut connection, intake).await?;
                }
                self.next_batch(&mut connection, intake, hurries).await
            };
            match next.await {
                Ok(batch) => self.deliver(batch.letters, chores).await,
                Err(error) => return error,
            }
            // What cannot be done now is done later: the inbox does not wait.
            match self.do_chores(chores).await {
                Ok(()) => backoff.reset(),
                Err(error) => tracing::debug!(%error, "the registry waits for redis"),
            }
        }
    }

    /// Waits for entries and takes what is there, without a script.
    async fn next_batch(
        &self,
        connection: &mut Blocking,
        intake: &mut Intake,
        hurries: bool,
    ) -> Result<Batch, Failure> {
        let own = &self.own;
        let block = if hurries || intake.entries > 0 {
            SHORT_BLOCK
        } else {
            BLOCK.as_secs_f64()
        };
        let mut pipeline = Pipeline::new();
        pipeline
            .cmd("BLMPOP")
            .arg(block)
            .arg(1)
            .arg(&own.inbox)
            .arg("LEFT")
            .arg("COUNT")
            .arg(intake.batch);
        pipeline.cmd("EXISTS").arg(&own.gap).arg(&own.room);
        let mut answers = connection.exchange(&pipeline).await?.into_iter();
        let (Some(waited), Some(marks)) = (answers.next(), answers.next()) else {
            return Err(Failure::unexpected());
        };
        let letters: Vec<_> = match waited {
            Value::Nil => Vec::new(),
            Value::ServerError(error) => return Err(Failure::refused(error)),
            waited => {
                let [_, entries] = value::array(waited)?;
                let entries = value::list(entries)?.into_iter();
                entries
                    .filter_map(|entry| value::bytes(entry).ok())
                    .collect()
            }
        };
        let batch = Batch {
            letters,
            is_marked: value::int(&marks).unwrap_or(0) > 0,
        };
        intake.took(&batch, &self.limits);
        Ok(batch)
    }

    /// Counts off what was taken, and does what that makes possible.
    async fn settle_intake(
        &self,
        connection: &mut Blocking,
        intake: &mut Intake,
    ) -> Result<(), Failure> {
        let own = &self.own;
        let mut settle = INBOX_SETTLE.call([
            &*own.inbox,
            &own.bytes,
            &own.gap,
            &own.room,
            &own.lease,
            &own.tombs,
            &own.delayed,
        ]);
        settle.arg(intake.bytes).arg(&own.topic);
        let mut pipeline = Pipeline::new();
        pipeline.add_command(settle);
        let answer = connection.exchange(&pipeline).await?.into_iter().next();
        let flags = match answer {
            Some(Value::ServerError(error)) if is_no_script(&error) => {
                let mut loads = Pipeline::new();
                for load in scripts::load_all() {
                    loads.add_command(load);
                }
                connection.exchange(&loads).await?;
                return Ok(());
            }
            // It is tried again with the next step.
            Some(Value::ServerError(error)) => {
                tracing::warn!(code = error.code(), "settling what came from the inbox");
                return Ok(());
            }
            Some(flags) => value::int(&flags)?,
            None => return Err(Failure::unexpected()),
        };
        intake.settled();
        if flags & 1 != 0
            && let Some(sink) = self.sink()
        {
            sink.mark_gap();
        }
        if flags & 2 != 0
            && let Err(error) = self.deliver_due().await
        {
            tracing::debug!(%error, "what is due waits for redis");
        }
        Ok(())
    }

    async fn deliver(&self, letters: Vec<Vec<u8>>, chores: &mut Chores) {
        let Some(sink) = self.sink() else {
            return;
        };
        for letter in letters {
            match Letter::read(&letter) {
                Ok(Letter::Fence(group)) => {
                    chores.leave.insert(group);
                }
                Ok(Letter::Entry(entry)) => {
                    if self.is_for_somebody(&entry, &sink, chores) {
                        deliver_one(&sink, entry).await;
                    }
                }
                Err(error) => {
                    metrics::counter!(LAYER_MALFORMED).increment(1);
                    self.accounts.count(Counter::Dropped, 1);
                    tracing::warn!(%error, "a letter was refused");
                }
            }
        }
    }

    /// Whether an entry is for a connection that is there; notes what it asks
    /// of the node.
    fn is_for_somebody(
        &self,
        entry: &InboxEntry,
        sink: &Arc<dyn InboxSink>,
        chores: &mut Chores,
    ) -> bool {
        match entry {
            InboxEntry::Reply { to, .. } => {
                let is_live = sink.is_live(*to);
                if !is_live {
                    self.accounts.count(Counter::Dropped, 1);
                }
                is_live
            }
            InboxEntry::Join { group, to, .. } => {
                if !self.registered.lock().contains(group) {
                    chores.register.insert(group.clone());
                }
                let is_live = sink.is_live(*to);
                if !is_live {
                    chores.undo.insert((group.clone(), *to));
                }
                is_live
            }
            InboxEntry::Group { group, .. } => {
                // Sent to a node that does not know of members: does the
                // registry stand for nothing?
                if !self.registered.lock().contains(group) && !chores.register.contains(group) {
                    chores.leave.insert(group.clone());
                }
                true
            }
            InboxEntry::Leave { .. } | InboxEntry::LeaveAll { .. } => true,
        }
    }

    async fn do_chores(&self, chores: &mut Chores) -> Result<(), Failure> {
        if chores.is_empty() {
            return Ok(());
        }
        self.register(chores.register.iter().cloned()).await?;
        let undo: Vec<_> = chores.undo.iter().cloned().collect();
        self.discard_members(&undo).await?;
        let leave: Vec<_> = chores.leave.iter().cloned().collect();
        self.leave_registries(&leave).await?;
        *chores = Chores::default();
        Ok(())
    }
}

impl Chores {
    fn is_empty(&self) -> bool {
        self.register.is_empty() && self.leave.is_empty() && self.undo.is_empty()
    }
}

/// Delivers an entry; while there is no room for it, everything behind it waits.
async fn deliver_one(sink: &Arc<dyn InboxSink>, entry: InboxEntry) {
    let mut entry = entry;
    while let Err(Refused(refused)) = sink.deliver(entry) {
        sink.room().await;
        entry = *refused;
    }
}
