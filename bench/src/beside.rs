//! What is there besides: a room with a generator of its own, or one who never reads.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use rustix::process::setpriority_process;
use towpath_load::{Generator, LoadError, Pace, Shape, Target};

use crate::measure::milliseconds;
use crate::plan::Plan;
use crate::procfs;
use crate::record::Record;

/// A room that is loaded on a thread of its own, so that the main generator's latencies
/// are not those of its own reading.
#[derive(Debug)]
pub(crate) struct Room {
    opened: usize,
    start: SyncSender<()>,
    thread: JoinHandle<Result<(Generator, f64), LoadError>>,
}

impl Room {
    /// Opens the room.
    pub(crate) fn open(target: Target, shape: Shape, plan: &Plan) -> anyhow::Result<Self> {
        let (opened, is_open) = sync_channel(1);
        let (start, started) = sync_channel(1);
        let Plan { warmup, window, .. } = *plan;
        let thread = std::thread::Builder::new()
            .name("room".to_owned())
            .spawn(move || load(target, shape, &opened, &started, (warmup, window)))?;
        match is_open.recv() {
            Ok(opened) => Ok(Self {
                opened,
                start,
                thread,
            }),
            Err(_) => Err(match ended(thread) {
                Err(error) => error,
                Ok(_) => anyhow!("it did not open"),
            }),
        }
    }

    pub(crate) fn opened(&self) -> usize {
        self.opened
    }

    /// Lets its speaker begin, for as long as the main generator's warm-up and window.
    pub(crate) fn start(&mut self) {
        let _or_finish_tells = self.start.send(());
    }

    /// Waits for what is on its way, and adds the room to the record. Costs are shared
    /// out over the deliveries of both.
    pub(crate) fn finish(self, record: &mut Record) -> anyhow::Result<()> {
        drop(self.start);
        let (generator, per_second) = ended(self.thread)?;
        record.beside_p99_ms = milliseconds(generator.latency(), 0.99);
        record.wrong = record.wrong.and(generator.wrong());
        if let Some(own) = record.per_second.filter(|own| *own > 0.0) {
            let share = own / (own + per_second);
            for figure in [
                &mut record.server_us,
                &mut record.side_us,
                &mut record.generator_us,
            ] {
                *figure = figure.map(|us| us * share);
            }
            record.per_second = Some(own + per_second);
        }
        Ok(())
    }
}

type Ended = (Generator, f64);

/// How far the room's generator stands back (`nice`): its members would be on other
/// machines, and what is measured beside it may not wait for their reading.
const NICENESS: i32 = 10;

fn ended(thread: JoinHandle<Result<Ended, LoadError>>) -> anyhow::Result<Ended> {
    let ended = thread.join().map_err(|_| anyhow!("its generator panicked"));
    Ok(ended??)
}

fn load(
    target: Target,
    shape: Shape,
    opened: &SyncSender<usize>,
    started: &Receiver<()>,
    (warmup, window): (Duration, Duration),
) -> Result<Ended, LoadError> {
    // Of this thread alone.
    if let Err(error) = setpriority_process(None, NICENESS) {
        return Err(std::io::Error::from(error).into());
    }
    let mut generator = Generator::new(target, shape)?;
    let count = generator.open()?;
    let _or_nobody_waits = opened.send(count);
    if started.recv().is_err() {
        return Ok((generator, 0.0));
    }
    generator.start()?;
    generator.run(warmup)?;
    generator.begin_window();
    let (before, began) = (generator.counts().delivered, Instant::now());
    generator.run(window)?;
    let delivered = (generator.counts().delivered - before) as f64;
    let per_second = delivered / began.elapsed().as_secs_f64();
    generator.drain()?;
    Ok((generator, per_second))
}

/// The slow one's receive buffer: as small as the kernel allows.
const RECEIVE_BYTES: usize = 2_304;
/// What fills its connection.
const FILL_BYTES: usize = 16 * 1024;
const FILL_EVERY: Duration = Duration::from_millis(2);
/// The connection is full when its queue has not grown for so many messages.
const FULL_AFTER: u32 = 3;
/// The kernel's buffer is smaller than so many messages: then nothing is full by itself.
const FILL_MAX: u32 = 1_000;

/// One in the room who never reads, and whose connection is full.
#[derive(Debug)]
pub(crate) struct Deaf {
    /// Its connection stays open for as long as this.
    _generator: Generator,
    port: u16,
    /// What waited for it in the kernel when it was full, in bytes.
    full: u64,
}

impl Deaf {
    /// Enters the first room, and has somebody speak there until the kernel takes no
    /// more for this one.
    pub(crate) fn enter(target: Target) -> anyhow::Result<Self> {
        let slow = target.clone().receive_buffer(RECEIVE_BYTES);
        let mut generator = Generator::new(slow, Shape::fan_out(0, Pace::Silent))?;
        generator.open()?;
        let ports = generator.local_ports();
        let port = *ports.first().context("the slow reader has no port")?;
        let mut speaker = Generator::new(
            target,
            Shape {
                payload_bytes: FILL_BYTES,
                ..Shape::fan_out(0, Pace::Rate(FILL_EVERY))
            },
        )?;
        speaker.open()?;
        speaker.start()?;
        let (mut full, mut same) = (0, 0);
        for _ in 0..FILL_MAX {
            speaker.run(FILL_EVERY)?;
            let queued = procfs::queued_to(port)?.unwrap_or(0);
            same = if queued > full || queued == 0 {
                0
            } else {
                same + 1
            };
            full = full.max(queued);
            if same == FULL_AFTER {
                break;
            }
        }
        speaker.drain()?;
        Ok(Self {
            _generator: generator,
            port,
            full,
        })
    }

    /// What is odd about it, if anything: it may have been let go.
    pub(crate) fn note(&self) -> Option<String> {
        match procfs::queued_to(self.port) {
            Ok(Some(queued)) if queued > 0 && self.full > 0 => None,
            Ok(Some(_)) => Some("the slow reader's connection was never full".to_owned()),
            _ => Some("the server has let the slow reader go".to_owned()),
        }
    }
}
