//! The channel of a topic.

use crate::protocol::phoenix::message::Ref;

use super::action::ChannelId;
use super::held::Held;

#[derive(Debug)]
pub(super) enum Stage {
    /// Its join is not answered.
    Joining,
    /// Messages go both ways.
    Joined,
    /// The client leaves; it wants an answer to that.
    Leaving { reference: Option<Ref> },
    /// The client has joined again; the new join waits.
    Replaced,
}

#[derive(Debug)]
pub(super) struct Channel {
    pub(super) id: ChannelId,
    pub(super) stage: Stage,
    /// As the join had it.
    pub(super) join_ref: Option<Ref>,
    /// What the answer to the join is known by.
    pub(super) reference: Option<Ref>,
    /// What came since the channel joins, or ends.
    pub(super) held: Held,
}

impl Channel {
    pub(super) fn new(id: ChannelId, join_ref: Option<&Ref>, reference: Option<&Ref>) -> Self {
        let join_ref = join_ref.map(Ref::detached);
        // The two are mostly the same text.
        let reference = if join_ref.as_ref() == reference {
            join_ref.clone()
        } else {
            reference.map(Ref::detached)
        };
        Self {
            id,
            stage: Stage::Joining,
            join_ref,
            reference,
            held: Held::default(),
        }
    }

    /// What the channel's own messages carry: a client that sends no
    /// `join_ref` knows the join by its `ref`.
    pub(super) fn own_ref(&self) -> Option<&Ref> {
        self.join_ref.as_ref().or(self.reference.as_ref())
    }

    /// Whether a message with that `join_ref` belongs to this channel. Null
    /// matches anything, on either side.
    pub(super) fn owns(&self, join_ref: Option<&Ref>) -> bool {
        match (&self.join_ref, join_ref) {
            (Some(own), Some(other)) => own == other,
            (None, _) | (_, None) => true,
        }
    }

    pub(super) fn is_joining(&self) -> bool {
        matches!(self.stage, Stage::Joining)
    }

    /// Whether the topic's messages wait.
    pub(super) fn is_busy(&self) -> bool {
        !matches!(self.stage, Stage::Joined)
    }

    pub(super) fn is_ending(&self) -> bool {
        matches!(self.stage, Stage::Leaving { .. } | Stage::Replaced)
    }
}
