//! How large the scenarios are, how long they take, and who is there in each.

use std::num::NonZeroU16;
use std::time::Duration;

use towpath_load::{Pace, Shape, Visitors};

use crate::scenario::Scenario;

/// Messages of a publisher on their way in a closed loop.
const AHEAD: usize = 4;
/// Members of a room in which everybody speaks.
const ROOM: usize = 10;
/// Of 10 000 in `mixed` and `slow`, these are not in the large room.
const BESIDE: usize = 100;

/// A message a second falls into such a window, and its deliveries, too.
const LONG_MIN: Duration = Duration::from_millis(1_200);

/// How large the scenarios are, and how long they take.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Sizes {
    /// Traffic before each window.
    #[arg(long, default_value = "1000", value_name = "MS")]
    warmup_ms: u16,
    /// The measured time; twice that where a room of 10 000 hears few messages.
    #[arg(long, default_value = "2000", value_name = "MS")]
    window_ms: NonZeroU16,
    /// Silence before the first handshake, and after the last one.
    #[arg(long, default_value = "300", value_name = "MS")]
    settle_ms: u16,
    /// Take so many times fewer connections than the scenarios' names say.
    #[arg(long, default_value = "1", value_name = "N")]
    scale_down: NonZeroU16,
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Nothing,
    /// Connections that are opened and kept.
    Connections,
    Deliveries,
    Visitors,
}

/// What else is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beside {
    Nothing,
    /// A room, loaded by a generator of its own.
    Room(Shape),
    /// One in the same room that never reads.
    Deaf,
}

/// One scenario in figures.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) main: Shape,
    pub(crate) beside: Beside,
    pub(crate) unit: Unit,
    pub(crate) settle: Duration,
    pub(crate) warmup: Duration,
    pub(crate) window: Duration,
}

impl Sizes {
    fn count(&self, count: usize) -> usize {
        (count / usize::from(self.scale_down.get())).max(2)
    }

    pub(crate) fn plan(&self, scenario: Scenario) -> Plan {
        let (main, beside, unit) = self.shapes(scenario);
        let long = matches!(
            scenario,
            Scenario::FanOutRate10k | Scenario::Mixed | Scenario::Slow | Scenario::SlowNone
        );
        let window = Duration::from_millis(self.window_ms.get().into());
        Plan {
            main,
            beside,
            unit,
            settle: Duration::from_millis(self.settle_ms.into()),
            warmup: Duration::from_millis(self.warmup_ms.into()),
            window: if long {
                (window * 2).max(LONG_MIN)
            } else {
                window
            },
        }
    }

    fn shapes(&self, scenario: Scenario) -> (Shape, Beside, Unit) {
        let hertz = |count: u32| Pace::Rate(Duration::from_secs(1) / count);
        let fan_out = |count, pace| Shape::fan_out(self.count(count) - 1, pace);
        let large = |pace| fan_out(10_000 - BESIDE, pace);
        let mut beside = Beside::Nothing;
        let main = match scenario {
            Scenario::Connect => {
                let shape = Shape::echo(self.count(10_000), Pace::Silent);
                return (shape, beside, Unit::Connections);
            }
            Scenario::Idle1k | Scenario::Idle10k => {
                let few = scenario == Scenario::Idle1k;
                let count = self.count(if few { 1_000 } else { 10_000 });
                return (Shape::echo(count, Pace::Silent), beside, Unit::Nothing);
            }
            Scenario::Echo => Shape::echo(self.count(100), Pace::Own),
            Scenario::EchoRate => Shape::echo(self.count(100), hertz(20)),
            Scenario::FanOut100 => fan_out(100, Pace::Room(AHEAD)),
            Scenario::FanOut1k => fan_out(1_000, Pace::Room(AHEAD)),
            Scenario::FanOut10k => fan_out(10_000, Pace::Room(AHEAD)),
            Scenario::FanOutRate100 => fan_out(100, hertz(100)),
            Scenario::FanOutRate1k => fan_out(1_000, hertz(10)),
            Scenario::FanOutRate10k => fan_out(10_000, hertz(1)),
            Scenario::Rooms10 => Shape::rooms(self.count(10), ROOM, Pace::Own),
            Scenario::Rooms200 => Shape::rooms(self.count(200), ROOM, Pace::Own),
            Scenario::Rooms1000 => Shape::rooms(self.count(1_000), ROOM, Pace::Own),
            Scenario::RoomsRate => Shape::rooms(self.count(200), ROOM, hertz(1)),
            Scenario::MixedAlone => Shape::echo(20, hertz(20)),
            Scenario::Mixed => {
                beside = Beside::Room(large(hertz(2)));
                Shape::echo(20, hertz(20))
            }
            Scenario::SlowNone => large(hertz(1)),
            Scenario::Slow => {
                beside = Beside::Deaf;
                large(hertz(1))
            }
            Scenario::Churn => {
                let visitors = Visitors {
                    every: Duration::from_secs(1) / 50,
                    stay: Duration::from_millis(200),
                };
                let shape = Shape {
                    visitors: Some(visitors),
                    ..fan_out(100, hertz(100))
                };
                return (shape, beside, Unit::Visitors);
            }
        };
        (main, beside, Unit::Deliveries)
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    fn sizes(scale_down: u16) -> Sizes {
        Sizes {
            warmup_ms: 1000,
            window_ms: NonZeroU16::new(2000).unwrap(),
            settle_ms: 300,
            scale_down: NonZeroU16::new(scale_down).unwrap(),
        }
    }

    #[test]
    fn no_scenario_has_more_connections_than_ten_thousand_and_a_few() {
        for scenario in Scenario::value_variants() {
            let plan = sizes(1).plan(*scenario);
            let room = match plan.beside {
                Beside::Room(shape) => shape.sockets,
                Beside::Nothing | Beside::Deaf => 0,
            };
            let all = plan.main.sockets + room;
            assert!(all <= 10_000, "{scenario:?}: {all}");
            assert!(plan.main.speaking() > 0 || plan.unit != Unit::Deliveries);
        }
    }

    #[test]
    fn names_tell_the_size_unless_it_is_scaled_down() {
        let sockets = |scenario, scale| sizes(scale).plan(scenario).main.sockets;
        assert_eq!(sockets(Scenario::FanOut1k, 1), 1_000);
        assert_eq!(sockets(Scenario::Rooms200, 1), 2_000);
        assert_eq!(sockets(Scenario::FanOut1k, 100), 10);
        assert_eq!(sockets(Scenario::FanOut100, 1_000), 2);
    }
}
