//! Finds what breaks the contract in a history.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use towpath_layer_core::ChannelName;

use super::{Id, Outcome, Record};

/// What the layer of a run had promised.
#[derive(Debug, Clone)]
pub struct Rules {
    /// How long a message lives. Longer than the run, if what was lost is to
    /// be told from what expired.
    pub expiry: Duration,
    /// How many messages a channel holds.
    pub capacity: u64,
    /// How many messages the receivers of one channel may hold that are no
    /// longer on it and not handed out.
    pub held_max: u64,
    /// How far the backend's clock and the history's may differ in measuring
    /// an expiry.
    pub tolerance: Duration,
}

/// What a history shows to be wrong. All empty is right.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdict {
    /// Acknowledged and never handed out.
    pub lost: BTreeSet<Id>,
    /// Handed out more than once.
    pub twice: BTreeSet<Id>,
    /// Handed out, but never sent, or said not to be sent.
    pub invented: BTreeSet<Id>,
    /// Handed out by the only receiver of a channel after a later message of
    /// the same sender.
    pub out_of_order: BTreeSet<Id>,
    /// Handed out by a receive that began after the expiry.
    pub too_late: BTreeSet<Id>,
    /// The most messages that were surely on a channel at once, where that is
    /// more than its capacity.
    pub over_capacity: BTreeMap<ChannelName, u64>,
    /// Refused as full, while there cannot have been so many on the channel.
    pub full_too_early: BTreeSet<Id>,
}

impl Verdict {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self == &Self::default()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of_ids = [
            ("lost", &self.lost),
            ("handed out twice", &self.twice),
            ("invented", &self.invented),
            ("out of order", &self.out_of_order),
            ("too late", &self.too_late),
            ("refused as full too early", &self.full_too_early),
        ];
        for (what, ids) in of_ids {
            let some: Vec<_> = ids.iter().take(5).collect();
            if !some.is_empty() {
                writeln!(f, "{} {what}, first {some:?}", ids.len())?;
            }
        }
        for (channel, count) in &self.over_capacity {
            writeln!(f, "{count} at once on {channel}, over its capacity")?;
        }
        Ok(())
    }
}

/// One message, from all that was written about it.
struct Message<'a> {
    channel: &'a ChannelName,
    began: u64,
    ended: Option<(u64, Outcome)>,
    received: Vec<Receipt>,
}

#[derive(Clone, Copy)]
struct Receipt {
    began: u64,
    at: u64,
}

impl Message<'_> {
    fn outcome(&self) -> Outcome {
        self.ended.map_or(Outcome::Unknown, |(_, outcome)| outcome)
    }

    fn acked_at(&self) -> Option<u64> {
        self.ended
            .filter(|(_, outcome)| *outcome == Outcome::Acked)
            .map(|(at, _)| at)
    }
}

pub(super) fn check(records: &[Record], rules: &Rules) -> Verdict {
    let mut verdict = Verdict::default();
    let messages = gather(records, &mut verdict);
    let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let late = micros(rules.expiry).saturating_add(micros(rules.tolerance));
    for (id, message) in &messages {
        let acked_at = message.acked_at();
        match (acked_at, message.received.as_slice()) {
            (Some(_), []) => {
                verdict.lost.insert(*id);
            }
            (_, [_, _, ..]) => {
                verdict.twice.insert(*id);
            }
            _ => {}
        }
        let said_not_to_be_sent = matches!(message.outcome(), Outcome::Full | Outcome::Failed);
        if said_not_to_be_sent && !message.received.is_empty() {
            verdict.invented.insert(*id);
        }
        if let Some(acked_at) = acked_at {
            let is_late = |receipt: &Receipt| receipt.began > acked_at.saturating_add(late);
            if message.received.iter().any(is_late) {
                verdict.too_late.insert(*id);
            }
        }
    }
    order(records, &messages, &mut verdict);
    capacity(&messages, rules, late, &mut verdict);
    verdict
}

