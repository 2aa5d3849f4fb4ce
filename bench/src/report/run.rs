//! A run as it stands in its JSON file.

use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::record::{Record, Wrong};

use super::spread::Spread;

/// One figure of a record.
pub(super) type Figure = fn(&Record) -> Option<f64>;

/// All that one run has shown.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Run {
    /// Where and when.
    pub(crate) about: About,
    /// The servers, in the order of the tables.
    pub(crate) servers: Vec<ServerNote>,
    /// Those that were asked for and could not be had.
    pub(crate) missing: Vec<ServerNote>,
    /// Every run of every scenario against every server.
    pub(crate) records: Vec<Record>,
}

/// Where and when a run was, for its heading. What is empty is left out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct About {
    /// Processor, cores, memory and system.
    pub(crate) machine: String,
    /// The day, `2026-11-21`.
    pub(crate) date: String,
    /// The commit that was built, with `+` if the tree had changes.
    pub(crate) commit: String,
    /// The command line.
    pub(crate) command: String,
}

/// One line about a server: what it is, or why it is not there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct ServerNote {
    /// Its name in the records.
    pub(crate) name: String,
    /// The line.
    pub(crate) note: String,
}

impl Run {
    /// Reads a run, or a list of records.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or is neither.
    pub(crate) fn read(file: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("{} cannot be read", file.display()))?;
        Self::parse(&text).with_context(|| {
            let file = file.display();
            format!("{file} holds neither a run nor a list of records")
        })
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        // Told apart by its kind, so that an error names the field that is wrong.
        if text.trim_start().starts_with('[') {
            let records = serde_json::from_str(text)?;
            return Ok(Self {
                records,
                ..Self::default()
            });
        }
        Ok(serde_json::from_str(text)?)
    }

    /// The run as text for a file.
    ///
    /// # Errors
    ///
    /// If it cannot be serialised.
    pub(crate) fn to_json(&self) -> anyhow::Result<String> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        Ok(text)
    }

    /// The scenarios, in the order in which they were run.
    pub(super) fn scenarios(&self) -> Vec<&str> {
        distinct(self.records.iter().map(|record| record.scenario.as_str()))
    }

    /// The servers that have records, in the order of the tables.
    pub(super) fn measured(&self) -> Vec<&str> {
        let listed = self.servers.iter().map(|server| server.name.as_str());
        let found = self.records.iter().map(|record| record.server.as_str());
        let all = distinct(listed.chain(found));
        let has_records = |name: &&str| self.records.iter().any(|it| it.server == *name);
        all.into_iter().filter(has_records).collect()
    }

    /// The rounds, in their order.
    pub(super) fn rounds(&self) -> Vec<Round<'_>> {
        let mut numbers: Vec<u32> = self.records.iter().map(|record| record.round).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let round = |number| Round { run: self, number };
        numbers.into_iter().map(round).collect()
    }
}

/// One round: all servers in turn, within seconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Round<'a> {
    run: &'a Run,
    number: u32,
}

impl<'a> Round<'a> {
    pub(super) fn records(self) -> impl Iterator<Item = &'a Record> {
        let all = self.run.records.iter();
        all.filter(move |record| record.round == self.number)
    }

    pub(super) fn take(self, scenario: &str, server: &str, figure: Figure) -> Option<f64> {
        self.records()
            .find(|record| record.scenario == scenario && record.server == server)
            .and_then(figure)
    }
}

/// One server in one scenario, over all rounds.
#[derive(Debug)]
pub(super) struct Row<'a> {
    pub(super) server: &'a str,
    records: Vec<&'a Record>,
}

impl<'a> Row<'a> {
    /// `None` if the server took no part.
    pub(super) fn of(run: &'a Run, scenario: &str, server: &'a str) -> Option<Self> {
        let of_both = |record: &&Record| record.scenario == scenario && record.server == server;
        let records: Vec<&Record> = run.records.iter().filter(of_both).collect();
        (!records.is_empty()).then_some(Self { server, records })
    }

    pub(super) fn spread(&self, figure: Figure) -> Option<Spread> {
        Spread::of(self.records.iter().filter_map(|record| figure(record)))
    }

    pub(super) fn median(&self, figure: Figure) -> Option<f64> {
        self.spread(figure).map(|spread| spread.median)
    }

    /// What was odd, each once.
    pub(super) fn notes(&self) -> Vec<&'a str> {
        distinct(self.records.iter().filter_map(|it| it.note.as_deref()))
    }

    /// What was wrong, over all rounds.
    pub(super) fn wrong(&self) -> Wrong {
        let sum = |fault: fn(&Wrong) -> u64| {
            let wrong = self.records.iter().map(|record| &record.wrong);
            wrong.map(fault).sum()
        };
        Wrong {
            lost: sum(|wrong| wrong.lost),
            repeated: sum(|wrong| wrong.repeated),
            out_of_order: sum(|wrong| wrong.out_of_order),
            misrouted: sum(|wrong| wrong.misrouted),
            malformed: sum(|wrong| wrong.malformed),
            closed: sum(|wrong| wrong.closed),
        }
    }
}

/// Each once, in the order of the first time.
fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut distinct = Vec::new();
    for name in names {
        if !distinct.contains(&name) {
            distinct.push(name);
        }
    }
    distinct
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture::record;

    #[test]
    fn a_run_survives_its_file_and_records_alone_are_one_too() {
        let run = Run {
            about: About {
                date: "2026-11-21".into(),
                ..About::default()
            },
            records: vec![record("echo", "axum", 1)],
            ..Run::default()
        };
        let text = run.to_json().unwrap();
        assert_eq!(Run::parse(&text).unwrap(), run);
        let alone = serde_json::to_string(&run.records).unwrap();
        assert_eq!(Run::parse(&alone).unwrap().records, run.records);
        assert!(Run::parse("7").is_err());
    }

    #[test]
    fn servers_stand_in_the_order_of_the_list_and_only_if_measured() {
        let note = |name: &str| ServerNote {
            name: name.into(),
            note: String::new(),
        };
        let run = Run {
            servers: vec![note("towpath"), note("nchan")],
            records: vec![record("echo", "axum", 2), record("echo", "towpath", 1)],
            ..Run::default()
        };
        assert_eq!(run.measured(), ["towpath", "axum"]);
        let rounds: Vec<u32> = run.rounds().iter().map(|round| round.number).collect();
        assert_eq!(rounds, [1, 2]);
    }
}
