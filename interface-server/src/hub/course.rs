//! The order of a group's published messages: they are delivered by their
//! offsets, and what is missing in between is fetched.
//!
//! Two publishers may reach a node in another order than they got their offsets
//! in. A [`Course`] says what is to be delivered now, and whether something is
//! missing; it knows no layer.
//!
//! It begins when somebody is about to read the history, and knows where it stands
//! once that was read. What passes in between is delivered at once, and
//! remembered: it was delivered, though it is behind what was read.

use std::collections::{BTreeMap, BTreeSet};

use towpath_layer_core::{Position, Recalled, Reply};

/// Messages that wait for one that is missing, and those that are remembered as
/// fetched, or as delivered before one that is missing.
const AHEAD_MAX: usize = 1024;

/// How far a group's messages have been delivered on this shard.
#[derive(Debug, Default)]
pub(super) struct Course {
    epoch: u64,
    /// The end of what was delivered without a hole; nothing until it is known.
    last: Option<u64>,
    /// Delivered, though something before it was not.
    passed: BTreeSet<u64>,
    /// The greatest offset that is remembered no more of those.
    forgotten: u64,
    /// How many are reading the history.
    readings: usize,
    ahead: BTreeMap<u64, Reply>,
    /// What was fetched, and may still come by itself.
    fetched: BTreeSet<u64>,
    /// The epoch before this one, of which something may still come.
    former: Option<u64>,
}

impl Course {
    /// Somebody is about to read the history.
    pub(super) fn begin_reading(&mut self) {
        self.readings += 1;
    }

    /// The history was read up to a position, or could not be read. Whatever is
    /// behind it came after the reading began.
    pub(super) fn end_reading(&mut self, position: Option<Position>) {
        self.readings = self.readings.saturating_sub(1);
        if let Some(position) = position.filter(|_| self.last.is_none()) {
            self.set(position);
        }
    }

    /// Whether it is of use to the members of its group.
    pub(super) fn is_known(&self) -> bool {
        self.last.is_some() || self.is_read()
    }

    /// Whether somebody is reading the history.
    pub(super) fn is_read(&self) -> bool {
        self.readings > 0
    }

    /// Nothing behind that position was delivered but what is remembered.
    fn set(&mut self, position: Position) {
        self.enter(position.epoch);
        let last = position.offset.max(self.forgotten);
        self.passed.retain(|offset| *offset > last);
        self.last = Some(last);
        self.catch_up();
    }

    /// Forgets all of another epoch.
    fn enter(&mut self, epoch: u64) {
        if self.epoch != epoch {
            *self = Self {
                epoch,
                readings: self.readings,
                ..Self::default()
            };
        }
    }

    /// Takes a message that has come; what to deliver, in order.
    pub(super) fn take(&mut self, position: Position, reply: Reply) -> Vec<Reply> {
        let Some(last) = self.last else {
            self.pass(position);
            return vec![reply];
        };
        if Some(position.epoch) == self.former {
            return vec![reply];
        }
        if position.epoch != self.epoch {
            let mut left = self.begin(position.epoch);
            left.append(&mut self.take(position, reply));
            return left;
        }
        if position.offset <= last {
            // It was under way while somebody read, or was overtaken.
            let known = self.fetched.remove(&position.offset);
            return if known { Vec::new() } else { vec![reply] };
        }
        self.ahead.insert(position.offset, reply);
        if self.ahead.len() > AHEAD_MAX {
            return self.skip();
        }
        self.advance()
    }

    /// The backend has lost what was before, and nothing of it is to come: the
    /// other epoch is told from its first message on. What is left to deliver.
    fn begin(&mut self, epoch: u64) -> Vec<Reply> {
        let left = self.skip();
        let former = self.epoch;
        self.set(Position { epoch, offset: 0 });
        self.former = Some(former);
        left
    }

    fn pass(&mut self, position: Position) {
        self.enter(position.epoch);
        self.passed.insert(position.offset);
        if self.passed.len() > AHEAD_MAX
            && let Some(first) = self.passed.pop_first()
        {
            self.forgotten = first;
        }
    }

    /// What was delivered last, if something is missing behind it.
    pub(super) fn hole(&self) -> Option<Position> {
        let waits = !self.ahead.is_empty() || !self.passed.is_empty();
        self.last.filter(|_| waits).map(|offset| Position {
            epoch: self.epoch,
            offset,
        })
    }

