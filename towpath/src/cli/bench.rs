//! `bench`: loads a server that stands anywhere, and checks every delivery.

use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};
use serde::Serialize;
use towpath_load::{Generator, Latency, Pace, Shape, Target, Wrong, cpu_used};

use super::output;

/// Traffic before the measured time.
const WARM_UP: Duration = Duration::from_secs(1);
/// Messages of one speaker on their way in a closed loop.
const AHEAD: usize = 4;
/// Members of a room in `rooms`.
const ROOM: usize = 10;
/// A line of progress is written once in this.
const PROGRESS: Duration = Duration::from_secs(1);
/// Percentiles of latency that are shown.
const SHARES: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)];

/// What to load, how, and for how long.
#[derive(Debug, Args)]
#[command(long_about = "\
Load a WebSocket server, and check that every message arrives once and in order.

The server must send each text frame back to its sender (echo), or to everyone in the \
sender's room, the sender included (fan-out, rooms). In the URL, `{room}` stands for the \
name of a socket's room, `{n}` for the socket's number: ws://127.0.0.1:8000/room/{room}. \
The demonstration serves /echo and /room/{room}.

Exit code 0 if all arrived, 1 if anything was lost, repeated, out of order or closed.")]
pub(crate) struct BenchCommand {
    /// Where the server is; TLS is not supported.
    #[arg(value_name = "ws://HOST:PORT/PATH")]
    url: String,
    /// What to do.
    #[arg(long, value_enum, default_value = "echo")]
    mode: Mode,
    /// Connections; in fan-out those that listen, besides the one that speaks.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    connections: u32,
    /// How long to measure, after a second of warm-up.
    #[arg(long, value_name = "S", default_value = "10", value_parser = positive)]
    seconds: f64,
    /// Messages a second of each speaker; without it, a closed loop: each speaks again
    /// when its message has arrived (fan-out: four are on their way).
    #[arg(long, value_name = "R", value_parser = positive)]
    rate: Option<f64>,
    /// Bytes of a message, 12 to 16384.
    #[arg(long, value_name = "B", default_value_t = 128, value_parser = clap::value_parser!(u16).range(12..=16_384))]
    payload_bytes: u16,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Mode {
    /// Every connection sends, and gets its own messages back.
    Echo,
    /// One connection sends to a room of all.
    FanOut,
    /// Rooms of ten; everyone sends to the own room.
    Rooms,
    /// Open the connections, and nothing else.
    Connect,
}

/// What came of it.
#[derive(Debug, Serialize)]
struct Figures {
    mode: Mode,
    connections: usize,
    connections_per_second: f64,
    seconds: f64,
    deliveries: u64,
    deliveries_per_second: f64,
    /// Milliseconds; of handshakes in `connect`, else of deliveries.
    latency_ms: Vec<(&'static str, f64)>,
    /// The share of one core that the generator used; near 1 it is what limits the rate.
    generator_share: f64,
    wrong: Wrong,
}

impl BenchCommand {
    /// Loads the server, and prints what came of it; the result is the exit code.
    ///
    /// # Errors
    ///
    /// A URL that cannot be used, a server that lets nobody in, or a limit on open files
    /// that is too low.
    pub(crate) fn run(&self) -> Result<u8> {
        let target = Target::parse(&self.url)?;
        ensure!(
            self.mode != Mode::Rooms || target.has_rooms(),
            "the path of {} names no room: put {{room}} where its name belongs, \
             for example ws://HOST:PORT/room/{{room}}",
            self.url
        );
        let mut generator = Generator::new(target, self.shape())?;
        let began = Instant::now();
        let connections = generator.open()?;
        let opening = began.elapsed().as_secs_f64();
        let mut figures = Figures {
            mode: self.mode,
            connections,
            connections_per_second: connections as f64 / opening,
            seconds: opening,
            deliveries: 0,
            deliveries_per_second: 0.0,
            latency_ms: percentiles(generator.handshakes()),
            generator_share: cpu_used().as_secs_f64() / opening,
            wrong: Wrong::default(),
        };
        if self.mode != Mode::Connect {
            self.load(&mut generator, &mut figures)?;
        }
        figures.wrong = generator.wrong();
        self.print(&figures)?;
        Ok(u8::from(!figures.wrong.is_none()))
    }

