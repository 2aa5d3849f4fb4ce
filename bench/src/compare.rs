//! Runs the scenarios against the servers in turn, and writes what came out.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::ValueEnum as _;

use crate::contender::Contender;
use crate::contenders::{self, Asked};
use crate::plan::Sizes;
use crate::progress::{self, Progress};
use crate::report::{self, About, Run, ServerNote};
use crate::scenario::Scenario;
use crate::{groups, layer, measure};

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Servers: names of known ones, or NAME=COMMAND with {port} where the command takes
    /// its port; may be repeated.
    #[arg(
        long = "server",
        default_values = ["towpath", "floor", "floor-coalesced", "axum"]
    )]
    servers: Vec<Asked>,
    /// Scenarios to run, all by default.
    #[arg(long = "scenario", value_delimiter = ',')]
    scenarios: Vec<Scenario>,
    /// Rounds; in each of them every server is asked in turn.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: u32,
    /// Write every record here, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the results and the plots into this folder.
    #[arg(long, value_name = "FOLDER")]
    write: Option<PathBuf>,
    /// Measure the channel layers without sockets, too; they need redis-server.
    #[arg(long)]
    layers: bool,
    /// Fail if anything was lost, repeated, out of order or closed with this server.
    #[arg(long, value_name = "NAME")]
    strict: Vec<String>,
    /// Where what is installed for the peers stays.
    #[arg(long, value_name = "FOLDER", default_value = "target/bench-peers")]
    cache: PathBuf,
    #[command(flatten)]
    sizes: Sizes,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    towpath_load::raise_file_limit(0)?;
    groups::watch()?;
    let (contenders, missing) = contenders::prepare(&options.servers, &options.cache)?;
    for missing in &missing {
        eprintln!("{} is missing: {}", missing.name, missing.reason);
    }
    let command = std::env::args().skip(1).collect::<Vec<_>>().join(" ");
    let mut comparison = Comparison {
        run: Run {
            about: About::here(format!("towpath-bench {command}")),
            servers: notes(contenders.iter().map(|it| (&it.name, &it.about))),
            missing: notes(missing.iter().map(|it| (&it.name, &it.reason))),
            records: Vec::new(),
        },
        failed: Vec::new(),
        options,
    };
    comparison.all(&contenders)?;
    comparison.finish()
}

fn notes<'a>(notes: impl Iterator<Item = (&'a String, &'a String)>) -> Vec<ServerNote> {
    let note = |(name, note): (&String, &String)| ServerNote {
        name: name.clone(),
        note: note.clone(),
    };
    notes.map(note).collect()
}

struct Comparison<'a> {
    run: Run,
    /// Runs that were none, with the reason.
    failed: Vec<String>,
    options: &'a Options,
}

impl Comparison<'_> {
    fn all(&mut self, contenders: &[Contender]) -> anyhow::Result<()> {
        let scenarios = match self.options.scenarios.as_slice() {
            [] => Scenario::value_variants(),
            scenarios => scenarios,
        };
        let able = |scenario: &Scenario| contenders.iter().filter(|it| it.can(*scenario)).count();
        let rounds = self.options.rounds as usize;
        let mut progress = Progress::new(scenarios.iter().map(able).sum::<usize>() * rounds);
        for scenario in scenarios {
            let mut asked: Vec<&Contender> =
                contenders.iter().filter(|it| it.can(*scenario)).collect();
            // The machine drifts, so each round asks every server within seconds.
            for round in 1..=self.options.rounds {
                asked.retain(|contender| {
                    let good = self.one(*scenario, contender, round, &mut progress);
                    if !good {
                        progress.skip((self.options.rounds - round) as usize);
                    }
                    good
                });
            }
            self.save()?;
        }
        if self.options.layers {
            self.layers();
        }
        self.save()
    }

    fn layers(&mut self) {
        let sizes = layer::Sizes::default();
        for round in 1..=self.options.rounds {
            eprintln!("layers, round {round} of {}", self.options.rounds);
            let records = &mut self.run.records;
            let done = layer::memory(&sizes, round, records)
                .and_then(|()| layer::redis(&sizes, round, records));
            if let Err(error) = done {
                self.failed.push(format!("layers: {error:#}"));
                return;
            }
            if let Err(error) = layer::channels(&sizes, round, &self.options.cache, records) {
                eprintln!("channels-redis is missing: {error:#}");
                let (name, note) = ("channels-redis".to_owned(), format!("{error:#}"));
                self.run.missing.push(ServerNote { name, note });
                return;
            }
        }
    }

    /// Measures once; false if that was not possible.
    fn one(
        &mut self,
        scenario: Scenario,
        contender: &Contender,
        round: u32,
        progress: &mut Progress,
    ) -> bool {
        let rounds = self.options.rounds;
        let (name, server) = (scenario.name(), &contender.name);
        let what = format!("{name}, round {round} of {rounds}, {server}");
        progress.begin(&what);
        match measure::measure(scenario, contender, &self.options.sizes.plan(scenario)) {
            Ok(mut record) => {
                record.round = round;
                progress.end(&what, &progress::figures(&record));
                self.run.records.push(record);
                true
            }
            Err(error) => {
                progress.end(&what, &format!("FAILED: {error:#}"));
                self.failed
                    .push(format!("scenario {name}, server {server}: {error:#}"));
                false
            }
        }
    }

    fn save(&self) -> anyhow::Result<()> {
        let Some(file) = &self.options.json else {
            return Ok(());
        };
        write(file, &self.run.to_json()?)
    }

    fn finish(&self) -> anyhow::Result<()> {
        write!(std::io::stdout(), "{}", report::markdown(&self.run))?;
        if let Some(folder) = &self.options.write {
            report::write(&self.run, folder)?;
        }
        let mut bad = self.failed.clone();
        for record in &self.run.records {
            if self.options.strict.contains(&record.server) && !record.wrong.is_none() {
                bad.push(format!(
                    "scenario {}, server {}, round {}: {:?}",
                    record.scenario, record.server, record.round, record.wrong
                ));
            }
        }
        if !bad.is_empty() {
            bail!("not everything was right:\n{}", bad.join("\n"));
        }
        Ok(())
    }
}

fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(file, text).with_context(|| format!("{} cannot be written", file.display()))
}
