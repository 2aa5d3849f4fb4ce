//! What was sent and received in a test, for the one who reads its failure.

use std::collections::VecDeque;
use std::fmt;
use std::panic::Location;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

/// Lines that are kept; the oldest go first.
const LINES_MAX: usize = 500;

/// Characters of a payload that are shown.
const SHOWN_MAX: usize = 300;

/// The record of one test application; clones are the same record.
#[derive(Clone)]
pub(super) struct Record {
    inner: Arc<Mutex<Inner>>,
    started: Instant,
}

#[derive(Default)]
struct Inner {
    lines: VecDeque<String>,
    forgotten: usize,
}

impl Record {
    pub(super) fn new() -> Self {
        Self {
            inner: Arc::default(),
            started: Instant::now(),
        }
    }

    /// Adds a line with the time.
    pub(super) fn note(&self, what: impl fmt::Display) {
        let at = self.started.elapsed().as_secs_f64();
        let line = format!("{at:9.3} s  {what}");
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.lines.len() >= LINES_MAX {
            inner.lines.pop_front();
            inner.forgotten += 1;
        }
        inner.lines.push_back(line);
    }

    /// Fails the test with a message and the record.
    pub(super) fn fail(&self, at: &Location<'_>, message: impl fmt::Display) -> ! {
        panic!("{message}\n  in the test: {at}\n{self}")
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        f.write_str("  the conversation so far:\n")?;
        if inner.forgotten > 0 {
            writeln!(f, "             … {} lines before", inner.forgotten)?;
        }
        for line in &inner.lines {
            writeln!(f, "{line}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record").finish_non_exhaustive()
    }
}

/// A payload, as far as it is shown.
pub(super) fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!(
            "{:?}… ({} bytes)",
            text.get(..end).unwrap_or(""),
            text.len()
        ),
        None => format!("{text:?}"),
    }
}

/// Bytes, as far as they are shown.
pub(super) fn shown_bytes(bytes: &[u8]) -> String {
    let head = bytes.get(..SHOWN_MAX).unwrap_or(bytes);
    let more = if head.len() < bytes.len() { "…" } else { "" };
    format!("b\"{}\"{more} ({} bytes)", head.escape_ascii(), bytes.len())
}
