//! Names and identities (contract §1, §4).

use std::collections::BTreeSet;

use bytes::Bytes;
use towpath_layer_core::{ChannelKind, GroupError, LayerError};

use super::support::{channel, empty, group, within};
use crate::Factory;

/// A new channel has one reader and a name that no other call returns.
pub async fn a_new_channel_has_one_reader_and_a_name_of_its_own(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let (one, other) = (backend.node().await, backend.node().await);
    let mut names = BTreeSet::new();
    for layer in [&one, &other] {
        for _ in 0..100 {
            let name = layer.new_channel("body").unwrap();
            assert_eq!(name.kind(), ChannelKind::SingleReader, "{name}");
            assert!(name.as_str().starts_with("body?"), "{name}");
            assert!(names.insert(name), "a name came twice");
        }
    }
}

/// A prefix that is no name, or leaves no room, is refused.
pub async fn a_prefix_that_is_no_name_is_refused(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let layer = backend.node().await;
    for prefix in ["", "a b", "a?b", "a!b", "é", "a\n", &"x".repeat(99)] {
        let error = layer.new_channel(prefix).unwrap_err();
        assert!(error.to_string().contains("is not valid"), "{error}");
    }
}

/// What is sent to a reply channel comes through the inbox, not a receiver.
pub async fn a_reply_channel_has_no_receiver(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let peer = super::support::Peer::new(&*backend).await;
    let (_, reply) = peer.connect();
    let error = peer.layer.receiver(vec![channel("work"), reply.clone()]);
    let error = error.unwrap_err();
    assert!(matches!(error, LayerError::Name(_)), "{error}");
    assert!(error.to_string().contains(reply.as_str()), "{error}");
}

/// Members of groups are reply channels; anything else is a `NameError`.
pub async fn only_reply_channels_are_members(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let layer = backend.node().await;
    let room = group("room");
    for name in [channel("work"), layer.new_channel("body").unwrap()] {
        let changes = [
            within("add", layer.group_add(&room, &name, Bytes::new())).await,
            within("discard", layer.group_discard(&room, &name)).await,
            within("discard", layer.discard_all(&name)).await,
        ];
        for change in changes {
            let error = change.unwrap_err();
            assert!(matches!(error, GroupError::Name(_)), "{error}");
            assert!(!error.is_transient());
        }
        let member = within("is_member", layer.is_member(&room, &name)).await;
        assert!(matches!(member.unwrap_err(), LayerError::Name(_)));
        let groups = within("channel_groups", layer.channel_groups(&name)).await;
        assert!(matches!(groups.unwrap_err(), LayerError::Name(_)));
    }
}

/// Every node has an identity of its own, and keeps it.
pub async fn every_node_has_an_identity_of_its_own(factory: &dyn Factory) {
    let backend = empty(factory).await;
    let (one, other) = (backend.node().await, backend.node().await);
    assert_ne!(one.node(), other.node());
    assert_eq!(one.node(), one.node());
    assert_eq!(one.backend(), other.backend());
}
