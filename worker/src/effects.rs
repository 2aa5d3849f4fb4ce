//! What a consumer did, as far as it counts only once it has returned.

use std::time::Duration;

use bytes::Bytes;
use towpath_layer_core::{
    Accept, ChannelLayer, ChannelName, GroupChange, GroupName, History, Message, Reply,
};

use crate::envelope::{Envelope, Slots};
use crate::held::Held;
use crate::{Error, Result, held};

/// Effects that one event's outbox holds at most.
pub(crate) const OUTBOX_EFFECTS_MAX: usize = 1024;

/// What a consumer did that its completion repeats or carries.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    /// The new session, or why it cannot be kept.
    pub(crate) session: Option<Result<Bytes, String>>,
    /// The new states beside the session.
    pub(crate) slots: Slots,
    /// Changes of the conversation's own groups; the last one of each group.
    pub(crate) groups: Vec<GroupChange>,
    /// How the handshake was answered, or will be by what waits, if it is.
    pub(crate) answer: Option<Answer>,
    /// Whether the peer has been told that it is accepted.
    pub(crate) accepted: bool,
    /// What goes along when the handshake is accepted, whoever accepts it.
    pub(crate) accept: Accept,
    /// What goes out when the consumer has returned.
    pub(crate) outbox: Vec<Effect>,
    /// What it wrote last, while it is polled.
    pub(crate) held: Held,
}

/// How a consumer answered a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Accepted,
    Refused,
}

impl Answer {
    /// How a reply answers a handshake, if it does.
    pub(crate) fn of(reply: &Reply) -> Option<Self> {
        if reply.accept.is_some() {
            Some(Self::Accepted)
        } else if reply.deny.is_some() {
            Some(Self::Refused)
        } else if reply.frame.is_some() {
            Some(Self::Accepted)
        } else {
            reply.close.as_ref().map(|_| Self::Refused)
        }
    }
}

/// One thing that goes out when the consumer has returned.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Effect {
    Send(ChannelName, Message),
    GroupSend(GroupName, Reply),
    Publish(GroupName, Reply, History),
    SendAfter(Duration, ChannelName, Message),
}

/// Where the consumer of a stream began, so that its failure can undo what has
/// no effect yet: its session and what waits to be sent. Changes of groups have
/// taken effect, and what middleware keeps is not the consumer's.
#[derive(Debug)]
pub(crate) struct Savepoint {
    slot: String,
    state: Option<Bytes>,
    /// Of the whole conversation; a stream's says here only that it failed.
    session: Option<Result<Bytes, String>>,
    outbox: usize,
}

impl Effects {
    pub(crate) fn savepoint(&self, slot: String) -> Savepoint {
        Savepoint {
            state: self.slot(&slot),
            slot,
            session: self.session.clone(),
            outbox: self.outbox.len(),
        }
    }

    pub(crate) fn roll_back(&mut self, to: Savepoint) {
        match to.state {
            Some(state) => self.keep_slot(&to.slot, state),
            None => self.slots.retain(|(known, _)| *known != *to.slot),
        }
        self.session = to.session;
        self.outbox.truncate(to.outbox);
    }

    /// Adds what goes along with an accepted handshake to the reply that accepts
    /// it. What that reply says itself comes first.
    pub(crate) fn complete_accept(&mut self, reply: &mut Reply) {
        let accepts = Answer::of(reply) == Some(Answer::Accepted) && self.answer.is_none();
        if !accepts || self.accept == Accept::default() {
            return;
        }
        let along = std::mem::take(&mut self.accept);
        let accept = reply.accept.get_or_insert_default();
        accept.headers.extend(along.headers);
        accept.subprotocol = accept.subprotocol.take().or(along.subprotocol);
    }

    /// Takes what was put into the outbox since then.
    pub(crate) fn take_outbox_since(&mut self, since: &Savepoint) -> Vec<Effect> {
        let start = since.outbox.min(self.outbox.len());
        self.outbox.split_off(start)
    }

    /// What travels beside the session from now on.
    pub(crate) fn kept(&self, mut before: Envelope) -> Envelope {
        for (name, state) in &self.slots {
            before.keep(name, state.clone());
        }
        before
    }

    /// Notes how a reply answers the handshake, if it does; the first that does
    /// counts.
    pub(crate) fn note_answer(&mut self, answer: Option<Answer>, waits: bool) {
        let Some(answer) = answer else { return };
        let first = *self.answer.get_or_insert(answer);
        self.accepted |= !waits && first == Answer::Accepted;
    }

    /// The state that was kept under a name, if one was.
    pub(crate) fn slot(&self, name: &str) -> Option<Bytes> {
        let found = self.slots.iter().find(|(known, _)| *known == *name);
        found.map(|(_, state)| state.clone())
    }

    pub(crate) fn keep_slot(&mut self, name: &str, state: Bytes) {
        self.slots.retain(|(known, _)| *known != *name);
        self.slots.push((name.into(), state));
    }

    pub(crate) fn note_group(&mut self, change: GroupChange) {
        self.groups.retain(|known| known.of() != change.of());
        self.groups.push(change);
    }

    pub(crate) fn put(&mut self, effect: Effect) -> Result {
        if self.outbox.len() >= OUTBOX_EFFECTS_MAX {
            return Err(Error::internal(format!(
                "the outbox of one event holds {OUTBOX_EFFECTS_MAX} effects at most"
            )));
        }
        self.outbox.push(effect);
        Ok(())
    }
}

/// Sends an outbox in its order; neighbouring sends are one batch.
///
/// # Errors
///
/// The first failure; what stands after it in the outbox is not sent, what
/// stands in the same batch may be.
pub(crate) async fn send(layer: &dyn ChannelLayer, outbox: Vec<Effect>) -> Result {
    held::flush().await;
    let mut batch = Vec::new();
    for effect in outbox {
        match effect {
            Effect::Send(channel, message) => batch.push((channel, message)),
            Effect::GroupSend(group, reply) => {
                send_batch(layer, &mut batch).await?;
                layer.group_send(&group, reply).await?;
            }
            Effect::Publish(group, reply, history) => {
                send_batch(layer, &mut batch).await?;
                layer.group_publish(&group, reply, &history).await?;
            }
            Effect::SendAfter(delay, channel, message) => {
                send_batch(layer, &mut batch).await?;
                layer.send_after(delay, &channel, message).await?;
            }
        }
    }
    send_batch(layer, &mut batch).await
}

async fn send_batch(layer: &dyn ChannelLayer, batch: &mut Vec<(ChannelName, Message)>) -> Result {
    if batch.is_empty() {
        return Ok(());
    }
    for result in layer.send_many(std::mem::take(batch)).await {
        result?;
    }
    Ok(())
}
