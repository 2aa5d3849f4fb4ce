//! The pump: empties this node's inbox into its sink, in order.

use std::collections::HashSet;
use std::sync::Arc;

use redis::{Pipeline, Value};
use towpath_layer_core::metrics::LAYER_MALFORMED;
use towpath_layer_core::{Counter, GroupName, InboxEntry, InboxSink, LocalId, Refused};

use crate::backoff::Backoff;
use crate::core::Core;
use crate::failure::{Failure, is_no_script};
use crate::letter::Letter;
use crate::link::{BLOCK, Blocking};
use crate::scripts::{self, INBOX_DRAIN};
use crate::value;

/// Entries that the wait itself takes.
const FIRST_MAX: usize = 16;
/// Entries that one step takes behind those.
const BATCH_MAX: usize = 512;
/// Bytes that one step takes; one entry more may go with them.
const BATCH_BYTES: usize = 1 << 20;

/// What one step took from the inbox.
#[derive(Debug, Default)]
struct Batch {
    letters: Vec<Vec<u8>>,
    /// Whether group messages were refused since the last step.
    gap: bool,
    /// Whether something is due that may have waited for room.
    is_due: bool,
}

/// How long the wait inside Redis lasts while there are chores left.
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
        loop {
            let connection = self.link.dialer().blocking().await;
            let failed = match connection {
                Ok(mut connection) => {
                    let known = Known {
                        id: connection.id(),
                        run_id: connection.run_id().to_owned(),
                    };
                    if let Some(before) = before.replace(known) {
                        self.follow(&mut connection, &before).await;
                    }
                    self.pump_through(connection, &mut backoff, &mut chores)
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
    ) -> Failure {
        // What the wait took in the last step; the inbox still counts it.
        let mut credit = 0;
        loop {
            let hurries = !chores.is_empty();
            let batch = self.next_batch(&mut connection, &mut credit, hurries);
            match batch.await {
                Ok(batch) => {
                    let is_due = batch.is_due;
                    self.deliver(batch, chores).await;
                    if is_due && let Err(error) = self.deliver_due().await {
                        tracing::debug!(%error, "what is due waits for redis");
                    }
                }
                Err(error) => return error,
            }
            // What cannot be done now is done later: the inbox does not wait.
            match self.do_chores(chores).await {
                Ok(()) => backoff.reset(),
                Err(error) => tracing::debug!(%error, "the registry waits for redis"),
            }
        }
    }

    /// Waits for entries and takes what is there, in one exchange.
    async fn next_batch(
        &self,
        connection: &mut Blocking,
        credit: &mut usize,
        hurries: bool,
    ) -> Result<Batch, Failure> {
        let own = &self.own;
        let block = if hurries {
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
            .arg(FIRST_MAX);
        let mut drain = INBOX_DRAIN.call([
            &*own.inbox,
            &own.bytes,
            &own.gap,
            &own.room,
            &own.lease,
            &own.tombs,
            &own.delayed,
        ]);
        drain
            .arg(BATCH_MAX)
            .arg(BATCH_BYTES)
            .arg(*credit)
            .arg(&own.topic);
        pipeline.add_command(drain);
        let mut answers = connection.exchange(&pipeline).await?.into_iter();
        let (Some(waited), Some(drained)) = (answers.next(), answers.next()) else {
            return Err(Failure::unexpected());
        };
        let mut batch = Batch::default();
        match waited {
            Value::Nil => {}
            Value::ServerError(error) => return Err(Failure::refused(error)),
            waited => {
                let [_, entries] = value::array(waited)?;
                batch.take(value::list(entries)?);
            }
        }
        let waited_bytes = batch.letters.iter().map(Vec::len).sum();
        match drained {
            Value::ServerError(error) if is_no_script(&error) => {
                let mut loads = Pipeline::new();
                for load in scripts::load_all() {
                    loads.add_command(load);
                }
                connection.exchange(&loads).await?;
                *credit += waited_bytes;
            }
            // What has been taken is delivered; the next step fails too.
            Value::ServerError(error) => tracing::warn!(code = error.code(), "draining the inbox"),
            drained => {
                let mut drained = value::list(drained)?.into_iter();
                let flags = value::int(&drained.next().ok_or_else(Failure::unexpected)?)?;
                batch.gap = flags & 1 != 0;
                batch.is_due = flags & 4 != 0;
                batch.take(drained);
                // An inbox that was emptied counts from nothing.
                *credit = if flags & 2 == 0 { waited_bytes } else { 0 };
            }
        }
        Ok(batch)
    }

    async fn deliver(&self, batch: Batch, chores: &mut Chores) {
        let Some(sink) = self.sink() else {
            return;
        };
        for letter in batch.letters {
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
        if batch.gap {
            sink.mark_gap();
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

impl Batch {
    fn take(&mut self, entries: impl IntoIterator<Item = Value>) {
        let entries = entries.into_iter();
        self.letters
            .extend(entries.filter_map(|entry| value::bytes(entry).ok()));
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
