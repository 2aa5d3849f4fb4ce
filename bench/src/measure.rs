//! One measured run of one scenario against one server.

use std::num::NonZeroU16;
use std::time::{Duration, Instant};

use crate::generator::Generator;
use crate::process::{self, Contender, Server};
use crate::scenario::Scenario;
use crate::traffic::{Pace, Shape, Wrong};

/// Between the last handshake and the first message, or the first look at memory.
const SETTLE: Duration = Duration::from_millis(300);
/// Below this many ticks of the kernel's clock a processor time is not a figure.
const TICKS_MIN: u32 = 5;
/// With fewer sockets than this the server's own growth hides theirs.
const SOCKETS_MIN: usize = 100;

/// How large the scenarios are, and how long they take.
#[derive(Debug, clap::Args)]
pub(crate) struct Sizes {
    /// Sockets in `echo`.
    #[arg(long, default_value = "100")]
    echo_sockets: NonZeroU16,
    /// Subscribers in `fanout` and `fanout-rate`, besides the publisher.
    #[arg(long, default_value = "1000")]
    subscribers: NonZeroU16,
    /// Rooms of ten in `rooms`.
    #[arg(long, default_value = "200")]
    rooms: NonZeroU16,
    /// Connections in `connect` and `idle`.
    #[arg(long, default_value = "10000")]
    connections: NonZeroU16,
    /// Traffic before each window.
    #[arg(long, default_value = "1000")]
    warmup_ms: u16,
    /// The measured time.
    #[arg(long, default_value = "2000")]
    window_ms: NonZeroU16,
}

impl Sizes {
    fn shape(&self, scenario: Scenario) -> anyhow::Result<Shape> {
        let sizes = self;
        let (sockets, room, speakers, pace) = match scenario {
            Scenario::Echo => (sizes.echo_sockets.get().into(), 1, 1, Pace::Own),
            Scenario::EchoRate => (1, 1, 1, Pace::Rate(Duration::from_millis(10))),
            Scenario::FanOut1k | Scenario::FanOutRate1k => {
                let sockets = usize::from(sizes.subscribers.get()) + 1;
                let rate = Pace::Rate(Duration::from_millis(100));
                (
                    sockets,
                    sockets,
                    1,
                    if scenario == Scenario::FanOut1k {
                        Pace::Room(4)
                    } else {
                        rate
                    },
                )
            }
            Scenario::Rooms200 => (usize::from(sizes.rooms.get()) * 10, 10, 10, Pace::Own),
            Scenario::Connect | Scenario::Idle10k => {
                (sizes.connections.get().into(), 1, 1, Pace::Silent)
            }
            other => anyhow::bail!("{} is not measured yet", other.name()),
        };
        let payload_bytes = if room > 1 { 128 } else { 64 };
        Ok(Shape {
            sockets,
            room,
            speakers,
            payload_bytes,
            pace,
        })
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
    pub(crate) rss_kib: Option<f64>,
    /// Reads of the generator for each delivery: below one, frames come joined.
    pub(crate) reads: Option<f64>,
    /// Cores that neither the server nor the generator used.
    pub(crate) other_cores: Option<f64>,
    pub(crate) wrong: Wrong,
}

/// One fresh server, one run.
pub(crate) fn measure(
    scenario: Scenario,
    contender: &Contender,
    sizes: &Sizes,
) -> anyhow::Result<Sample> {
    let server = Server::start(contender)?;
    let shape = sizes.shape(scenario)?;
    let mut generator = Generator::new(server.address, shape)?;
    generator.run(SETTLE)?;
    let rss_before = server.rss_kib()?;
    let mut before = Mark::now(&server, &mut generator)?;
    let opened = generator.open()?;
    let mut after = Mark::now(&server, &mut generator)?;
    after.done = opened as u64;
    generator.run(SETTLE)?;
    if scenario != Scenario::Connect {
        generator.start()?;
        generator.run(Duration::from_millis(sizes.warmup_ms.into()))?;
        generator.traffic().latency.clear();
        before = Mark::now(&server, &mut generator)?;
        generator.run(Duration::from_millis(sizes.window_ms.get().into()))?;
        after = Mark::now(&server, &mut generator)?;
    }
    let percentile = |time: Option<Duration>| time.map(|time| time.as_secs_f64() * 1e3);
    let latency = &generator.traffic().latency;
    let p50_ms = percentile(latency.percentile(500));
    let p99_ms = percentile(latency.percentile(990));
    let grown_kib = server.rss_kib()? - rss_before;
    let rss_kib = (shape.sockets >= SOCKETS_MIN).then(|| grown_kib / shape.sockets as f64);
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
    reads: u64,
    server: Duration,
    own: Duration,
    machine: Duration,
}

impl Mark {
    fn now(server: &Server, generator: &mut Generator) -> anyhow::Result<Self> {
        Ok(Self {
            at: Instant::now(),
            done: generator.traffic().delivered,
            reads: generator.reads(),
            server: server.cpu()?,
            own: process::own_cpu()?,
            machine: process::machine_cpu()?,
        })
    }

    fn since(&self, before: &Self) -> Sample {
        let time = (self.at - before.at).as_secs_f64();
        let server = self.server.saturating_sub(before.server);
        let own = self.own.saturating_sub(before.own);
        let machine = self.machine.saturating_sub(before.machine);
        let done = Some((self.done - before.done) as f64).filter(|done| *done > 0.0);
        let each = |cpu: Duration| {
            let known = cpu >= process::tick() * TICKS_MIN;
            done.filter(|_| known)
                .map(|done| cpu.as_secs_f64() * 1e6 / done)
        };
        Sample {
            per_second: done.map(|done| done / time),
            server_us: each(server),
            generator_us: each(own),
            reads: done.map(|done| (self.reads - before.reads) as f64 / done),
            other_cores: Some(machine.saturating_sub(server + own).as_secs_f64() / time),
            ..Sample::default()
        }
    }
}
