//! Messages on their way, and what became of them.

use std::collections::HashMap;

use bytes::Bytes;
use redis::Value;
use towpath_layer_core::{ChannelName, GroupName, NodeId};

use crate::failure::Failure;
use crate::value;

/// Messages in one pipeline.
pub(crate) const BATCH_MAX: usize = 1_024;
/// Bytes in one pipeline; one message more may go with them.
pub(crate) const BATCH_BYTES: usize = 1 << 20;

/// Where a message goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Target {
    Channel(ChannelName),
    Inbox(NodeId),
}

/// How an inbox treats an entry when it is full.
#[derive(Debug, Clone)]
pub(crate) enum Class {
    /// It is refused; so is every message for a channel.
    Bounded,
    /// It is for the members of a group; it is refused, and the node learns
    /// that it misses something.
    Group(GroupName),
    /// It is taken.
    Unbounded,
}

/// What became of a message that Redis has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Taken,
    Full,
    /// The node has no lease.
    Gone,
    /// Nobody there wants it: the node has no members of the group.
    Empty,
}

/// One message on its way.
#[derive(Debug)]
pub(crate) struct Parcel {
    pub(crate) target: Target,
    pub(crate) class: Class,
    pub(crate) entry: Bytes,
}

/// The messages of one pipeline for one target, as places among all of them.
pub(crate) type Batch = (Target, Vec<usize>);

/// How many messages fit into one pipeline: at least one.
pub(crate) fn fitting(parcels: &[Parcel]) -> usize {
    let mut bytes = 0;
    let fits = |parcel: &&Parcel| {
        let fits = bytes < BATCH_BYTES;
        bytes += parcel.entry.len();
        fits
    };
    parcels.iter().take(BATCH_MAX).take_while(fits).count()
}

/// Gathers messages with the same target, in order.
pub(crate) fn by_target(parcels: &[Parcel]) -> Vec<Batch> {
    let mut known = HashMap::new();
    let mut batches: Vec<Batch> = Vec::new();
    let mut last: Option<(&Target, usize)> = None;
    for (place, parcel) in parcels.iter().enumerate() {
        let target = &parcel.target;
        // Most go where the one before went.
        let batch = match last {
            Some((before, batch)) if before == target => batch,
            _ => *known.entry(target).or_insert_with(|| {
                batches.push((target.clone(), Vec::new()));
                batches.len() - 1
            }),
        };
        last = Some((target, batch));
        if let Some((_, places)) = batches.get_mut(batch) {
            places.push(place);
        }
    }
    batches
}

/// What an inbox says; nothing if it took all.
pub(crate) fn inbox_verdicts(answer: Value, count: usize) -> Result<Vec<Verdict>, Failure> {
    let verdict = |value: Value| {
        Ok(match value::int(&value)? {
            0 => Verdict::Taken,
            1 => Verdict::Full,
            2 => Verdict::Gone,
            3 => Verdict::Empty,
            _ => return Err(Failure::unexpected()),
        })
    };
    let answer = value::list(answer)?;
    if answer.is_empty() {
        return Ok(vec![Verdict::Taken; count]);
    }
    answer.into_iter().map(verdict).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use towpath_layer_core::SeededEntropy;

    fn parcel(target: Target, size: usize) -> Parcel {
        Parcel {
            target,
            class: Class::Bounded,
            entry: Bytes::from(vec![0; size]),
        }
    }

    #[test]
    fn messages_for_one_target_go_together_in_order() {
        let channel = |name| Target::Channel(ChannelName::new(name).unwrap());
        let node = Target::Inbox(NodeId::random(&SeededEntropy::new(1)));
        let targets = [
            channel("a"),
            channel("a"),
            node.clone(),
            channel("b"),
            channel("a"),
            node.clone(),
        ];
        let parcels: Vec<_> = targets.into_iter().map(|to| parcel(to, 1)).collect();
        let expected = vec![
            (channel("a"), vec![0, 1, 4]),
            (node, vec![2, 5]),
            (channel("b"), vec![3]),
        ];
        assert_eq!(by_target(&parcels), expected);
    }

    #[test]
    fn a_pipeline_is_bounded_and_takes_one_message_of_any_size() {
        let to = Target::Channel(ChannelName::new("a").unwrap());
        let many = |count, size| -> Vec<_> {
            let one = |_| parcel(to.clone(), size);
            (0..count).map(one).collect()
        };
        assert_eq!(fitting(&many(3, 1)), 3);
        assert_eq!(fitting(&many(BATCH_MAX + 1, 1)), BATCH_MAX);
        assert_eq!(fitting(&many(2, BATCH_BYTES)), 1);
        assert_eq!(fitting(&many(3, BATCH_BYTES - 1)), 2);
    }

    #[test]
    fn an_inbox_says_nothing_if_it_took_all() {
        let nothing = Value::Array(Vec::new());
        assert_eq!(inbox_verdicts(nothing, 2).unwrap(), [Verdict::Taken; 2]);
        let answer = Value::Array(vec![Value::Int(0), Value::Int(3)]);
        let verdicts = inbox_verdicts(answer, 2).unwrap();
        assert_eq!(verdicts, [Verdict::Taken, Verdict::Empty]);
    }
}
