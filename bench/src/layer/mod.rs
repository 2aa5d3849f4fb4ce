//! A channel layer without sockets: in memory, over Redis, and channels_redis.
//!
//! The figures are records like those of the servers: the unit is a message received, in
//! `layer-group` a group send.

mod group;
mod send;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio::runtime::{Builder, Runtime};
use towpath::Layers;
use towpath::config::{Config, Layer, LayerKind};
use towpath::layer::ChannelLayer;
use towpath_load::cpu_used;

use self::send::Way;
use crate::contender::{Contender, Launch};
use crate::peers::layer::{LayerFigure, channels_redis};
use crate::process::Server;
use crate::record::Record;
use crate::report::{self, About, Run};

const MEMORY: &str = "towpath";
const REDIS: &str = "towpath-redis";
const CHANNELS: &str = "channels-redis";
/// channels_redis takes so many times fewer messages: it is that much slower.
const CHANNELS_FEWER: usize = 100;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Rounds; in each of them every layer is asked in turn.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Measure the memory layer alone, for which no Redis is needed.
    #[arg(long)]
    memory: bool,
    /// Where what is installed for channels_redis stays.
    #[arg(long, value_name = "FOLDER", default_value = "target/bench-peers")]
    cache: PathBuf,
    #[command(flatten)]
    sizes: Sizes,
}

/// How much is sent.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Sizes {
    /// Messages in a run on a layer; a tenth of it where one waits for the other.
    #[arg(long, default_value_t = 200_000)]
    messages: usize,
    /// Messages in a batch, and senders that send one by one.
    #[arg(long, default_value_t = 128)]
    batch: usize,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            messages: 200_000,
            batch: 128,
        }
    }
}

/// Measures and prints a report.
pub(crate) fn run(options: &Options) -> Result<()> {
    crate::groups::watch()?;
    let mut run = Run {
        about: About::here("towpath-bench layer".to_owned()),
        ..Run::default()
    };
    for round in 1..=options.rounds {
        memory(&options.sizes, round, &mut run.records)?;
        if !options.memory {
            redis(&options.sizes, round, &mut run.records)?;
            channels(&options.sizes, round, &options.cache, &mut run.records)?;
        }
    }
    Ok(write!(std::io::stdout(), "{}", report::markdown(&run))?)
}

type Shared = Arc<dyn ChannelLayer>;

/// One round on the memory layer; in one process one node is all.
pub(crate) fn memory(sizes: &Sizes, round: u32, records: &mut Vec<Record>) -> Result<()> {
    runtime()?.block_on(async {
        let layer = open(Layer::default()).await?;
        for way in Way::ALL {
            let meter = Meter::start(None)?;
            way.run(sizes, &layer, &layer).await?;
            records.push(meter.record(way.scenario(), MEMORY, round, way.messages(sizes))?);
        }
        layer.close().await;
        Ok(())
    })
}

/// One round over a Redis of its own: two nodes in one process, four for the group.
pub(crate) fn redis(sizes: &Sizes, round: u32, records: &mut Vec<Record>) -> Result<()> {
    let redis = start_redis()?;
    let at = || Layer {
        kind: LayerKind::Redis,
        url: Some(url(&redis)),
        ..Layer::default()
    };
    runtime()?.block_on(async {
        let (sender, receiver) = (open(at()).await?, open(at()).await?);
        for way in Way::ALL {
            let meter = Meter::start(Some(&redis))?;
            way.run(sizes, &sender, &receiver).await?;
            records.push(meter.record(way.scenario(), REDIS, round, way.messages(sizes))?);
        }
        sender.close().await;
        receiver.close().await;
        let group = group::Group::open(at).await?;
        let meter = Meter::start(Some(&redis))?;
        let sends = sizes.messages / 100;
        group.send(sends).await?;
        records.push(meter.record("layer-group", REDIS, round, sends)?);
        group.close().await;
        Ok(())
    })
}

/// One round of channels_redis on a Redis of its own.
pub(crate) fn channels(
    sizes: &Sizes,
    round: u32,
    cache: &Path,
    records: &mut Vec<Record>,
) -> Result<()> {
    let redis = start_redis()?;
    let messages = u32::try_from(sizes.messages / CHANNELS_FEWER).unwrap_or(u32::MAX);
    for figure in channels_redis(cache, &url(&redis), messages.max(1))? {
        let scenario = match figure.case.as_str() {
            "one after the other" => Way::PingPong.scenario(),
            "many at once" => Way::Single.scenario(),
            _ => continue,
        };
        records.push(foreign(&figure, scenario, round));
    }
    Ok(())
}

fn foreign(figure: &LayerFigure, scenario: &str, round: u32) -> Record {
    Record {
        per_second: Some(figure.per_second()),
        server_us: Some(figure.each_us(figure.cpu_seconds)),
        side_us: Some(figure.each_us(figure.redis_cpu_seconds)),
        ..blank(scenario, CHANNELS, round)
    }
}

fn blank(scenario: &str, server: &str, round: u32) -> Record {
    Record {
        scenario: scenario.to_owned(),
        family: scenario.to_owned(),
        server: server.to_owned(),
        round,
        payload_bytes: u32::try_from(send::PAYLOAD).unwrap_or(u32::MAX),
        ..Record::default()
    }
}

fn runtime() -> Result<Runtime> {
    Ok(Builder::new_multi_thread().enable_all().build()?)
}

async fn open(layer: Layer) -> Result<Shared> {
    let mut config = Config::default();
    config.layers.insert("default".to_owned(), layer);
    Ok(Arc::clone(Layers::open(&config).await?.default_layer()))
}

fn start_redis() -> Result<Server> {
    let arguments = "--port {port} --bind 127.0.0.1 --appendonly no --dir {dir} --save";
    let arguments = arguments.split(' ').chain([""]);
    let launch = Launch::new("redis-server", arguments);
    let redis = Contender::new("redis", "Redis", launch);
    Server::start(&redis).context("the layers over Redis need redis-server")
}

fn url(redis: &Server) -> String {
    format!("redis://{}", redis.address)
}

/// Time and processor time from a start on.
#[derive(Debug)]
struct Meter<'a> {
    began: Instant,
    own: Duration,
    side: Option<(&'a Server, Duration)>,
}

impl<'a> Meter<'a> {
    fn start(side: Option<&'a Server>) -> Result<Self> {
        let side = side.map(|side| Ok::<_, anyhow::Error>((side, side.cpu()?)));
        Ok(Self {
            side: side.transpose()?,
            own: cpu_used(),
            began: Instant::now(),
        })
    }

    fn record(self, scenario: &str, server: &str, round: u32, count: usize) -> Result<Record> {
        let count = count as f64;
        let took = self.began.elapsed().as_secs_f64();
        let each = |time: Duration| time.as_secs_f64() * 1e6 / count;
        let side = match self.side {
            Some((side, before)) => Some(side.cpu()?.saturating_sub(before)),
            None => None,
        };
        Ok(Record {
            per_second: Some(count / took),
            server_us: Some(each(cpu_used().saturating_sub(self.own))),
            side_us: side.map(each),
            ..blank(scenario, server, round)
        })
    }
}
