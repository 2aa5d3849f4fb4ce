//! One measured run of one scenario against one server.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use towpath_load::{Counts, Generator, Latency, Pace, Target, cpu_used};

use crate::beside::{Deaf, Room};
use crate::contender::{Contender, Dialect};
use crate::plan::{Beside, Plan, Unit};
use crate::process::Server;
use crate::procfs;
use crate::record::Record;
use crate::scenario::Scenario;

/// A shorter processor time is not a figure: looking at it takes some, too.
const CPU_MIN: Duration = Duration::from_millis(5);
/// With fewer sockets than this the server's own growth hides theirs.
const SOCKETS_MIN: usize = 100;

/// One fresh server, one run.
///
/// # Errors
///
/// If the server does not start, does not let anybody in, or ends.
pub(crate) fn measure(
    scenario: Scenario,
    contender: &Contender,
    plan: &Plan,
) -> anyhow::Result<Record> {
    let server = Server::start(contender)?;
    let target = target(&server, contender.dialect, plan.main.room > 1);
    let mut generator = Generator::new(target.clone(), plan.main)?;
    generator.run(plan.settle)?;
    let rss_before = server.rss()?;
    let mut room = match plan.beside {
        Beside::Room(shape) => {
            let target = self::target(&server, contender.dialect, true);
            Some(Room::open(target, shape, plan)?)
        }
        Beside::Nothing | Beside::Deaf => None,
    };
    let deaf = match plan.beside {
        Beside::Deaf => Some(Deaf::enter(target)?),
        Beside::Nothing | Beside::Room(_) => None,
    };

    let mut before = Mark::now(&server, &generator)?;
    let opened = generator.open()?;
    let mut after = Mark::now(&server, &generator)?;
    generator.run(plan.settle)?;
    if plan.main.pace != Pace::Silent {
        if let Some(room) = &mut room {
            room.start();
        }
        generator.start()?;
        generator.run(plan.warmup)?;
        generator.begin_window();
        before = Mark::now(&server, &generator)?;
        generator.run(plan.window)?;
        after = Mark::now(&server, &generator)?;
    }
    let sockets = opened + room.as_ref().map_or(0, Room::opened);
    let grown = server.rss()?.saturating_sub(rss_before) as f64;

    let mut record = after.since(&before, plan.unit);
    latencies(&mut record, &generator, plan.unit);
    generator.drain()?;
    record.wrong = generator.wrong();
    if let Some(room) = room {
        room.finish(&mut record).context("the room beside")?;
    }
    record.note = deaf.and_then(|deaf| deaf.note());
    record.rss_bytes = (sockets >= SOCKETS_MIN).then(|| grown / sockets as f64);
    record.scenario = scenario.name();
    record.family = scenario.family();
    record.server.clone_from(&contender.name);
    record.connections = u32::try_from(sockets).unwrap_or(u32::MAX);
    record.payload_bytes = u32::try_from(plan.main.payload_bytes).unwrap_or(u32::MAX);
    // The side that closes first keeps the ports for a minute: let that be the server,
    // whose port nobody needs again.
    drop(server);
    Ok(record)
}

fn target(server: &Server, dialect: Dialect, rooms: bool) -> Target {
    let path = match (dialect, rooms) {
        (Dialect::SocketIo, true) => "/socket.io/?EIO=4&transport=websocket&room={room}",
        (Dialect::SocketIo, false) => "/socket.io/?EIO=4&transport=websocket",
        (Dialect::Phoenix, _) => "/socket/websocket?vsn=2.0.0",
        (Dialect::Raw, true) => "/room/{room}",
        (Dialect::Raw, false) => "/echo",
    };
    Target::new(server.address, path).speaking(dialect)
}

fn latencies(record: &mut Record, generator: &Generator, unit: Unit) {
    let latency = if unit == Unit::Connections {
        generator.handshakes()
    } else {
        generator.latency()
    };
    record.p50_ms = milliseconds(latency, 0.5);
    record.p90_ms = milliseconds(latency, 0.9);
    record.p99_ms = milliseconds(latency, 0.99);
    record.p999_ms = milliseconds(latency, 0.999);
}

pub(crate) fn milliseconds(latency: &Latency, share: f64) -> Option<f64> {
    latency.quantile(share).map(|time| time.as_secs_f64() * 1e3)
}

#[derive(Debug)]
struct Mark {
    at: Instant,
    counts: Counts,
    server: Duration,
    side: Option<Duration>,
    own: Duration,
    machine: Duration,
}

impl Mark {
    fn now(server: &Server, generator: &Generator) -> anyhow::Result<Self> {
        Ok(Self {
            at: Instant::now(),
            counts: generator.counts(),
            server: server.cpu()?,
            side: server.side_cpu()?,
            own: cpu_used(),
            machine: procfs::machine_cpu()?,
        })
    }

    fn since(&self, before: &Self, unit: Unit) -> Record {
        let time = (self.at - before.at).as_secs_f64();
        let server = self.server.saturating_sub(before.server);
        let own = self.own.saturating_sub(before.own);
        let machine = self.machine.saturating_sub(before.machine);
        let side = self.side.zip(before.side).map(|(now, then)| now - then);
        let done = match unit {
            Unit::Nothing => 0,
            Unit::Connections => (self.counts.open - before.counts.open) as u64,
            Unit::Deliveries => self.counts.delivered - before.counts.delivered,
            Unit::Visitors => self.counts.came - before.counts.came,
        };
        let done = Some(done as f64).filter(|done| *done > 0.0);
        let reads = (self.counts.reads - before.counts.reads) as f64;
        let each = |cpu: Duration| {
            let known = cpu >= CPU_MIN;
            done.filter(|_| known)
                .map(|done| cpu.as_secs_f64() * 1e6 / done)
        };
        let all = server + own + side.unwrap_or_default();
        Record {
            per_second: done.map(|done| done / time),
            server_us: each(server),
            side_us: side.and_then(each),
            generator_us: each(own),
            generator_share: Some(own.as_secs_f64() / time),
            reads: done.map(|done| reads / done),
            other_cores: Some(machine.saturating_sub(all).as_secs_f64() / time),
            ..Record::default()
        }
    }
}
