//! The scenarios, and one measured run of one of them against one server.

use std::time::{Duration, Instant};

use clap::ValueEnum;

use crate::generator::{Generator, Target};
use crate::process::{self, Contender, Server};
use crate::traffic::{Pace, Shape, Wrong};

/// Between the last handshake and the first message, or the first look at memory.
const SETTLE: Duration = Duration::from_millis(300);
/// Below this many ticks of the kernel's clock a processor time is not a figure.
const TICKS_MIN: u32 = 5;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// Each socket sends again when its own message is back.
    Echo,
    /// One socket, 100 messages a second.
    EchoRate,
    /// One publisher with 4 messages on their way to a large room.
    Fanout,
    /// One publisher, 10 messages a second to a large room.
    FanoutRate,
    /// Rooms of ten; everyone speaks again when the own message is back.
    Rooms,
    /// Opens connections, 64 at a time, and keeps them.
    Connect,
    /// Memory of connections on which nothing happens.
    Idle,
}

/// How large the scenarios are, and how long they take.
#[derive(Debug, clap::Args)]
pub(crate) struct Sizes {
    /// Sockets in `echo`.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..))]
    echo_sockets: u16,
    /// Subscribers in `fanout` and `fanout-rate`, besides the publisher.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u16).range(1..))]
    subscribers: u16,
    /// Rooms of ten in `rooms`.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..=6000))]
    rooms: u16,
    /// Connections in `connect` and `idle`.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u16).range(1..))]
    connections: u16,
    /// Traffic before each window.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(..=60_000))]
    warmup_ms: u64,
    /// The measured time.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u64).range(10..=60_000))]
    window_ms: u64,
}

impl Scenario {
    fn shape(self, sizes: &Sizes) -> Shape {
        let alone = |sockets: u16, pace| Shape {
            sockets: sockets.into(),
            room: 1,
            speakers: 1,
            payload_bytes: 64,
            pace,
        };
        let room = |pace| {
            let sockets = usize::from(sizes.subscribers) + 1;
            Shape {
                sockets,
                room: sockets,
                speakers: 1,
                payload_bytes: 128,
                pace,
            }
        };
        match self {
            Self::Echo => alone(sizes.echo_sockets, Pace::Own),
            Self::EchoRate => alone(1, Pace::Rate(Duration::from_millis(10))),
            Self::Fanout => room(Pace::Room { ahead: 4 }),
            Self::FanoutRate => room(Pace::Rate(Duration::from_millis(100))),
            Self::Rooms => Shape {
                sockets: usize::from(sizes.rooms) * 10,
                room: 10,
                speakers: 10,
                payload_bytes: 128,
                pace: Pace::Own,
            },
            Self::Connect | Self::Idle => alone(sizes.connections, Pace::Silent),
        }
    }

    fn in_rooms(self) -> bool {
        matches!(self, Self::Fanout | Self::FanoutRate | Self::Rooms)
    }
}

/// What one run has shown; what it cannot show is `None`.
#[derive(Debug, Default)]
pub(crate) struct Sample {
    /// Deliveries, or connections, a second.
    pub(crate) per_second: Option<f64>,
    /// Processor time of the server for each of them.
    pub(crate) server_us: Option<f64>,
    pub(crate) generator_us: Option<f64>,
    pub(crate) p50_ms: Option<f64>,
    pub(crate) p99_ms: Option<f64>,
    /// Growth of the server's resident memory over the run, for each socket.
    pub(crate) rss_kib: f64,
    /// Cores that neither the server nor the generator used.
    pub(crate) other_cores: f64,
    pub(crate) wrong: Wrong,
}

/// One fresh server, one run.
pub(crate) fn measure(
    scenario: Scenario,
    contender: &Contender,
    sizes: &Sizes,
) -> anyhow::Result<Sample> {
    let server = Server::start(contender)?;
    let shape = scenario.shape(sizes);
    let target = Target {
        address: server.address,
        in_rooms: scenario.in_rooms(),
    };
    let mut generator = Generator::new(target, shape)?;
    generator.run(SETTLE)?;
    let rss_before = server.rss_kib()?;
    let window = Duration::from_millis(sizes.window_ms);

    let (before, after);
    if scenario == Scenario::Connect {
        before = Mark::now(&server, 0)?;
        generator.open()?;
        after = Mark::now(&server, shape.sockets as u64)?;
        generator.run(SETTLE)?;
    } else {
        generator.open()?;
        generator.run(SETTLE)?;
        generator.start()?;
        generator.run(Duration::from_millis(sizes.warmup_ms))?;
        generator.traffic().forget_latency();
        before = Mark::now(&server, generator.traffic().delivered())?;
        generator.run(window)?;
        after = Mark::now(&server, generator.traffic().delivered())?;
    }
    let percentile = |generator: &mut Generator, per_mille| {
        generator
            .traffic()
            .latency()
            .percentile(per_mille)
            .map(|time| time.as_secs_f64() * 1e3)
    };
    let (p50_ms, p99_ms) = (
        percentile(&mut generator, 500),
        percentile(&mut generator, 990),
    );
    let rss_kib = (server.rss_kib()? - rss_before) / shape.sockets as f64;
    generator.drain()?;
    let wrong = generator.traffic().wrong();
    // The side that closes first keeps the ports for a minute: let that be the server,
    // whose port nobody needs again.
    drop(server);
    Ok(Sample {
        p50_ms,
        p99_ms,
        rss_kib,
        wrong,
        ..after.since(&before)
    })
}

#[derive(Debug)]
struct Mark {
    at: Instant,
    done: u64,
    server: Duration,
    own: Duration,
    machine: Duration,
}

impl Mark {
    fn now(server: &Server, done: u64) -> anyhow::Result<Self> {
        let (own, machine) = (process::own_cpu()?, process::machine_cpu()?);
        Ok(Self {
            at: Instant::now(),
            done,
            server: server.cpu()?,
            own,
            machine,
        })
    }

    fn since(&self, before: &Self) -> Sample {
        let time = (self.at - before.at).as_secs_f64();
        let server = self.server.saturating_sub(before.server);
        let own = self.own.saturating_sub(before.own);
        let machine = self.machine.saturating_sub(before.machine);
        let done = (self.done - before.done) as f64;
        let each = |cpu: Duration| {
            (done > 0.0 && cpu >= process::tick() * TICKS_MIN)
                .then(|| cpu.as_secs_f64() * 1e6 / done)
        };
        Sample {
            per_second: (done > 0.0).then(|| done / time),
            server_us: each(server),
            generator_us: each(own),
            other_cores: machine.saturating_sub(server + own).as_secs_f64() / time,
            ..Sample::default()
        }
    }
}
