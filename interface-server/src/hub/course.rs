//! The order of a group's published messages: they are delivered by their
//! offsets, and what is missing in between is fetched.
//!
//! Two publishers may reach a node in another order than they got their offsets
//! in. A [`Course`] says what is to be delivered now, and whether something is
//! missing; it knows no layer.

use std::collections::{BTreeMap, BTreeSet};

use towpath_layer_core::{Position, Recalled, Reply};

/// Messages that wait for one that is missing, and missing ones that are
/// remembered as fetched.
const AHEAD_MAX: usize = 1024;

/// How far a group's messages have been delivered on this shard.
#[derive(Debug)]
pub(super) struct Course {
    epoch: u64,
    last: u64,
    ahead: BTreeMap<u64, Reply>,
    /// What was fetched, and may still come by itself.
    fetched: BTreeSet<u64>,
}

impl Course {
    /// Nothing behind that position has been delivered.
    pub(super) fn new(position: Position) -> Self {
        Self {
            epoch: position.epoch,
            last: position.offset,
            ahead: BTreeMap::new(),
            fetched: BTreeSet::new(),
        }
    }

    /// Takes a message that has come; what to deliver, in order.
    pub(super) fn take(&mut self, position: Position, reply: Reply) -> Vec<Reply> {
        if position.epoch != self.epoch {
            // The backend has lost what was before: nothing of it is to come.
            let mut left = self.skip();
            *self = Self::new(position);
            left.push(reply);
            return left;
        }
        if position.offset <= self.last {
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

    /// What was delivered last, if something is missing behind it.
    pub(super) fn hole(&self) -> Option<Position> {
        (!self.ahead.is_empty()).then_some(Position {
            epoch: self.epoch,
            offset: self.last,
        })
    }

    /// Takes what was fetched; what to deliver, in order. What is not kept any
    /// more is left out.
    pub(super) fn fill(&mut self, recalled: Recalled) -> Vec<Reply> {
        if recalled.position.epoch != self.epoch {
            return self.skip();
        }
        let mut deliver = Vec::new();
        for reply in recalled.messages {
            let Some(position) = reply.position.as_deref().copied() else {
                continue;
            };
            let missing = position.offset > self.last && !self.ahead.contains_key(&position.offset);
            if missing {
                self.fetched.insert(position.offset);
                self.ahead.insert(position.offset, reply);
            }
        }
        while self.fetched.len() > AHEAD_MAX {
            self.fetched.pop_first();
        }
        if !recalled.complete
            && let Some((first, _)) = self.ahead.first_key_value()
        {
            self.last = first - 1;
        }
        deliver.append(&mut self.advance());
        deliver
    }

    /// Gives up what is missing; what to deliver, in order.
    pub(super) fn skip(&mut self) -> Vec<Reply> {
        let ahead = std::mem::take(&mut self.ahead);
        if let Some((offset, _)) = ahead.last_key_value() {
            self.last = *offset;
        }
        ahead.into_values().collect()
    }

    fn advance(&mut self) -> Vec<Reply> {
        let mut deliver = Vec::new();
        while let Some(next) = self.ahead.remove(&(self.last + 1)) {
            self.last += 1;
            deliver.push(next);
        }
        deliver
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: u64) -> Position {
        Position { epoch: 1, offset }
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

    fn recalled(messages: &[u64], complete: bool) -> Recalled {
        Recalled {
            position: at(9),
            complete,
            messages: messages.iter().map(|offset| message(*offset)).collect(),
        }
    }

    #[test]
    fn what_overtakes_waits_for_what_it_overtook() {
        let mut course = Course::new(at(3));
        assert!(take(&mut course, 5).is_empty());
        assert_eq!(course.hole(), Some(at(3)));
        assert_eq!(take(&mut course, 4), [4, 5]);
        assert_eq!(course.hole(), None);
        // It was read by whoever set the course; others have not seen it.
        assert_eq!(take(&mut course, 2), [2]);
    }

    #[test]
    fn a_hole_is_filled_once() {
        let mut course = Course::new(at(3));
        assert!(take(&mut course, 6).is_empty());
        assert_eq!(offsets(&course.fill(recalled(&[4, 5, 6], true))), [4, 5, 6]);
        assert!(take(&mut course, 5).is_empty());
        assert!(take(&mut course, 4).is_empty());
        assert_eq!(take(&mut course, 7), [7]);
    }

    #[test]
    fn what_is_not_kept_any_more_is_left_out() {
        let mut course = Course::new(at(3));
        assert!(take(&mut course, 8).is_empty());
        assert_eq!(offsets(&course.fill(recalled(&[6, 7], false))), [6, 7, 8]);
        assert!(take(&mut course, 10).is_empty());
        assert_eq!(offsets(&course.skip()), [10]);
        assert_eq!(take(&mut course, 11), [11]);
    }

    #[test]
    fn another_epoch_begins_anew() {
        let mut course = Course::new(at(3));
        assert!(take(&mut course, 5).is_empty());
        let position = Position {
            epoch: 2,
            offset: 1,
        };
        let next = Reply {
            position: Some(Box::new(position)),
            ..Reply::default()
        };
        assert_eq!(offsets(&course.take(position, next)), [5, 1]);
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut course = Course::new(at(0));
        let mut delivered = 0;
        for offset in 2..=AHEAD_MAX as u64 + 2 {
            delivered += take(&mut course, offset).len();
        }
        assert_eq!(delivered, AHEAD_MAX + 1);
    }
}
