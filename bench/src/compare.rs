//! Runs the scenarios against the servers in turn, and prints what came out.

use std::io::Write as _;

use anyhow::Context as _;
use clap::ValueEnum as _;

use crate::measure::{self, Sample, Sizes};
use crate::process::{self, Contender};
use crate::scenario::Scenario;
use crate::stats::median;
use crate::traffic::Wrong;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// A server as NAME=COMMAND, with {port} where the command takes its port.
    #[arg(long = "server", required = true)]
    servers: Vec<Contender>,
    /// Scenarios to run, all by default.
    #[arg(long = "scenario", value_delimiter = ',')]
    scenarios: Vec<Scenario>,
    /// Runs of each scenario against each server; figures are their medians.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=21))]
    rounds: u8,
    #[command(flatten)]
    sizes: Sizes,
}

const HEAD: &str = "\
| scenario | server | per second | range | server CPU us | p50 ms | p99 ms \
| RSS/conn KiB | reads | generator us | other load, cores | wrong deliveries |
|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|";

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    process::raise_file_limit()?;
    let all = Scenario::value_variants();
    let scenarios = if options.scenarios.is_empty() {
        all
    } else {
        &options.scenarios
    };
    let mut out = std::io::stdout().lock();
    writeln!(out, "{HEAD}")?;
    for scenario in scenarios {
        let mut samples: Vec<Vec<Sample>> = options.servers.iter().map(|_| Vec::new()).collect();
        // The machine drifts, so each round asks every server within seconds.
        for _ in 0..options.rounds {
            for (contender, samples) in options.servers.iter().zip(&mut samples) {
                let sample = measure::measure(*scenario, contender, &options.sizes);
                samples.push(sample.with_context(|| {
                    format!("scenario {}, server {}", scenario.name(), contender.name)
                })?);
            }
        }
        for (contender, samples) in options.servers.iter().zip(&samples) {
            writeln!(
                out,
                "| {} | {} | {} |",
                scenario.name(),
                contender.name,
                row(samples)
            )?;
        }
        out.flush()?;
    }
    Ok(())
}

fn row(samples: &[Sample]) -> String {
    let middle = |figure: fn(&Sample) -> Option<f64>| median(samples.iter().filter_map(figure));
    let rates: Vec<f64> = samples
        .iter()
        .filter_map(|sample| sample.per_second)
        .collect();
    let slowest = rates.iter().copied().min_by(f64::total_cmp);
    let fastest = rates.iter().copied().max_by(f64::total_cmp);
    let range = match (slowest, fastest) {
        (None, None) => "-".to_owned(),
        _ => format!("{} to {}", rate(slowest), rate(fastest)),
    };
    let wrong: Vec<Wrong> = samples.iter().map(|sample| sample.wrong).collect();
    [
        rate(middle(|sample| sample.per_second)),
        range,
        decimals(middle(|sample| sample.server_us)),
        decimals(middle(|sample| sample.p50_ms)),
        decimals(middle(|sample| sample.p99_ms)),
        decimals(middle(|sample| sample.rss_kib)),
        decimals(middle(|sample| sample.reads)),
        decimals(middle(|sample| sample.generator_us)),
        decimals(middle(|sample| sample.other_cores)),
        faults(&wrong),
    ]
    .join(" | ")
}

fn rate(per_second: Option<f64>) -> String {
    match per_second {
        None => "-".into(),
        Some(rate) if rate < 10_000.0 => format!("{rate:.0}"),
        Some(rate) => format!("{:.0}k", rate / 1000.0),
    }
}

fn decimals(figure: Option<f64>) -> String {
    match figure {
        None => "-".into(),
        Some(figure) if figure.abs() < 10.0 => format!("{figure:.2}"),
        Some(figure) => format!("{figure:.0}"),
    }
}

fn faults(runs: &[Wrong]) -> String {
    let sum = |fault: fn(&Wrong) -> u64| runs.iter().map(fault).sum::<u64>();
    let kinds = [
        ("lost", sum(|wrong| wrong.lost)),
        ("repeated", sum(|wrong| wrong.repeated)),
        ("out of order", sum(|wrong| wrong.out_of_order)),
        ("misrouted", sum(|wrong| wrong.misrouted)),
        ("malformed", sum(|wrong| wrong.malformed)),
        ("connections closed", sum(|wrong| wrong.closed)),
    ];
    let found: Vec<String> = kinds
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(kind, count)| format!("{count} {kind}"))
        .collect();
    if found.is_empty() {
        "none".into()
    } else {
        found.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_shows_medians_and_sums_what_was_wrong() {
        let sample = |rate: f64, lost| Sample {
            per_second: Some(rate),
            server_us: None,
            p50_ms: Some(0.08),
            wrong: Wrong {
                lost,
                closed: 1,
                ..Wrong::default()
            },
            ..Sample::default()
        };
        let row = row(&[sample(1_000.0, 2), sample(86_400.0, 0), sample(99_000.0, 5)]);
        assert_eq!(
            row,
            "86k | 1000 to 99k | - | 0.08 | - | - | - | - | - | 7 lost, 3 connections closed"
        );
        assert_eq!(faults(&[Wrong::default()]), "none");
    }
}
