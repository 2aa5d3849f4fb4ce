//! The figures to reach, by the points of the project's plan for speed.
//!
//! A ratio is taken between runs of one round, because a shared machine drifts by tens
//! of per cent in minutes.

mod measure;

use self::Bound::{Above, AtLeast, AtMost, Below, Nothing};
use self::measure::{
    cost, cost_in_all, nanoseconds, p50, p99, per_second, rooms_to_their_bound, wrong_of_towpath,
};
use super::run::Round;

const TOWPATH: &str = "towpath";
/// Towpath with sockets and consumers in processes of their own, over Redis; without
/// sockets, its layer over Redis.
const TOWPATH_REDIS: &str = "towpath-redis";
/// One write a delivery.
const FLOOR: &str = "floor";
/// One write a member and turn.
const COALESCED: &str = "floor-coalesced";
const AXUM: &str = "axum";
const NODE_WS: &str = "node-ws";
const CHANNELS_REDIS: &str = "channels-redis";

/// A layer without sockets, one producer and one consumer, in batches.
const LAYER_BATCH: &str = "layer-batch";
/// The same, one message at a time; over Redis many senders at once.
const LAYER_SINGLE: &str = "layer-single";
/// One producer that waits until each message is received.
const LAYER_PING_PONG: &str = "layer-ping-pong";
/// A group of 1 000 members on four nodes; the unit is a group send.
const LAYER_GROUP: &str = "layer-group";

const CLOSED: [&str; 3] = ["fan-out-1k", "fan-out-10k", "rooms-200"];

/// What a figure must be for the point to hold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Bound {
    /// This, or less.
    AtMost(f64),
    /// Less than this.
    Below(f64),
    /// This, or more.
    AtLeast(f64),
    /// More than this.
    Above(f64),
    /// Nothing in any round.
    Nothing,
}

