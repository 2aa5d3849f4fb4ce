//! What one socket has of one speaker.

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// Later than all before it, by this many more than one.
    InOrder {
        skipped: u64,
    },
    Late,
    Repeated,
}

/// The next number, and which of the 64 before it are there.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Lane {
    next: u64,
    seen: u64,
}

impl Lane {
    /// One that expects this number next.
    pub(crate) fn from(next: u64) -> Self {
        Self { next, seen: 0 }
    }

    pub(crate) fn take(&mut self, sequence: u64) -> Arrival {
        if let Some(skipped) = sequence.checked_sub(self.next) {
            let kept = if skipped < 63 {
                self.seen << (skipped + 1)
            } else {
                0
            };
            *self = Self {
                next: sequence + 1,
                seen: kept | 1,
            };
            return Arrival::InOrder { skipped };
        }
        // Beyond the 64 a late message and a repeated one look the same.
        let back = self.next - 1 - sequence;
        let bit = if back < 64 { 1 << back } else { 0 };
        if self.seen & bit != 0 {
            return Arrival::Repeated;
        }
        self.seen |= bit;
        Arrival::Late
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_remembers_the_last_64() {
        let mut lane = Lane::default();
        assert_eq!(lane.take(63), Arrival::InOrder { skipped: 63 });
        assert_eq!(lane.take(0), Arrival::Late);
        assert_eq!(lane.take(0), Arrival::Repeated);
        assert_eq!(lane.take(1000), Arrival::InOrder { skipped: 936 });
        assert_eq!(lane.take(1000), Arrival::Repeated);
        assert_eq!(lane.take(999), Arrival::Late);
    }
}