fn gather<'a>(records: &'a [Record], verdict: &mut Verdict) -> BTreeMap<Id, Message<'a>> {
    let mut messages = BTreeMap::new();
    for record in records {
        if let Record::SendBegins { id, channel, at } = record {
            match messages.entry(*id) {
                Entry::Vacant(place) => {
                    place.insert(Message {
                        channel,
                        began: *at,
                        ended: None,
                        received: Vec::new(),
                    });
                }
                Entry::Occupied(_) => panic!("{id:?} was sent twice: the recording is wrong"),
            }
        }
    }
    for record in records {
        match record {
            Record::SendBegins { .. } => {}
            Record::SendEnds { id, at, outcome } => {
                let message = messages.get_mut(id);
                let message = message.expect("a send begins before it ends");
                message.ended = Some((*at, *outcome));
            }
            Record::Received {
                id,
                channel,
                began,
                at,
                ..
            } => match messages.get_mut(id) {
                Some(message) if message.channel == channel => {
                    let (began, at) = (*began, *at);
                    message.received.push(Receipt { began, at });
                }
                _ => {
                    verdict.invented.insert(*id);
                }
            },
        }
    }
    messages
}

/// Where a channel has one receiver, a sender's messages come in the order of
/// their numbers. One whose send was not acknowledged may come at any time.
fn order(records: &[Record], messages: &BTreeMap<Id, Message<'_>>, verdict: &mut Verdict) {
    let mut receivers: BTreeMap<_, BTreeSet<u32>> = BTreeMap::new();
    for record in records {
        if let Record::Received {
            channel, receiver, ..
        } = record
        {
            receivers.entry(channel).or_default().insert(*receiver);
        }
    }
    let mut last = BTreeMap::new();
    for record in records {
        let Record::Received { id, channel, .. } = record else {
            continue;
        };
        let acked = messages.get(id).and_then(Message::acked_at);
        if receivers[channel].len() > 1 || acked.is_none() {
            continue;
        }
        let last = last.entry((channel, id.sender)).or_insert(id.number);
        if id.number < *last {
            verdict.out_of_order.insert(*id);
        }
        *last = id.number.max(*last);
    }
}

/// A message is surely on its channel from its acknowledgement to the beginning
/// of the receive that handed it out, and may be there from the beginning of
/// its send to the end of that receive, or until it has expired.
fn capacity(messages: &BTreeMap<Id, Message<'_>>, rules: &Rules, late: u64, verdict: &mut Verdict) {
    let mut channels: BTreeMap<_, Presence> = BTreeMap::new();
    for message in messages.values() {
        let presence = channels.entry(message.channel).or_default();
        presence.add(message, rules, late);
    }
    for (channel, presence) in &mut channels {
        let most = presence.most_at_once();
        if most > rules.capacity.saturating_add(rules.held_max) {
            verdict.over_capacity.insert((*channel).clone(), most);
        }
        presence.begins.sort_unstable();
        presence.ends.sort_unstable();
    }
    for (id, message) in messages {
        if let Some((ended, Outcome::Full)) = message.ended {
            let presence = &channels[message.channel];
            if presence.possible(message.began, ended) < rules.capacity {
                verdict.full_too_early.insert(*id);
            }
        }
    }
}

/// Who was on a channel when.
#[derive(Default)]
struct Presence {
    /// When the number of those that are surely there changes.
    changes: Vec<(u64, i64)>,
    /// When those that may be there come and go.
    begins: Vec<u64>,
    ends: Vec<u64>,
}

impl Presence {
    fn add(&mut self, message: &Message<'_>, rules: &Rules, late: u64) {
        if !matches!(message.outcome(), Outcome::Acked | Outcome::Unknown) {
            return;
        }
        let first = message.received.first();
        if let Some(acked_at) = message.acked_at() {
            // From the beginning of its send, so that it has surely not
            // expired yet; a backend in another process has its own clock.
            let expiry = rules.expiry.saturating_sub(rules.tolerance).as_micros();
            let expiry = u64::try_from(expiry).unwrap_or(u64::MAX);
            let gone = message.began.saturating_add(expiry);
            let until = first.map_or(gone, |receipt| receipt.began.min(gone));
            if until > acked_at {
                self.changes.push((acked_at, 1));
                self.changes.push((until, -1));
            }
        }
        self.begins.push(message.began);
        let expired = message.ended.map_or(u64::MAX, |(at, _)| at);
        let expired = expired.saturating_add(late);
        self.ends.push(first.map_or(expired, |receipt| receipt.at));
    }

    fn most_at_once(&mut self) -> u64 {
        self.changes.sort_unstable();
        let (mut now, mut most) = (0i64, 0);
        for (_, change) in &self.changes {
            now += change;
            most = most.max(now);
        }
        u64::try_from(most).expect("as many go as came")
    }

    /// How many may have been there at some time from `began` to `ended`.
    fn possible(&self, began: u64, ended: u64) -> u64 {
        let came = self.begins.partition_point(|at| *at <= ended);
        let went = self.ends.partition_point(|at| *at < began);
        (came - went) as u64
    }
}