/// One figure to reach.
#[derive(Debug)]
pub(super) struct Goal {
    /// The point of the plan.
    pub(super) point: u8,
    /// What is measured, in words.
    pub(super) what: &'static str,
    pub(super) bound: Bound,
    /// The figure of one round, if the round has all that it takes.
    pub(super) measure: fn(Round<'_>) -> Option<f64>,
}

const fn goal(
    point: u8,
    what: &'static str,
    bound: Bound,
    measure: fn(Round<'_>) -> Option<f64>,
) -> Goal {
    Goal {
        point,
        what,
        bound,
        measure,
    }
}

/// All of them, in the order of the points.
pub(super) fn all() -> impl Iterator<Item = &'static Goal> {
    let parts: [&[Goal]; 6] = [&FAN_OUT, &ECHO, &CONNECTIONS, &LAYERS, &GROWTH, &NEIGHBOURS];
    parts.into_iter().flatten()
}

const FAN_OUT: [Goal; 9] = [
    goal(
        1,
        "fan-out-rate-1k: s/M, towpath / floor",
        AtMost(1.10),
        |round| round.against("fan-out-rate-1k", cost, FLOOR),
    ),
    goal(
        1,
        "fan-out-rate-10k: s/M, towpath / floor",
        AtMost(1.10),
        |round| round.against("fan-out-rate-10k", cost, FLOOR),
    ),
    goal(
        2,
        "fan-out-1k: s/M, towpath / coalesced floor",
        AtMost(1.15),
        |round| round.against("fan-out-1k", cost, COALESCED),
    ),
    goal(
        2,
        "fan-out-10k: s/M, towpath / coalesced floor",
        AtMost(1.15),
        |round| round.against("fan-out-10k", cost, COALESCED),
    ),
    goal(
        2,
        "rooms-200: s/M, towpath / (1.15 × coalesced floor + 0.1 × towpath's echo)",
        AtMost(1.0),
        rooms_to_their_bound,
    ),
    goal(
        2,
        "fan-out-1k: deliveries/s, towpath / fastest peer",
        Above(1.0),
        |round| round.against_fastest("fan-out-1k"),
    ),
    goal(
        2,
        "fan-out-10k: deliveries/s, towpath / fastest peer",
        Above(1.0),
        |round| round.against_fastest("fan-out-10k"),
    ),
    goal(
        2,
        "rooms-200: deliveries/s, towpath / fastest peer",
        Above(1.0),
        |round| round.against_fastest("rooms-200"),
    ),
    goal(
        2,
        "the three above: deliveries of towpath lost, repeated, out of order, …",
        Nothing,
        wrong_of_towpath,
    ),
];

const ECHO: [Goal; 3] = [
    goal(3, "echo: s/M, towpath", Below(9.0), |round| {
        round.take("echo", TOWPATH, cost)
    }),
    goal(3, "echo: p50, towpath / node-ws", AtMost(1.5), |round| {
        round.against("echo", p50, NODE_WS)
    }),
    goal(3, "echo: messages/s, towpath / axum", Above(1.0), |round| {
        round.against("echo", per_second, AXUM)
    }),
];

const CONNECTIONS: [Goal; 3] = [
    goal(
        4,
        "idle-10k: resident bytes a connection, towpath",
        AtMost(4096.0),
        |round| round.take("idle-10k", TOWPATH, |record| record.rss_bytes),
    ),
    goal(
        4,
        "connect: connections/s, towpath / floor",
        AtLeast(0.5),
        |round| round.against("connect", per_second, FLOOR),
    ),
    goal(
        4,
        "connect: connections/s, towpath / axum",
        Above(1.0),
        |round| round.against("connect", per_second, AXUM),
    ),
];

const LAYERS: [Goal; 8] = [
    goal(
        5,
        "memory layer, in batches: messages/s",
        AtLeast(2_000_000.0),
        |round| round.take(LAYER_BATCH, TOWPATH, per_second),
    ),
    goal(
        5,
        "memory layer, one by one: ns a message",
        AtMost(300.0),
        |round| round.take(LAYER_SINGLE, TOWPATH, nanoseconds),
    ),
    goal(
        5,
        "memory layer, each received before the next: ns a message",
        AtMost(300.0),
        |round| round.take(LAYER_PING_PONG, TOWPATH, nanoseconds),
    ),
    goal(
        6,
        "Redis layer, in batches: messages/s",
        AtLeast(250_000.0),
        |round| round.take(LAYER_BATCH, TOWPATH_REDIS, per_second),
    ),
    goal(
        6,
        "group of 1 000 on 4 nodes: µs of Redis a group send",
        Below(100.0),
        |round| round.take(LAYER_GROUP, TOWPATH_REDIS, |record| record.side_us),
    ),
    goal(
        6,
        "echo over Redis: messages/s, towpath-redis",
        AtLeast(25_000.0),
        |round| round.take("echo", TOWPATH_REDIS, per_second),
    ),
    goal(
        6,
        "echo over Redis: p50 ms, towpath-redis",
        Below(1.0),
        |round| round.take("echo", TOWPATH_REDIS, p50),
    ),
    goal(
        6,
        "layer over Redis, one by one: CPU a message, channels_redis / towpath",
        AtLeast(50.0),
        |round| {
            let of = |server| round.take(LAYER_SINGLE, server, cost_in_all);
            Some(of(CHANNELS_REDIS)? / of(TOWPATH_REDIS)?)
        },
    ),
];

const GROWTH: [Goal; 3] = [
    goal(
        7,
        "towpath: s/M of fan-out-10k / fan-out-100",
        AtMost(1.3),
        |round| round.growth("fan-out-100", "fan-out-10k"),
    ),
    goal(
        7,
        "towpath: s/M of fan-out-rate-10k / fan-out-rate-100",
        AtMost(1.3),
        |round| round.growth("fan-out-rate-100", "fan-out-rate-10k"),
    ),
    goal(
        7,
        "towpath: s/M of rooms-1000 / rooms-10",
        AtMost(1.5),
        |round| round.growth("rooms-10", "rooms-1000"),
    ),
];

const NEIGHBOURS: [Goal; 2] = [
    goal(8, "towpath: p99 of slow / slow-none", Below(1.1), |round| {
        let slow = round.take("slow", TOWPATH, p99)?;
        Some(slow / round.take("slow-none", TOWPATH, p99)?)
    }),
    goal(
        9,
        "mixed: p99 ms of the echo, towpath",
        Below(1.0),
        |round| round.take("mixed", TOWPATH, p99),
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Record;
    use crate::report::fixture::{cost, rate};
    use crate::report::run::Run;

    #[track_caller]
    fn check(records: Vec<Record>, what: &str, expected: &[Option<f64>]) {
        let run = Run {
            records,
            ..Run::default()
        };
        let goal = all().find(|goal| goal.what.contains(what)).unwrap();
        let found: Vec<_> = run.rounds().into_iter().map(goal.measure).collect();
        let close = |(a, b): (&Option<f64>, &Option<f64>)| match (a, b) {
            (Some(a), Some(b)) => (a - b).abs() < 1e-9,
            (a, b) => a == b,
        };
        let all_close = found.len() == expected.len() && found.iter().zip(expected).all(close);
        assert!(all_close, "{found:?}");
    }

    #[test]
    fn a_ratio_is_taken_within_a_round() {
        let records = vec![
            cost("fan-out-rate-1k", TOWPATH, 1, 6.0),
            cost("fan-out-rate-1k", FLOOR, 1, 5.0),
            cost("fan-out-rate-1k", TOWPATH, 2, 9.0),
            cost("fan-out-rate-1k", FLOOR, 2, 10.0),
            cost("fan-out-rate-1k", TOWPATH, 3, 9.0),
        ];
        let expected = [Some(1.2), Some(0.9), None];
        check(records, "fan-out-rate-1k", &expected);
    }

    #[test]
    fn rooms_may_cost_a_tenth_of_an_echo_more() {
        // 1.15 × 1.0 + 8.0 / 10 = 1.95.
        let records = vec![
            cost("rooms-200", TOWPATH, 1, 1.56),
            cost("rooms-200", COALESCED, 1, 1.0),
            cost("echo", TOWPATH, 1, 8.0),
        ];
        check(records, "1.15 × coalesced", &[Some(0.8)]);
    }

    #[test]
    fn the_fastest_peer_is_no_floor_and_not_towpath_on_redis() {
        let records = vec![
            rate("fan-out-1k", TOWPATH, 1, 600.0),
            rate("fan-out-1k", TOWPATH_REDIS, 1, 900.0),
            rate("fan-out-1k", COALESCED, 1, 900.0),
            rate("fan-out-1k", FLOOR, 1, 900.0),
            rate("fan-out-1k", AXUM, 1, 400.0),
            rate("fan-out-1k", NODE_WS, 1, 300.0),
            rate("fan-out-10k", AXUM, 1, 999.0),
        ];
        check(records, "fan-out-1k: deliveries/s", &[Some(1.5)]);
    }

    #[test]
    fn one_by_one_is_a_time_and_all_processor_time_counts_over_redis() {
        let records = vec![rate(LAYER_SINGLE, TOWPATH, 1, 4_000_000.0)];
        check(records, "one by one: ns", &[Some(250.0)]);
        let on_redis = |server, server_us, side_us| Record {
            side_us: Some(side_us),
            ..cost(LAYER_SINGLE, server, 1, server_us)
        };
        let records = vec![
            on_redis(TOWPATH_REDIS, 3.0, 1.0),
            on_redis(CHANNELS_REDIS, 300.0, 20.0),
        ];
        check(records, "channels_redis / towpath", &[Some(80.0)]);
    }

    #[test]
    fn growth_is_that_of_towpath_alone() {
        let records = vec![
            cost("fan-out-100", TOWPATH, 1, 2.0),
            cost("fan-out-10k", TOWPATH, 1, 2.5),
            cost("fan-out-100", FLOOR, 1, 7.0),
        ];
        check(records, "of fan-out-10k / fan-out-100", &[Some(1.25)]);
    }

    #[test]
    fn what_was_wrong_is_summed_over_the_closed_loops() {
        let mut lost = rate("rooms-200", TOWPATH, 1, 1.0);
        lost.wrong.lost = 2;
        let mut closed = rate("fan-out-1k", TOWPATH, 1, 1.0);
        closed.wrong.closed = 1;
        let mut elsewhere = rate("churn", TOWPATH, 1, 1.0);
        elsewhere.wrong.closed = 7;
        let clean = rate("fan-out-1k", TOWPATH, 2, 1.0);
        let records = vec![lost, closed, elsewhere, clean];
        check(records, "lost, repeated", &[Some(3.0), Some(0.0)]);
    }
}
