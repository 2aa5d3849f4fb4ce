//! What is measured: the scenarios, by name.

use clap::ValueEnum;

/// One thing that every server is asked to do.
///
/// Latency of the open loops (a fixed rate) counts from when a message was due. Sequence
/// numbers in every payload tell what is lost, repeated, out of order or misrouted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// Opens 10 000 connections, 64 handshakes at once, and keeps them.
    Connect,
    /// Memory of 1 000 connections on which nothing happens.
    #[value(name = "idle-1k")]
    Idle1k,
    /// Memory of 10 000 connections on which nothing happens.
    #[value(name = "idle-10k")]
    Idle10k,
    /// 100 sockets; each sends again when its own message is back.
    Echo,
    /// 100 sockets, 20 messages a second each.
    EchoRate,
    /// One publisher, 4 messages on their way, to a room of 100.
    #[value(name = "fan-out-100")]
    FanOut100,
    /// One publisher, 4 messages on their way, to a room of 1 000.
    #[value(name = "fan-out-1k")]
    FanOut1k,
    /// One publisher, 4 messages on their way, to a room of 10 000.
    #[value(name = "fan-out-10k")]
    FanOut10k,
    /// 100 messages a second to a room of 100.
    #[value(name = "fan-out-rate-100")]
    FanOutRate100,
    /// 10 messages a second to a room of 1 000.
    #[value(name = "fan-out-rate-1k")]
    FanOutRate1k,
    /// One message a second to a room of 10 000.
    #[value(name = "fan-out-rate-10k")]
    FanOutRate10k,
    /// 10 rooms of ten; everyone speaks again when the own message is back.
    #[value(name = "rooms-10")]
    Rooms10,
    /// 200 rooms of ten; everyone speaks again when the own message is back.
    #[value(name = "rooms-200")]
    Rooms200,
    /// 1 000 rooms of ten; everyone speaks again when the own message is back.
    #[value(name = "rooms-1000")]
    Rooms1000,
    /// 200 rooms of ten; everyone speaks once a second.
    RoomsRate,
    /// 20 sockets, 20 echoes a second each, and nothing else: to compare `mixed` with.
    MixedAlone,
    /// The same beside a room of 9 900 that gets 2 messages a second.
    Mixed,
    /// One message a second to a room of 9 900 fast readers: to compare `slow` with.
    SlowNone,
    /// The same with one member more, which never reads.
    Slow,
    /// A room of 100 that hears a speaker, while 50 others a second come and go.
    Churn,
}

impl Scenario {
    /// Its name, as on the command line.
    pub(crate) fn name(self) -> String {
        self.to_possible_value()
            .map(|value| value.get_name().to_owned())
            .unwrap_or_default()
    }

    /// What scenarios that differ in their number of connections alone have in common.
    pub(crate) fn family(self) -> String {
        match self {
            Self::Idle1k | Self::Idle10k => "idle".to_owned(),
            Self::FanOut100 | Self::FanOut1k | Self::FanOut10k => "fan-out".to_owned(),
            Self::FanOutRate100 | Self::FanOutRate1k | Self::FanOutRate10k => {
                "fan-out-rate".to_owned()
            }
            Self::Rooms10 | Self::Rooms200 | Self::Rooms1000 => "rooms".to_owned(),
            other => other.name(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_command_line() {
        assert_eq!(Scenario::FanOutRate10k.name(), "fan-out-rate-10k");
        assert_eq!(Scenario::FanOutRate10k.family(), "fan-out-rate");
        assert_eq!(Scenario::MixedAlone.family(), "mixed-alone");
    }
}
