//! What groups keep of what is published to them.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use towpath_layer_core::{Entropy, GroupName, History, Limits, Position, Recalled, Reply};

/// What a message weighs besides its size, in bytes.
const OVERHEAD: usize = 64;

/// The histories of some groups.
#[derive(Debug)]
pub(crate) struct Histories {
    bytes_max: usize,
    life_min: Duration,
    logs: HashMap<GroupName, Log>,
}

/// The history of one group: the messages kept last, without a hole.
#[derive(Debug)]
pub(crate) struct Log {
    epoch: u64,
    /// The offset given last.
    newest: u64,
    /// Oldest first; the last one is the newest.
    kept: VecDeque<Kept>,
    /// What they weigh together.
    bytes: usize,
    bytes_max: usize,
    /// How long the offsets outlive the last publish, or a recall once there was
    /// one, and until when.
    life: Duration,
    ends: Duration,
}

#[derive(Debug)]
struct Kept {
    /// Never before that of an older one.
    deadline: Duration,
    weight: usize,
    reply: Reply,
}

impl Histories {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            bytes_max: limits.history_bytes_max,
            life_min: limits.group_expiry,
            logs: HashMap::new(),
        }
    }

    /// The history of a group, begun if there is none.
    pub(crate) fn of(
        &mut self,
        group: &GroupName,
        now: Duration,
        entropy: &dyn Entropy,
    ) -> &mut Log {
        let begin = || Log {
            epoch: entropy.next_u64(),
            newest: 0,
            kept: VecDeque::new(),
            bytes: 0,
            bytes_max: self.bytes_max,
            life: self.life_min,
            ends: now,
        };
        let log = self.logs.entry(group.clone()).or_insert_with(begin);
        if log.ends < now {
            *log = begin();
        }
        log
    }

    /// Forgets what has had its time.
    pub(crate) fn sweep(&mut self, now: Duration) {
        self.logs.retain(|_, log| {
            log.drop_expired(now);
            log.ends >= now
        });
    }

    pub(crate) fn clear(&mut self) {
        self.logs.clear();
    }
}

impl Log {
    fn position(&self) -> Position {
        Position {
            epoch: self.epoch,
            offset: self.newest,
        }
    }

    fn renew(&mut self, now: Duration) {
        let life = match self.newest {
            0 => self.life.min(History::EMPTY_LIFE),
            _ => self.life,
        };
        self.ends = self.ends.max(now.saturating_add(life));
    }

    /// Gives a message its position, and keeps it.
    pub(crate) fn publish(
        &mut self,
        now: Duration,
        history: &History,
        reply: &mut Reply,
    ) -> Position {
        self.newest += 1;
        let position = self.position();
        reply.position = Some(Box::new(position));
        let deadline = now.saturating_add(history.ttl);
        let last = self.kept.back().map_or(deadline, |last| last.deadline);
        let weight = reply.payload_size() + reply.envelope_size() + OVERHEAD;
        self.kept.push_back(Kept {
            deadline: deadline.max(last),
            weight,
            reply: reply.clone(),
        });
        self.bytes += weight;
        self.drop_expired(now);
        while self.kept.len() > history.size || (self.bytes > self.bytes_max && self.kept.len() > 1)
        {
            self.drop_oldest();
        }
        self.life = self.life.max(history.ttl.saturating_mul(2));
        self.renew(now);
        position
    }

    /// What is kept behind a position.
    pub(crate) fn recall(
        &mut self,
        now: Duration,
        since: Option<Position>,
        max: usize,
    ) -> Recalled {
        self.drop_expired(now);
        self.renew(now);
        let kept = self.kept.len();
        // How many stand behind the position, if it is one that was given.
        let behind = since.map(|since| {
            let given = since.epoch == self.epoch;
            let behind = self.newest.checked_sub(since.offset).filter(|_| given);
            behind.and_then(|behind| usize::try_from(behind).ok())
        });
        let (complete, recalled) = match behind {
            None => (true, kept.min(max)),
            Some(Some(behind)) => (behind <= kept, kept.min(behind)),
            Some(None) => (false, kept),
        };
        let messages = self.kept.iter().skip(kept - recalled).take(max);
        Recalled {
            position: self.position(),
            complete,
            messages: messages.map(|kept| kept.reply.clone()).collect(),
        }
    }

