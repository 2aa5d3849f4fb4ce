//! The pump: empties this node's inbox into its sink, in order.

use std::collections::HashSet;
use std::sync::Arc;

use redis::{Pipeline, Value};
use towpath_layer_core::metrics::LAYER_MALFORMED;
use towpath_layer_core::{Counter, GroupName, InboxEntry, InboxSink, LocalId, Refused};

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
}

/// What a batch asks of the node itself.
#[derive(Debug, Default)]
struct Chores {
    /// Groups that have members here, of which the registry may not know.
    register: HashSet<GroupName>,
    /// Groups that may have no members here any more.
    leave: HashSet<GroupName>,
    /// Memberships of connections that are closed.
    undo: Vec<(GroupName, LocalId)>,
}

impl Core {
    /// Pumps for as long as this node lives.
    pub(crate) async fn pump(&self) {
        let mut backoff = self.link.backoff();
        loop {
            let connection = self.link.dialer().blocking().await;
            let failed = match connection {
                Ok(connection) => {
                    backoff.reset();
                    self.pump_through(connection).await
                }
                Err(error) => error,
            };
            tracing::debug!(error = %failed, "the inbox waits for redis");
            backoff.pause().await;
        }
    }

    /// Pumps until the connection fails.
    async fn pump_through(&self, mut connection: Blocking) -> Failure {
        // What the wait took in the last step; the inbox still counts it.
        let mut credit = 0;
        loop {
            match self.next_batch(&mut connection, &mut credit).await {
                Ok(batch) => self.deliver(batch).await,
                Err(error) => return error,
            }
        }
    }

    /// Waits for entries and takes what is there, in one exchange.
    async fn next_batch(
        &self,
        connection: &mut Blocking,
        credit: &mut usize,
    ) -> Result<Batch, Failure> {
        let own = &self.own;
        let mut pipeline = Pipeline::new();
        pipeline
            .cmd("BLMPOP")
            .arg(BLOCK.as_secs())
            .arg(1)
            .arg(&own.inbox)
            .arg("LEFT")
            .arg("COUNT")
            .arg(FIRST_MAX);
        let mut drain = INBOX_DRAIN.call([&*own.inbox, &own.bytes, &own.gap, &own.room]);
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
                batch.gap = drained.next().is_some_and(|gap| gap == Value::Int(1));
                batch.take(drained);
                *credit = waited_bytes;
            }
        }
        Ok(batch)
    }

    async fn deliver(&self, batch: Batch) {
        let Some(sink) = self.sink() else {
            return;
        };
        let mut chores = Chores::default();
        for letter in batch.letters {
            match Letter::read(&letter) {
                Ok(Letter::Fence(group)) => {
                    chores.leave.insert(group);
                }
                Ok(Letter::Entry(entry)) => {
                    if self.is_for_somebody(&entry, &sink, &mut chores) {
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
        let mut backoff = self.link.backoff();
        while let Err(error) = self.do_chores(&chores).await {
            tracing::debug!(%error, "the registry waits for redis");
            backoff.pause().await;
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
                    chores.undo.push((group.clone(), *to));
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

    async fn do_chores(&self, chores: &Chores) -> Result<(), Failure> {
        self.register(chores.register.iter().cloned()).await?;
        self.discard_members(&chores.undo).await?;
        let leave: Vec<_> = chores.leave.iter().cloned().collect();
        self.leave_registries(&leave).await
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
