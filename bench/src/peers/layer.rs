//! channels_redis without sockets, to set beside `towpath-bench layer`.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use super::cache::Cache;
use super::channels;

/// How long all cases together may take.
const MEASURE_WAIT: Duration = Duration::from_secs(300);

/// What one case has cost.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct LayerFigure {
    /// What was done, in words.
    pub(crate) case: String,
    /// Messages received, by all receivers together.
    pub(crate) messages: u32,
    /// The time it took.
    pub(crate) seconds: f64,
    /// Processor time of the Python process, sender and receivers in one.
    pub(crate) cpu_seconds: f64,
    /// Processor time of Redis.
    pub(crate) redis_cpu_seconds: f64,
}

impl LayerFigure {
    /// Messages received in a second.
    pub(crate) fn per_second(&self) -> f64 {
        f64::from(self.messages) / self.seconds
    }

    /// A time of this case divided among its messages, in microseconds.
    pub(crate) fn each_us(&self, seconds: f64) -> f64 {
        seconds * 1e6 / f64::from(self.messages)
    }
}

/// Sends and receives `messages` messages of 130 bytes over channels_redis on the Redis
/// at `url`, which is emptied of the layer's keys, one after the other and many at once; then
/// a hundred messages to a group of 10 and to one of 100, all of whose members receive.
///
/// # Errors
///
/// If the parts cannot be had, a message is lost, or all has not ended after 5 minutes.
pub(crate) fn channels_redis(
    cache: &Path,
    url: &str,
    messages: u32,
) -> anyhow::Result<Vec<LayerFigure>> {
    let cache = Cache::open(cache)?;
    let (folder, python) = channels::installed(&cache)?;
    let mut command = Command::new(python);
    command
        .args(["layer.py", url, "--messages", &messages.to_string()])
        .current_dir(folder);
    let answer = cache.steps.answer_within(&mut command, MEASURE_WAIT)?;
    figures(&answer)
}

/// The figures as a Markdown table.
pub(crate) fn table(figures: &[LayerFigure]) -> String {
    let mut table = "| channels_redis | messages a second | Python us each | Redis us each |\n\
                     |---|--:|--:|--:|\n"
        .to_owned();
    for figure in figures {
        table.push_str(&format!(
            "| {} | {:.0} | {:.1} | {:.1} |\n",
            figure.case,
            figure.per_second(),
            figure.each_us(figure.cpu_seconds),
            figure.each_us(figure.redis_cpu_seconds),
        ));
    }
    table
}

/// A line each; other lines are warnings.
fn figures(answer: &str) -> anyhow::Result<Vec<LayerFigure>> {
    let lines = answer.lines().filter(|line| line.starts_with('{'));
    let figures: Vec<LayerFigure> = lines
        .map(|line| serde_json::from_str(line).context("layer.py's figures"))
        .collect::<Result<_, _>>()?;
    ensure!(!figures.is_empty(), "layer.py has no figures: {answer}");
    Ok(figures)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_a_line_each() {
        let line = r#"{"case": "group of 10", "messages": 1000, "seconds": 0.16,
            "cpu_seconds": 0.1, "redis_cpu_seconds": 0.01}"#
            .replace('\n', "");
        let read = figures(&format!("a warning\n{line}\n{line}")).unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!(read[1].messages, 1000);
        let expected = "| group of 10 | 6250 | 100.0 | 10.0 |\n";
        assert!(table(&read[1..]).ends_with(expected), "{}", table(&read));
        assert!(figures("Traceback (most recent call last):").is_err());
    }
}
