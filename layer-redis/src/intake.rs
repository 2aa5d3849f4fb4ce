//! How much a node takes from its inbox at a time, and when that is counted off.
//!
//! A wait takes entries without a script; a script that does the rest runs when
//! somebody waits for that, when it is much, and when nothing more comes.

use towpath_layer_core::Limits;

/// Entries that one wait takes, whatever their size.
const BATCH_MIN: usize = 16;
/// Entries that one wait takes.
const BATCH_MAX: usize = 512;
/// Bytes that one wait takes if its entries are no larger than those of the one
/// before; if they are, the limits of the inbox bound them.
const BATCH_BYTES: usize = 1 << 20;
/// How much may have been taken before it is counted off, in parts of the limits
/// of the inbox: by so much it may seem fuller than it is.
const UNSETTLED_SHARE: usize = 64;

/// What one wait took from the inbox.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) letters: Vec<Vec<u8>>,
    /// Whether there is a mark: of refused group messages, or of somebody who
    /// waits for room.
    pub(crate) is_marked: bool,
}

/// How much has been taken and is not counted off yet, and how much is taken next.
#[derive(Debug)]
pub(crate) struct Intake {
    pub(crate) bytes: usize,
    pub(crate) entries: usize,
    /// Entries that the next wait takes.
    pub(crate) batch: usize,
    /// Whether it is counted off before the next wait, however little it is.
    pub(crate) is_due: bool,
}

/// There may be marks from before it; so there may on each new connection.
impl Default for Intake {
    fn default() -> Self {
        Self {
            bytes: 0,
            entries: 0,
            batch: BATCH_MIN,
            is_due: true,
        }
    }
}

impl Intake {
    /// Takes note of what one wait took.
    pub(crate) fn took(&mut self, batch: &Batch, limits: &Limits) {
        let sizes = || batch.letters.iter().map(Vec::len);
        self.bytes += sizes().sum::<usize>();
        self.entries += batch.letters.len();
        if let Some(largest) = sizes().max() {
            self.batch = (BATCH_BYTES / largest.max(1)).clamp(BATCH_MIN, BATCH_MAX);
        }
        let is_quiet = batch.letters.is_empty() && self.entries > 0;
        self.is_due = batch.is_marked
            || is_quiet
            || self.bytes >= limits.inbox_bytes_max / UNSETTLED_SHARE
            || self.entries >= limits.inbox_entries_max / UNSETTLED_SHARE;
    }

    /// All of it is counted off.
    pub(crate) fn settled(&mut self) {
        self.bytes = 0;
        self.entries = 0;
        self.is_due = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(entries: usize, size: usize, is_marked: bool) -> Batch {
        Batch {
            letters: vec![vec![0; size]; entries],
            is_marked,
        }
    }

    fn settled() -> Intake {
        let mut intake = Intake::default();
        assert!(intake.is_due, "there may be marks");
        intake.settled();
        intake
    }

    #[test]
    fn what_was_taken_is_counted_off_when_it_is_much() {
        let limits = Limits::default();
        let mut intake = settled();
        intake.took(&batch(1_023, 10, false), &limits);
        assert!(!intake.is_due);
        intake.took(&batch(1, 10, false), &limits);
        assert!(intake.is_due, "a 64th of the entries");
        let mut intake = settled();
        intake.took(&batch(1, 1 << 20, false), &limits);
        assert!(intake.is_due, "a 64th of the bytes");
    }

    #[test]
    fn what_was_taken_is_counted_off_when_nothing_more_comes_or_somebody_waits() {
        let limits = Limits::default();
        let mut intake = settled();
        intake.took(&batch(0, 0, false), &limits);
        assert!(!intake.is_due, "there is nothing to count");
        intake.took(&batch(1, 10, false), &limits);
        assert!(!intake.is_due);
        intake.took(&batch(0, 0, false), &limits);
        assert!(intake.is_due, "it is quiet");
        intake.settled();
        intake.took(&batch(1, 10, true), &limits);
        assert!(intake.is_due, "there is a mark");
    }

    #[test]
    fn large_entries_are_taken_few_at_a_time() {
        let limits = Limits::default();
        let mut intake = settled();
        assert_eq!(intake.batch, BATCH_MIN);
        intake.took(&batch(3, 100, false), &limits);
        assert_eq!(intake.batch, BATCH_MAX);
        intake.took(&batch(3, 10_000, false), &limits);
        assert_eq!(intake.batch, 104);
        intake.took(&batch(1, 1 << 20, false), &limits);
        assert_eq!(intake.batch, BATCH_MIN);
    }
}