    /// Takes what was fetched; what to deliver, in order. What is not kept any
    /// more is left out.
    pub(super) fn fill(&mut self, recalled: Recalled) -> Vec<Reply> {
        if recalled.position.epoch != self.epoch {
            return self.skip();
        }
        let last = self.last;
        for reply in recalled.messages {
            let Some(Position { offset, .. }) = reply.position.as_deref().copied() else {
                continue;
            };
            let known = self.ahead.contains_key(&offset) || self.passed.contains(&offset);
            if Some(offset) > last && !known {
                self.fetched.insert(offset);
                self.ahead.insert(offset, reply);
            }
        }
        while self.fetched.len() > AHEAD_MAX {
            self.fetched.pop_first();
        }
        if !recalled.complete {
            let ahead = self.ahead.first_key_value().map(|(offset, _)| offset);
            let first = ahead.into_iter().chain(self.passed.first()).min();
            self.last = first.map(|first| first - 1).or(last);
        }
        self.advance()
    }

    /// Gives up what is missing; what to deliver, in order.
    pub(super) fn skip(&mut self) -> Vec<Reply> {
        let ahead = std::mem::take(&mut self.ahead);
        let passed = std::mem::take(&mut self.passed);
        let given_up = ahead.last_key_value().map(|(offset, _)| *offset);
        self.last = self.last.max(given_up).max(passed.last().copied());
        ahead.into_values().collect()
    }

    /// What comes next, as long as nothing is missing before it.
    fn advance(&mut self) -> Vec<Reply> {
        let mut deliver = Vec::new();
        self.catch_up();
        while let Some(next) = self.next()
            && let Some(reply) = self.ahead.remove(&next)
        {
            self.last = Some(next);
            deliver.push(reply);
            self.catch_up();
        }
        deliver
    }

    /// Moves on over what was delivered.
    fn catch_up(&mut self) {
        while let Some(next) = self.next()
            && self.passed.remove(&next)
        {
            self.last = Some(next);
        }
    }

