//! Plots against the number of connections: throughput, latency, memory.

mod colour;
mod draw;

use super::run::{Figure, Row, Run};

/// One plot, as a file.
#[derive(Debug)]
pub(super) struct Plot {
    pub(super) file: &'static str,
    pub(super) title: &'static str,
    /// The picture.
    pub(super) svg: String,
}

/// What is plotted.
struct Subject {
    file: &'static str,
    title: &'static str,
    /// The scenarios that differ in their number of connections alone.
    family: &'static str,
    panels: &'static [Panel],
}

/// One of the panels side by side.
struct Panel {
    title: &'static str,
    figure: Figure,
}

const SUBJECTS: [Subject; 4] = [
    Subject {
        file: "throughput.svg",
        title: "Throughput of a fan-out, 4 messages on their way",
        family: "fan-out",
        panels: &[Panel {
            title: "deliveries a second",
            figure: |record| record.per_second,
        }],
    },
    Subject {
        file: "cost.svg",
        title: "Processor time of a fan-out, 4 messages on their way",
        family: "fan-out",
        panels: &[Panel {
            title: "µs of the server for a delivery",
            figure: |record| record.server_us,
        }],
    },
    Subject {
        file: "latency.svg",
        title: "Latency of a fan-out at about 10 000 deliveries a second",
        family: "fan-out-rate",
        panels: &[
            Panel {
                title: "p50, ms",
                figure: |record| record.p50_ms,
            },
            Panel {
                title: "p99, ms",
                figure: |record| record.p99_ms,
            },
        ],
    },
    Subject {
        file: "memory.svg",
        title: "Resident memory of an idle connection",
        family: "idle",
        panels: &[Panel {
            title: "bytes a connection",
            figure: |record| record.rss_bytes,
        }],
    },
];

/// The line of one server.
#[derive(Debug, PartialEq)]
struct Line<'a> {
    server: &'a str,
    /// Connections and figure, by connections.
    points: Vec<(f64, f64)>,
}

/// The plots that a run has the records for.
///
/// # Errors
///
/// If one cannot be drawn.
pub(super) fn plots(run: &Run) -> anyhow::Result<Vec<Plot>> {
    let mut plots = Vec::new();
    for subject in &SUBJECTS {
        let panels: Vec<_> = subject
            .panels
            .iter()
            .map(|panel| (panel.title, lines(run, subject.family, panel.figure)))
            .collect();
        if panels.iter().any(|(_, lines)| is_sweep(lines)) {
            plots.push(Plot {
                file: subject.file,
                title: subject.title,
                svg: draw::svg(subject.title, &panels)?,
            });
        }
    }
    Ok(plots)
}

/// Whether there is more than one number of connections to draw a line between.
fn is_sweep(lines: &[Line<'_>]) -> bool {
    lines.iter().any(|line| line.points.len() > 1)
}

/// A line for each server that has a figure; a point is the median over the rounds.
fn lines<'a>(run: &'a Run, family: &str, figure: Figure) -> Vec<Line<'a>> {
    let mut scenarios: Vec<(u32, &str)> = run
        .records
        .iter()
        .filter(|record| record.family == family)
        .map(|record| (record.connections, record.scenario.as_str()))
        .collect();
    scenarios.sort_unstable();
    scenarios.dedup();
    let line = |server| Line {
        server,
        points: scenarios
            .iter()
            .filter_map(|(connections, scenario)| {
                let median = Row::of(run, scenario, server)?.median(figure)?;
                // There is no place on a logarithmic scale for nothing and less.
                (median > 0.0).then_some((f64::from(*connections), median))
            })
            .collect(),
    };
    let lines = run.measured().into_iter().map(line);
    lines.filter(|line| !line.points.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Record;
    use crate::report::fixture::rate;

    fn sweep(server: &str, connections: u32, round: u32, per_second: f64) -> Record {
        Record {
            family: "fan-out".into(),
            connections,
            ..rate(&format!("fan-out-{connections}"), server, round, per_second)
        }
    }

    #[test]
    fn a_line_has_the_median_at_each_number_of_connections() {
        let mut idle = rate("idle-1k", "towpath", 1, 5.0);
        idle.family = "idle".into();
        let run = Run {
            records: vec![
                sweep("towpath", 1000, 1, 500.0),
                sweep("towpath", 100, 1, 100.0),
                sweep("towpath", 100, 2, 300.0),
                sweep("axum", 1000, 1, 0.0),
                idle,
            ],
            ..Run::default()
        };
        let expected = Line {
            server: "towpath",
            points: vec![(100.0, 200.0), (1000.0, 500.0)],
        };
        assert_eq!(lines(&run, "fan-out", |it| it.per_second), [expected]);
        let plots = plots(&run).unwrap();
        let files: Vec<_> = plots.iter().map(|plot| plot.file).collect();
        assert_eq!(files, ["throughput.svg"]);
    }

    #[test]
    fn a_picture_has_a_line_and_a_name_for_each_server_as_text() {
        let servers = ["towpath", "floor", "a server without a colour of its own"];
        let mut records = Vec::new();
        for (server, at) in servers.into_iter().zip(1_u32..) {
            for connections in [101, 1001, 3001, 10_001] {
                let rate = f64::from(at * 100_000 + connections);
                records.push(sweep(server, connections, 1, rate));
            }
        }
        let run = Run {
            records,
            ..Run::default()
        };
        let plots = plots(&run).unwrap();
        let svg = &plots.first().unwrap().svg;
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        for text in servers.into_iter().chain(["10 000", "connections"]) {
            assert!(svg.contains(&format!(">\n{text}\n")), "{text}: {svg}");
        }
        assert!(!svg.contains("@font-face") && !svg.contains("<image"));
    }
}
