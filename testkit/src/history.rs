//! What senders and receivers saw, and whether it keeps the contract.
//!
//! A [`Recorder`] writes down every send and every message that was handed
//! out, with the time on a clock that all processes of a run share. It writes
//! before and after each send, one JSON line at once, so that what a process
//! that is killed saw is on disk up to the last thing it did. [`History`]
//! gathers the records of all, and [`check`](History::check) says what was
//! lost, doubled, reordered, late or too much.
//!
//! [`storm`] makes such a history on any [`Backend`](crate::Backend): many
//! senders and receivers at once, receives that are dropped half-way.

mod check;
mod recorder;
mod storm;

use std::path::Path;

use serde::{Deserialize, Serialize};
use towpath_layer_core::ChannelName;

pub use check::{Rules, Verdict};
pub use recorder::{MachineClock, Recorder};
pub use storm::{Receiving, Storm, receive_all, send_all, storm};

/// One message of one sender; the numbers of a sender count up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Id {
    /// Who sent it.
    pub sender: u32,
    /// Which of the sender's messages it is.
    pub number: u64,
}

/// How a send ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The layer has it.
    Acked,
    /// The channel was full.
    Full,
    /// The layer does not have it.
    Failed,
    /// The answer was lost: the layer may have it or not.
    Unknown,
}

/// One thing that happened. Times are microseconds on the run's clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum Record {
    /// A send begins. Each try of a message is a message of its own.
    SendBegins {
        /// The message.
        id: Id,
        /// Where to.
        channel: ChannelName,
        /// When.
        at: u64,
    },
    /// A send has ended; missing if its process died before.
    SendEnds {
        /// The message.
        id: Id,
        /// When.
        at: u64,
        /// How.
        outcome: Outcome,
    },
    /// A message was handed out.
    Received {
        /// The message.
        id: Id,
        /// Where from.
        channel: ChannelName,
        /// Who received it.
        receiver: u32,
        /// When the receive that gave it began.
        began: u64,
        /// When it gave it.
        at: u64,
    },
}

/// The records of everybody who took part in a run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct History {
    records: Vec<Record>,
}

impl History {
    /// A history of these records; those of one receiver stand in their order.
    #[must_use]
    pub fn new(records: Vec<Record>) -> Self {
        Self { records }
    }

    /// Reads the files that recorders wrote. The last line of a process that
    /// was killed may be torn; it is left out.
    ///
    /// # Errors
    ///
    /// If a file cannot be read, or holds anything else.
    pub fn read<P: AsRef<Path>>(files: impl IntoIterator<Item = P>) -> anyhow::Result<Self> {
        let mut records = Vec::new();
        for file in files {
            let text = std::fs::read_to_string(file)?;
            let whole = text.rfind('\n').map_or("", |end| &text[..end]);
            for line in whole.lines() {
                records.push(serde_json::from_str(line)?);
            }
        }
        Ok(Self { records })
    }

    /// The records.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// Finds what breaks the contract.
    #[must_use]
    pub fn check(&self, rules: &Rules) -> Verdict {
        check::check(&self.records, rules)
    }
}
