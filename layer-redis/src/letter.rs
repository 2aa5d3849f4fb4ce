//! What travels in a node's inbox.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use towpath_layer_core::{CodecError, GroupName, InboxEntry, MessageIds, decode, encode};

use crate::parcels::Class;

/// One element of an inbox list.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are entries, and a box would be one allocation more for each"
)]
pub(crate) enum Letter {
    /// For the node's sink.
    Entry(InboxEntry),
    /// For the node itself: the group had no members when this was sent.
    Fence(GroupName),
}

impl Letter {
    pub(crate) fn write(&self, ids: &MessageIds) -> Result<Bytes, CodecError> {
        encode(ids.next(), self)
    }

    pub(crate) fn read(bytes: &[u8]) -> Result<Self, CodecError> {
        decode(bytes).map(|(_, letter)| letter)
    }

    /// How an inbox that is full treats it.
    pub(crate) fn class(&self) -> Class {
        match self {
            Self::Entry(entry) if entry.is_unbounded() => Class::Unbounded,
            Self::Entry(InboxEntry::Group { group, .. }) => Class::Group(group.clone()),
            Self::Entry(_) => Class::Bounded,
            Self::Fence(_) => Class::Unbounded,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use towpath_layer_core::{LocalId, Reply, SeededEntropy};

    #[test]
    fn a_letter_is_read_as_it_was_written() {
        let ids = MessageIds::new(&SeededEntropy::new(1));
        let group = GroupName::new("room").unwrap();
        for letter in [
            Letter::Fence(group.clone()),
            Letter::Entry(InboxEntry::LeaveAll { to: LocalId(3) }),
            Letter::Entry(InboxEntry::Group {
                group: group.clone(),
                reply: Reply::bytes(vec![0xff, 0]),
            }),
            Letter::Entry(InboxEntry::Join {
                group,
                to: LocalId(3),
                meta: Bytes::from_static(b"{}"),
            }),
        ] {
            let written = letter.write(&ids).unwrap();
            assert_eq!(Letter::read(&written).unwrap(), letter);
        }
    }
}
