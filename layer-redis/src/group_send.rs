//! Sending to every member of a group: one letter for each node.

use towpath_layer_core::metrics::GROUP_DROPPED;
use towpath_layer_core::{Counter, Delivery, GroupName, InboxEntry, Reply, SendError};

use crate::channels::written;
use crate::core::Core;
use crate::letter::Letter;
use crate::outgoing::{Parcel, Target, Verdict};

impl Core {
    pub(crate) async fn group_send(
        &self,
        group: &GroupName,
        reply: Reply,
    ) -> Result<Delivery, SendError> {
        self.check_size(reply.payload_size(), reply.envelope_size())?;
        let letter = Letter::Entry(InboxEntry::Group {
            group: group.clone(),
            reply,
        });
        let entry = written(letter.write(&self.ids))?;
        let nodes = self.in_time(self.nodes_of(group)).await?;
        let parcels = nodes.iter().map(|(node, _)| Parcel {
            target: Target::Inbox(*node),
            class: letter.class(),
            entry: entry.clone(),
        });
        let verdicts = self.dispatch(parcels.collect()).await;
        let mut delivery = Delivery {
            nodes: 0,
            delivered: 0,
            dropped: 0,
            certain: self.link.is_settled(self.limits.lease),
        };
        let mut gone = Vec::new();
        let mut failed = None;
        for ((node, token), verdict) in nodes.iter().zip(verdicts) {
            match verdict {
                Ok(Verdict::Taken) => delivery.delivered += 1,
                Ok(Verdict::Full) => delivery.dropped += 1,
                // The registry was read before the members were looked for.
                Ok(Verdict::Empty) => gone.push(self.unregister_command(group, *node, token)),
                Ok(Verdict::Gone) => {
                    delivery.dropped += 1;
                    gone.push(self.unregister_command(group, *node, token));
                }
                Err(failure) => failed = Some(failure),
            }
        }
        delivery.nodes = delivery.delivered + delivery.dropped;
        self.count_dropped(delivery.dropped);
        if !gone.is_empty()
            && let Err(error) = self.link.run(gone).await
        {
            tracing::debug!(%error, %group, "a node without members stays registered");
        }
        match failed {
            None => Ok(delivery),
            Some(_) if self.is_closed() => Err(SendError::Closed),
            Some(mut failure) => {
                // Some nodes may have it.
                failure.outcome_unknown |= delivery.delivered > 0;
                Err(failure.into())
            }
        }
    }

    fn count_dropped(&self, dropped: u32) {
        if dropped > 0 {
            self.accounts.count(Counter::Dropped, dropped.into());
            metrics::counter!(GROUP_DROPPED).increment(dropped.into());
        }
    }
}
