//! Records for the tests of the report.

use crate::record::Record;

/// A record without a figure.
pub(super) fn record(scenario: &str, server: &str, round: u32) -> Record {
    Record {
        scenario: scenario.into(),
        server: server.into(),
        round,
        ..Record::default()
    }
}

/// A record with nothing but processor time.
pub(super) fn cost(scenario: &str, server: &str, round: u32, server_us: f64) -> Record {
    Record {
        server_us: Some(server_us),
        ..record(scenario, server, round)
    }
}

/// A record with nothing but a rate.
pub(super) fn rate(scenario: &str, server: &str, round: u32, per_second: f64) -> Record {
    Record {
        per_second: Some(per_second),
        ..record(scenario, server, round)
    }
}