    fn shape(&self) -> Shape {
        let count = usize::try_from(self.connections).unwrap_or(usize::MAX);
        let pace = match (self.rate, self.mode) {
            (_, Mode::Connect) => Pace::Silent,
            (Some(rate), _) => Pace::Rate(Duration::from_secs_f64(1.0 / rate)),
            (None, Mode::FanOut) => Pace::Room(AHEAD),
            (None, Mode::Echo | Mode::Rooms) => Pace::Own,
        };
        let shape = match self.mode {
            Mode::Echo | Mode::Connect => Shape::echo(count, pace),
            Mode::FanOut => Shape::fan_out(count, pace),
            Mode::Rooms => Shape::rooms(count.div_ceil(ROOM), ROOM, pace),
        };
        Shape {
            payload_bytes: self.payload_bytes.into(),
            ..shape
        }
    }

    fn load(&self, generator: &mut Generator, figures: &mut Figures) -> Result<()> {
        generator.start()?;
        generator.run(WARM_UP)?;
        generator.begin_window();
        let (began, before, cpu) = (Instant::now(), generator.counts().delivered, cpu_used());
        let whole = Duration::from_secs_f64(self.seconds);
        let mut last = before;
        while let Some(left) = whole
            .checked_sub(began.elapsed())
            .filter(|it| !it.is_zero())
        {
            generator.run(left.min(PROGRESS))?;
            let delivered = generator.counts().delivered;
            progress(generator, began.elapsed(), delivered - last);
            last = delivered;
        }
        let seconds = began.elapsed().as_secs_f64();
        figures.seconds = seconds;
        figures.deliveries = last - before;
        figures.deliveries_per_second = figures.deliveries as f64 / seconds;
        figures.generator_share = cpu_used().saturating_sub(cpu).as_secs_f64() / seconds;
        figures.latency_ms = percentiles(generator.latency());
        generator.drain()?;
        Ok(())
    }

    fn print(&self, figures: &Figures) -> Result<()> {
        if self.json {
            return Ok(output::json(figures)?);
        }
        let row = |name: &str, value: String| [name.to_owned(), value];
        let mut rows = vec![
            row("connections", figures.connections.to_string()),
            row(
                "connections a second",
                format!("{:.0}", figures.connections_per_second),
            ),
        ];
        if self.mode != Mode::Connect {
            rows.push(row("deliveries", figures.deliveries.to_string()));
            let rate = format!("{:.0}", figures.deliveries_per_second);
            rows.push(row("deliveries a second", rate));
        }
        for (name, time) in &figures.latency_ms {
            rows.push(row(&format!("latency {name}, ms"), format!("{time:.3}")));
        }
        let share = format!("{:.2}", figures.generator_share);
        rows.push(row("cores used by this generator", share));
        let wrong = figures.wrong;
        for (name, count) in [
            ("lost", wrong.lost),
            ("repeated", wrong.repeated),
            ("out of order", wrong.out_of_order),
            ("in the wrong room", wrong.misrouted),
            ("not as sent", wrong.malformed),
            ("connections refused or closed", wrong.closed),
        ] {
            rows.push(row(name, count.to_string()));
        }
        Ok(output::table(&rows, 1)?)
    }
}

fn percentiles(latency: &Latency) -> Vec<(&'static str, f64)> {
    let known = |(name, share)| {
        let time = latency.quantile(share)?;
        Some((name, time.as_secs_f64() * 1e3))
    };
    SHARES.into_iter().filter_map(known).collect()
}

/// One line; whoever started this may have stopped listening.
fn progress(generator: &Generator, since: Duration, deliveries: u64) {
    let p99 = generator.latency().quantile(0.99).unwrap_or_default();
    let _unheard = writeln!(
        std::io::stderr(),
        "{:4.0} s: {deliveries} deliveries, p99 so far {:.3} ms, {} connections",
        since.as_secs_f64(),
        p99.as_secs_f64() * 1e3,
        generator.counts().open,
    );
}

/// A number of which a duration can be made.
fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().map_err(|error| error.to_string())?;
    if (1e-6..=1e6).contains(&number) {
        Ok(number)
    } else {
        Err("expected a number from 0.000001 to 1000000".to_owned())
    }
}
