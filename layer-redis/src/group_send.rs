//! Sending to every member of a group: one letter for each node.
//!
//! The nodes are those that are known of ([`KnownNodes`](crate::known_nodes)).
//! Their answers come behind the news of any change that was made before the
//! send began, so one look afterwards says whether some were missed.

use std::collections::HashSet;

use towpath_layer_core::metrics::GROUP_DROPPED;
use towpath_layer_core::{Counter, Delivery, GroupName, InboxEntry, NodeId, Reply, SendError};

use crate::channels::written;
use crate::core::Core;
use crate::failure::Failure;
use crate::known_nodes::Registered;
use crate::letter::Letter;
use crate::parcels::{Class, Parcel, Target, Verdict};

/// A letter on its way to the nodes of a group, and what became of it.
#[derive(Debug)]
pub(crate) struct Sending<'a> {
    group: &'a GroupName,
    class: Class,
    entry: bytes::Bytes,
    delivered: u32,
    dropped: u32,
    /// Entries of nodes without members.
    gone: Vec<Registered>,
    failed: Option<Failure>,
}

impl Core {
    pub(crate) async fn group_send(
        &self,
        group: &GroupName,
        reply: Reply,
    ) -> Result<Delivery, SendError> {
        self.check_size(reply.payload_size(), reply.envelope_size())?;
        let mut sending = self.sending(group, reply)?;
        let sent = self.send_to_all(&mut sending).await;
        self.conclude(sending, sent.err(), false).await
    }

    /// Sends to this node alone, through its inbox: behind the joins and
    /// messages that stand there.
    pub(crate) async fn group_send_local(
        &self,
        group: &GroupName,
        reply: Reply,
    ) -> Result<Delivery, SendError> {
        self.check_size(reply.payload_size(), reply.envelope_size())?;
        let mut sending = self.sending(group, reply)?;
        self.send_to(&[(self.node, String::new())], &mut sending)
            .await;
        // Its entry in the registry is its own affair.
        sending.gone.clear();
        let delivery = self.conclude(sending, None, false).await?;
        Ok(Delivery {
            certain: true,
            ..delivery
        })
    }

    /// A message that is ready to be sent.
    pub(crate) fn sending<'a>(
        &self,
        group: &'a GroupName,
        reply: Reply,
    ) -> Result<Sending<'a>, SendError> {
        let letter = Letter::Entry(InboxEntry::Group {
            group: group.clone(),
            reply,
        });
        Ok(Sending {
            group,
            class: letter.class(),
            entry: written(letter.write(&self.ids))?,
            delivered: 0,
            dropped: 0,
            gone: Vec::new(),
            failed: None,
        })
    }

    /// Says what became of a message. One that `has_effect` whoever got it has
    /// not failed for certain.
    pub(crate) async fn conclude(
        &self,
        sending: Sending<'_>,
        failure: Option<Failure>,
        has_effect: bool,
    ) -> Result<Delivery, SendError> {
        self.count_dropped(sending.dropped);
        self.unregister(&sending).await;
        match failure.or(sending.failed) {
            None => Ok(Delivery {
                nodes: sending.delivered + sending.dropped,
                delivered: sending.delivered,
                dropped: sending.dropped,
                certain: self.link.is_settled(self.limits.lease),
            }),
            Some(_) if self.is_closed() => Err(SendError::Closed),
            Some(mut failure) => {
                // Some nodes may have it.
                failure.outcome_unknown |= has_effect || sending.delivered > 0;
                Err(failure.into())
            }
        }
    }

    async fn send_to_all(&self, sending: &mut Sending<'_>) -> Result<(), Failure> {
        let registry = self.keys.registry(sending.group);
        let serial = self.link.session()?.serial();
        let Some((reading, nodes)) = self.known_nodes.get(&registry, serial) else {
            let nodes = self.in_time(self.read_registry(&registry)).await?;
            self.send_to(&nodes, sending).await;
            return Ok(());
        };
        self.send_to(&nodes, sending).await;
        let serial = self.link.session()?.serial();
        if sending.failed.is_some() || self.known_nodes.stands(&registry, reading, serial) {
            return Ok(());
        }
        let reached: HashSet<NodeId> = nodes.iter().map(|(node, _)| *node).collect();
        let mut missed = self.in_time(self.read_registry(&registry)).await?;
        missed.retain(|(node, _)| !reached.contains(node));
        self.send_to(&missed, sending).await;
        Ok(())
    }

    pub(crate) async fn send_to(&self, nodes: &[Registered], sending: &mut Sending<'_>) {
        let parcels = nodes.iter().map(|(node, _)| Parcel {
            target: Target::Inbox(*node),
            class: sending.class.clone(),
            entry: sending.entry.clone(),
        });
        let verdicts = self.dispatch(parcels.collect()).await;
        for (node, verdict) in nodes.iter().zip(verdicts) {
            match verdict {
                Ok(Verdict::Taken) => sending.delivered += 1,
                Ok(Verdict::Full) => sending.dropped += 1,
                // The registry was read before the members were looked for.
                Ok(Verdict::Empty) => sending.gone.push(node.clone()),
                Ok(Verdict::Gone) => {
                    sending.dropped += 1;
                    sending.gone.push(node.clone());
                }
                Err(failure) => sending.failed = Some(failure),
            }
        }
    }

    /// Removes nodes without members from the registry, if nobody has entered
    /// them anew.
    async fn unregister(&self, sending: &Sending<'_>) {
        if sending.gone.is_empty() {
            return;
        }
        let group = sending.group;
        let removals = sending.gone.iter();
        let removals = removals.map(|(node, token)| self.unregister_command(group, *node, token));
        if let Err(error) = self.link.run(removals).await {
            tracing::debug!(%error, %group, "a node without members stays registered");
        }
    }

    fn count_dropped(&self, dropped: u32) {
        if dropped > 0 {
            self.accounts.count(Counter::Dropped, dropped.into());
            metrics::counter!(GROUP_DROPPED).increment(dropped.into());
        }
    }
}
