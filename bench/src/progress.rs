//! What is going on, on standard error, while it goes on.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use crate::record::Record;

/// Counts runs, and says what is next and how long all will take.
#[derive(Debug)]
pub(crate) struct Progress {
    began: Instant,
    runs: usize,
    done: usize,
    terminal: bool,
}

impl Progress {
    pub(crate) fn new(runs: usize) -> Self {
        Self {
            began: Instant::now(),
            runs,
            done: 0,
            terminal: std::io::stderr().is_terminal(),
        }
    }

    /// Shows what is being measured, where it can be overwritten.
    pub(crate) fn begin(&self, what: &str) {
        if self.terminal {
            write(&format!("\r\x1b[K{} {what} …", self.head()));
        }
    }

    /// Shows a run's figures.
    pub(crate) fn end(&mut self, what: &str, figures: &str) {
        self.done += 1;
        let over = if self.terminal { "\r\x1b[K" } else { "" };
        write(&format!("{over}{} {what}: {figures}\n", self.head()));
    }

    /// Runs that are not done after all.
    pub(crate) fn skip(&mut self, runs: usize) {
        self.runs -= runs.min(self.runs);
    }

    fn head(&self) -> String {
        let left = self.runs.saturating_sub(self.done);
        let each = self.began.elapsed() / u32::try_from(self.done.max(1)).unwrap_or(u32::MAX);
        let time = each * u32::try_from(left).unwrap_or(u32::MAX);
        let left = if self.done == 0 {
            String::new()
        } else {
            format!(", {} left", shown(time))
        };
        format!("[{}/{}{left}]", self.done, self.runs)
    }
}

fn shown(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds => format!("{} min", seconds.div_ceil(60)),
    }
}

/// Whoever started this may have stopped listening.
fn write(text: &str) {
    let mut out = std::io::stderr().lock();
    drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
}

/// A run's figures in one line.
pub(crate) fn figures(record: &Record) -> String {
    let mut parts = Vec::new();
    let mut add = |figure: Option<f64>, unit: &str| {
        parts.extend(figure.map(|figure| format!("{figure:.2} {unit}")));
    };
    add(record.per_second.map(f64::round), "/s");
    add(record.server_us, "us");
    add(record.p50_ms, "ms p50");
    add(record.p99_ms, "ms p99");
    add(record.beside_p99_ms, "ms p99 beside");
    add(record.rss_bytes.map(f64::round), "B/connection");
    add(record.generator_share, "cores of the generator");
    if !record.wrong.is_none() {
        parts.push(format!("WRONG: {:?}", record.wrong));
    }
    parts.extend(record.note.clone());
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_figures_that_there_are() {
        let record = Record {
            per_second: Some(100.0),
            p99_ms: Some(1.5),
            ..Record::default()
        };
        assert_eq!(figures(&record), "100.00 /s, 1.50 ms p99");
    }

    #[test]
    fn what_is_left_is_guessed_from_what_is_done() {
        let mut progress = Progress::new(3);
        assert_eq!(progress.head(), "[0/3]");
        progress.end("a", "b");
        assert!(progress.head().starts_with("[1/3, 0 s left]"));
        assert_eq!(shown(Duration::from_secs(121)), "3 min");
    }
}