    /// The offset that follows what was delivered.
    fn next(&self) -> Option<u64> {
        self.last?.checked_add(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: u64) -> Position {
        Position { epoch: 1, offset }
    }

    /// A course that stands somewhere.
    fn course(offset: u64) -> Course {
        let mut course = Course::default();
        course.begin_reading();
        course.end_reading(Some(at(offset)));
        course
    }

    fn message(offset: u64) -> Reply {
        Reply {
            position: Some(Box::new(at(offset))),
            ..Reply::default()
        }
    }

    fn offsets(replies: &[Reply]) -> Vec<u64> {
        replies
            .iter()
            .map(|reply| reply.position.as_ref().unwrap().offset)
            .collect()
    }

    fn take(course: &mut Course, offset: u64) -> Vec<u64> {
        offsets(&course.take(at(offset), message(offset)))
    }

    /// What was read of a history that ends there.
    fn recalled(end: u64, messages: &[u64], complete: bool) -> Recalled {
        Recalled {
            position: at(end),
            complete,
            messages: messages.iter().map(|offset| message(*offset)).collect(),
        }
    }

    #[test]
    fn what_overtakes_waits_for_what_it_overtook() {
        let mut course = self::course(3);
        assert!(take(&mut course, 5).is_empty());
        assert_eq!(course.hole(), Some(at(3)));
        assert_eq!(take(&mut course, 4), [4, 5]);
        assert_eq!(course.hole(), None);
        // It was read by whoever set the course; others have not seen it.
        assert_eq!(take(&mut course, 2), [2]);
    }

    #[test]
    fn a_hole_is_filled_once() {
        let mut course = self::course(3);
        assert!(take(&mut course, 6).is_empty());
        assert_eq!(
            offsets(&course.fill(recalled(6, &[4, 5, 6], true))),
            [4, 5, 6]
        );
        assert!(take(&mut course, 5).is_empty());
        assert!(take(&mut course, 4).is_empty());
        assert_eq!(take(&mut course, 7), [7]);
    }

    #[test]
    fn what_is_not_kept_any_more_is_left_out() {
        let mut course = self::course(3);
        assert!(take(&mut course, 8).is_empty());
        assert_eq!(
            offsets(&course.fill(recalled(8, &[6, 7, 8], false))),
            [6, 7, 8]
        );
        assert!(take(&mut course, 10).is_empty());
        assert_eq!(offsets(&course.skip()), [10]);
        assert_eq!(take(&mut course, 11), [11]);
    }

    /// A message of another epoch.
    fn later(offset: u64) -> (Position, Reply) {
        let position = Position { epoch: 2, offset };
        let reply = Reply {
            position: Some(Box::new(position)),
            ..Reply::default()
        };
        (position, reply)
    }

    #[test]
    fn another_epoch_begins_anew() {
        let mut course = self::course(3);
        assert!(take(&mut course, 5).is_empty());
        let (position, next) = later(1);
        assert_eq!(offsets(&course.take(position, next)), [5, 1]);
    }

    #[test]
    fn another_epoch_is_told_from_its_first_message_on() {
        let mut course = self::course(3);
        let (third, reply) = later(3);
        assert!(course.take(third, reply).is_empty());
        let beginning = Position { offset: 0, ..third };
        assert_eq!(course.hole(), Some(beginning));
        let recalled = Recalled {
            position: third,
            complete: true,
            messages: [1, 2, 3].map(|offset| later(offset).1).into(),
        };
        assert_eq!(offsets(&course.fill(recalled)), [1, 2, 3]);
        assert_eq!(course.hole(), None);
        // What comes late of the epoch before turns nothing back.
        assert_eq!(take(&mut course, 5), [5]);
        let (fourth, reply) = later(4);
        assert_eq!(offsets(&course.take(fourth, reply)), [4]);
    }

    #[test]
    fn another_epoch_is_told_in_order_where_nothing_was_before() {
        let mut course = Course::default();
        course.end_reading(Some(Position {
            epoch: 7,
            offset: 0,
        }));
        assert!(take(&mut course, 2).is_empty());
        assert_eq!(course.hole(), Some(at(0)));
        assert_eq!(take(&mut course, 1), [1, 2]);
    }

    #[test]
    fn what_passes_while_the_history_is_read_is_not_delivered_again() {
        let mut course = Course::default();
        course.begin_reading();
        // The reading ends at 3, and is answered late.
        for offset in [2, 4, 5, 7] {
            assert_eq!(take(&mut course, offset), [offset]);
        }
        assert_eq!(course.hole(), None);
        course.end_reading(Some(at(3)));
        assert_eq!(course.hole(), Some(at(5)));
        assert_eq!(take(&mut course, 8), [0; 0]);
        assert_eq!(offsets(&course.fill(recalled(8, &[6, 7, 8], true))), [6, 8]);
        assert_eq!(course.hole(), None);
        assert_eq!(take(&mut course, 9), [9]);
        // Another who read meanwhile changes nothing.
        course.end_reading(Some(at(4)));
        assert_eq!(course.hole(), None);
    }

    #[test]
    fn what_was_delivered_out_of_order_is_given_up_with_what_is_missing() {
        let mut course = Course::default();
        course.begin_reading();
        assert_eq!(take(&mut course, 5), [5]);
        course.end_reading(Some(at(3)));
        assert!(course.fill(recalled(5, &[], false)).is_empty());
        assert_eq!(course.hole(), None);
        assert_eq!(take(&mut course, 6), [6]);
        let mut course = Course::default();
        course.begin_reading();
        assert_eq!(take(&mut course, 5), [5]);
        course.end_reading(Some(at(3)));
        assert!(course.skip().is_empty());
        assert_eq!(take(&mut course, 6), [6]);
    }

    #[test]
    fn a_reading_that_failed_leaves_no_order() {
        let mut course = Course::default();
        course.begin_reading();
        course.begin_reading();
        course.end_reading(None);
        assert!(course.is_known(), "somebody else is reading");
        assert_eq!(take(&mut course, 7), [7]);
        course.end_reading(None);
        assert!(!course.is_known());
        assert_eq!(take(&mut course, 9), [9]);
        assert_eq!(course.hole(), None);
    }

    #[test]
    fn what_passes_is_remembered_up_to_a_bound() {
        let mut course = Course::default();
        course.begin_reading();
        let all = 1..=AHEAD_MAX as u64 + 10;
        for offset in all.clone() {
            assert_eq!(take(&mut course, offset), [offset]);
        }
        course.end_reading(Some(at(0)));
        assert_eq!(course.hole(), None);
        let next = all.end() + 1;
        assert_eq!(take(&mut course, next), [next]);
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut course = self::course(0);
        let mut delivered = 0;
        for offset in 2..=AHEAD_MAX as u64 + 2 {
            delivered += take(&mut course, offset).len();
        }
        assert_eq!(delivered, AHEAD_MAX + 1);
    }
}
