//! A node's lease: taken, renewed, and taken anew when it was lost.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use redis::Cmd;
use tokio::sync::Notify;
use towpath_layer_core::NodeId;

use crate::core::Core;
use crate::failure::Failure;
use crate::link::Session;
use crate::scripts::{LEASE_ANNOUNCED, LEASE_END, LEASE_RENEW, LEASE_TAKE, Script};
use crate::{millis, value};

/// How this node stands towards its lease.
#[derive(Debug, Default)]
pub(crate) struct Tenancy {
    /// Held while the lease is taken or renewed.
    held: tokio::sync::Mutex<()>,
    state: Mutex<State>,
    /// Whether the members have to be announced, because nobody knows them.
    announcing: AtomicBool,
    pub(crate) announce_due: Notify,
    /// Whether the sink may have missed joins and leaves.
    doubts: AtomicBool,
}

#[derive(Debug, Default, Clone)]
struct State {
    /// What stands in the lease: a number for this incarnation, and whether it
    /// has announced its members (`l`) or has yet to (`a`).
    value: String,
    /// The life of the server in which it was taken.
    run_id: String,
}

impl Tenancy {
    /// What stands in the lease.
    pub(crate) fn value(&self) -> String {
        self.state.lock().value.clone()
    }

    /// Waits until the lease is left alone. A node that has closed takes it no
    /// more once this has been dropped.
    pub(crate) async fn held(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.held.lock().await
    }

    pub(crate) fn is_announcing(&self) -> bool {
        self.announcing.load(Ordering::Acquire)
    }

    /// Has the members compared: the sink may have missed joins and leaves.
    pub(crate) fn doubt(&self) {
        self.doubts.store(true, Ordering::Release);
        self.announce_due.notify_one();
    }

    /// Whether there was a doubt; whoever asks deals with it.
    pub(crate) fn take_doubts(&self) -> bool {
        self.doubts.swap(false, Ordering::AcqRel)
    }
}

impl Core {
    /// How long an inbox outlives the last sign of its owner.
    pub(crate) fn inbox_ttl(&self) -> Duration {
        self.limits.lease * 2
    }

    /// Keeps the lease, for as long as this node lives.
    pub(crate) async fn keep_lease(&self) {
        let mut changes = self.link.changes();
        let mut backoff = self.link.backoff();
        loop {
            changes.mark_unchanged();
            match self.hold_lease().await {
                Ok(()) => {
                    backoff.reset();
                    tokio::select! {
                        () = tokio::time::sleep(self.limits.lease / 3) => {}
                        changed = changes.changed() => if changed.is_err() { return; }
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "the lease could not be renewed");
                    tokio::select! {
                        () = backoff.pause() => {}
                        changed = changes.changed() => if changed.is_err() { return; }
                    }
                }
            }
        }
    }

    /// Makes sure that this node has its lease.
    pub(crate) async fn hold_lease(&self) -> Result<(), Failure> {
        let session = self.link.session()?;
        let _held = self.tenancy.held.lock().await;
        if self.is_closed() {
            return Err(Failure::ended());
        }
        let state = self.tenancy.state.lock().clone();
        if state.run_id == session.run_id() {
            let renew = self.lease_command(&LEASE_RENEW, &state.value);
            if self.with_presence(renew).await? {
                return Ok(());
            }
            tracing::warn!(node = %self.node, "this node was held for dead");
        }
        self.take_lease(&session).await
    }

    async fn take_lease(&self, session: &Session) -> Result<(), Failure> {
        // Before the sink is attached nobody can be a member.
        let announces = self.sink().is_some();
        let value = format!("{}:{}", self.token(), if announces { 'a' } else { 'l' });
        let take = self.lease_command(&LEASE_TAKE, &value);
        self.with_presence(take).await?;
        *self.tenancy.state.lock() = State {
            value,
            run_id: session.run_id().to_owned(),
        };
        if announces {
            self.tenancy.announcing.store(true, Ordering::Release);
            self.tenancy.announce_due.notify_one();
        }
        Ok(())
    }

    fn lease_command(&self, script: &Script, value: &str) -> Cmd {
        let keys = &self.own;
        let mut command = script.call([&*keys.lease, &keys.inbox, &keys.bytes]);
        command
            .arg(value)
            .arg(millis(self.limits.lease))
            .arg(millis(self.inbox_ttl()));
        command
    }

    /// Runs a command on the lease, and stands among the nodes.
    async fn with_presence(&self, command: Cmd) -> Result<bool, Failure> {
        let commands = [self.presence_command(self.node), command];
        let mut answers = self.link.run(commands).await?;
        let done = answers.pop().ok_or_else(Failure::unexpected)??;
        Ok(value::int(&done)? == 1)
    }

    /// Puts a node among those that have to have a lease, or are buried.
    pub(crate) fn presence_command(&self, node: NodeId) -> Cmd {
        let mut command = redis::cmd("SADD");
        command.arg(self.keys.nodes()).arg(node.to_string());
        command
    }

    /// Ends the announcement that was made under a lease. Fails if that was
    /// lost meanwhile: what was announced may be lost with it.
    pub(crate) async fn end_announcement(&self, lease: &str) -> Result<(), Failure> {
        let _held = self.tenancy.held.lock().await;
        if self.tenancy.value() != lease {
            return Err(Failure::lease_lost());
        }
        let after = lease.replace(":a", ":l");
        let mut command = LEASE_ANNOUNCED.call([&*self.own.lease, &self.own.tombs]);
        command.arg(lease).arg(&after);
        if value::int(&self.link.run_one(command).await?)? != 1 {
            return Err(Failure::lease_lost());
        }
        self.tenancy.state.lock().value = after;
        self.tenancy.announcing.store(false, Ordering::Release);
        Ok(())
    }

    /// Ends a node's lease and inbox; says whether it was dead, or is the caller.
    pub(crate) async fn end_lease(&self, node: NodeId) -> Result<bool, Failure> {
        let keys = self.keys.node(node);
        let mut command = LEASE_END.call([
            &*keys.lease,
            &keys.inbox,
            &keys.bytes,
            &keys.gap,
            &keys.room,
            &keys.tombs,
        ]);
        command.arg(u8::from(node == self.node));
        Ok(value::int(&self.link.run_one(command).await?)? == 1)
    }
}
