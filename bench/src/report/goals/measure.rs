//! Figures of one round.

use super::{CLOSED, COALESCED, FLOOR, TOWPATH};
use crate::record::{Record, Wrong};
use crate::report::run::{Figure, Round};

pub(super) fn cost(record: &Record) -> Option<f64> {
    record.server_us
}

pub(super) fn cost_in_all(record: &Record) -> Option<f64> {
    Some(record.server_us? + record.side_us.unwrap_or_default())
}

pub(super) fn per_second(record: &Record) -> Option<f64> {
    record.per_second
}

/// The time that one of them takes.
pub(super) fn nanoseconds(record: &Record) -> Option<f64> {
    record.per_second.map(|rate| 1e9 / rate)
}

pub(super) fn p50(record: &Record) -> Option<f64> {
    record.p50_ms
}

pub(super) fn p99(record: &Record) -> Option<f64> {
    record.p99_ms
}

/// Each delivery in rooms of ten bears a tenth of an event.
pub(super) fn rooms_to_their_bound(round: Round<'_>) -> Option<f64> {
    let rooms = round.take("rooms-200", TOWPATH, cost)?;
    let coalesced = round.take("rooms-200", COALESCED, cost)?;
    let echo = round.take("echo", TOWPATH, cost)?;
    Some(rooms / (1.15 * coalesced + echo / 10.0))
}

pub(super) fn wrong_of_towpath(round: Round<'_>) -> Option<f64> {
    let wrong: Vec<u64> = round
        .records()
        .filter(|record| record.server == TOWPATH && CLOSED.contains(&&*record.scenario))
        .map(|record| count(record.wrong))
        .collect();
    (!wrong.is_empty()).then(|| wrong.iter().sum::<u64>() as f64)
}

fn count(wrong: Wrong) -> u64 {
    let Wrong {
        lost,
        repeated,
        out_of_order,
        misrouted,
        malformed,
        closed,
    } = wrong;
    lost + repeated + out_of_order + misrouted + malformed + closed
}

impl Round<'_> {
    /// Towpath's figure divided by another server's.
    pub(super) fn against(self, scenario: &str, figure: Figure, other: &str) -> Option<f64> {
        let own = self.take(scenario, TOWPATH, figure)?;
        Some(own / self.take(scenario, other, figure)?)
    }

    /// Towpath's rate divided by that of the fastest server that is no floor.
    pub(super) fn against_fastest(self, scenario: &str) -> Option<f64> {
        let own = self.take(scenario, TOWPATH, per_second)?;
        let is_peer = |record: &&Record| {
            record.scenario == scenario
                && !record.server.starts_with(FLOOR)
                && !record.server.starts_with(TOWPATH)
        };
        let peers = self.records().filter(is_peer).filter_map(per_second);
        Some(own / peers.max_by(f64::total_cmp)?)
    }

    /// Towpath's cost of a delivery in a large scenario divided by that in a small one.
    pub(super) fn growth(self, small: &str, large: &str) -> Option<f64> {
        let large = self.take(large, TOWPATH, cost)?;
        Some(large / self.take(small, TOWPATH, cost)?)
    }
}
