//! Writing down what happens while it happens.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::time::{ClockId, clock_gettime};
use towpath_layer_core::{ChannelName, Clock, Unavailable};
use towpath_layer_core::{Content, Message, SendError};

use super::{Id, Outcome, Record};

/// The machine's monotonic time: the same for all processes, unlike that of a
/// clock which begins with its process.
#[derive(Debug, Clone, Copy, Default)]
pub struct MachineClock;

impl Clock for MachineClock {
    fn now(&self) -> Duration {
        let now = clock_gettime(ClockId::Monotonic);
        let seconds = u64::try_from(now.tv_sec).expect("time since the machine started");
        let nanos = u32::try_from(now.tv_nsec).expect("less than a second");
        Duration::new(seconds, nanos)
    }
}

/// Writes down sends and receives.
#[derive(Debug)]
pub struct Recorder {
    clock: Arc<dyn Clock>,
    out: Mutex<Out>,
}

#[derive(Debug)]
enum Out {
    Memory(Vec<Record>),
    File(File),
}

impl Recorder {
    /// Keeps the records in memory.
    #[must_use]
    pub fn in_memory(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            out: Mutex::new(Out::Memory(Vec::new())),
        }
    }

    /// Writes each record to a new file at once, where it outlives the process.
    ///
    /// # Errors
    ///
    /// If the file cannot be made.
    pub fn to_file(path: &Path) -> std::io::Result<Self> {
        Ok(Self {
            clock: Arc::new(MachineClock),
            out: Mutex::new(Out::File(File::create_new(path)?)),
        })
    }

    /// The records in memory, so far.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        match &*self.out.lock() {
            Out::Memory(records) => records.clone(),
            Out::File(_) => Vec::new(),
        }
    }

    /// The time now, in microseconds.
    #[must_use]
    pub fn now(&self) -> u64 {
        u64::try_from(self.clock.now().as_micros()).unwrap_or(u64::MAX)
    }

    /// Writes one record.
    ///
    /// # Panics
    ///
    /// If the file takes no more: a history with a hole proves nothing.
    pub fn write(&self, record: Record) {
        match &mut *self.out.lock() {
            Out::Memory(records) => records.push(record),
            Out::File(file) => {
                let mut line = serde_json::to_vec(&record).expect("a record is plain data");
                line.push(b'\n');
                file.write_all(&line).expect("the history can be written");
            }
        }
    }

    /// A send begins. Returns the message that carries the id.
    pub fn send_begins(&self, id: Id, channel: &ChannelName) -> Message {
        let (channel, at) = (channel.clone(), self.now());
        self.write(Record::SendBegins { id, channel, at });
        Content::encode(&id).expect("an id is plain data").into()
    }

    /// A send has ended.
    pub fn send_ended(&self, id: Id, sent: &Result<(), SendError>) -> Outcome {
        let outcome = match sent {
            Ok(()) => Outcome::Acked,
            Err(SendError::ChannelFull { .. }) => Outcome::Full,
            Err(SendError::Unavailable(Unavailable {
                outcome_unknown: true,
                ..
            })) => Outcome::Unknown,
            Err(_) => Outcome::Failed,
        };
        let at = self.now();
        self.write(Record::SendEnds { id, at, outcome });
        outcome
    }
}