    fn drop_expired(&mut self, now: Duration) {
        while self
            .kept
            .front()
            .is_some_and(|oldest| oldest.deadline <= now)
        {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(oldest) = self.kept.pop_front() {
            self.bytes -= oldest.weight;
        }
    }
}

#[cfg(test)]
mod tests {
    use towpath_layer_core::SeededEntropy;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const MINUTE: Duration = Duration::from_mins(1);

    fn limits() -> Limits {
        Limits {
            group_expiry: 10 * SECOND,
            ..Limits::default()
        }
    }

    /// A group's history, with the offsets of what it recalls.
    struct Probe {
        histories: Histories,
        entropy: SeededEntropy,
    }

    impl Probe {
        fn new() -> Self {
            Self {
                histories: Histories::new(&limits()),
                entropy: SeededEntropy::new(1),
            }
        }

        fn log(&mut self, now: Duration) -> &mut Log {
            let group = GroupName::new("room").unwrap();
            self.histories.of(&group, now, &self.entropy)
        }

        fn publish(&mut self, now: Duration, ttl: Duration) -> Position {
            let history = History { size: 100, ttl };
            let mut reply = Reply::text("a");
            self.log(now).publish(now, &history, &mut reply)
        }

        fn kept(&mut self, now: Duration) -> Vec<u64> {
            let messages = self.log(now).recall(now, None, 100).messages;
            let offset = |reply: Reply| reply.position.unwrap().offset;
            messages.into_iter().map(offset).collect()
        }
    }

    #[test]
    fn no_message_goes_before_an_older_one() {
        let mut probe = Probe::new();
        probe.publish(Duration::ZERO, 3 * SECOND);
        probe.publish(Duration::ZERO, SECOND);
        probe.publish(Duration::ZERO, 5 * SECOND);
        assert_eq!(probe.kept(2 * SECOND), [1, 2, 3]);
        assert_eq!(probe.kept(3 * SECOND), [3]);
        assert!(probe.kept(5 * SECOND).is_empty());
        assert_eq!(probe.log(5 * SECOND).bytes, 0);
    }

    #[test]
    fn offsets_outlive_messages_that_are_kept_for_long() {
        let mut probe = Probe::new();
        let position = probe.publish(Duration::ZERO, 20 * SECOND);
        probe.histories.sweep(40 * SECOND);
        let after = probe.publish(40 * SECOND, SECOND);
        assert_eq!((after.epoch, after.offset), (position.epoch, 2));
        probe.histories.sweep(81 * SECOND);
        assert!(probe.histories.logs.is_empty());
    }

    #[test]
    fn a_group_to_which_nothing_was_published_is_soon_forgotten() {
        let mut probe = Probe::new();
        probe.histories.life_min = Duration::from_hours(24);
        let empty = probe.log(Duration::ZERO).recall(Duration::ZERO, None, 0);
        let again = probe.log(9 * MINUTE).recall(9 * MINUTE, None, 0);
        assert_eq!(again, empty, "it lives on while somebody asks");
        probe.histories.sweep(20 * MINUTE);
        assert!(probe.histories.logs.is_empty());

        probe.log(20 * MINUTE).recall(20 * MINUTE, None, 0);
        let first = probe.publish(21 * MINUTE, SECOND);
        let later = 23 * 60 * MINUTE;
        assert_eq!(probe.log(later).recall(later, None, 0).position, first);
    }

    #[test]
    fn a_history_that_nobody_swept_has_ended_all_the_same() {
        let mut probe = Probe::new();
        let position = probe.publish(Duration::ZERO, SECOND);
        let after = probe.publish(11 * SECOND, SECOND);
        assert_ne!(after.epoch, position.epoch);
        assert_eq!(after.offset, 1);
    }
}
