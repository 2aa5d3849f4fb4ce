//! A Markdown table for each scenario.

use std::fmt::Write as _;

use crate::record::Wrong;

use super::format::{self, NOTHING};
use super::run::{Figure, Row, Run};

/// A column with one figure: its median over the rounds.
struct Column {
    head: &'static str,
    figure: Figure,
    show: fn(f64) -> String,
}

const COLUMNS: [Column; 12] = [
    column("server s/M", |it| it.server_us, format::short),
    column("Redis s/M", |it| it.side_us, format::short),
    column("p50 ms", |it| it.p50_ms, format::short),
    column("p90 ms", |it| it.p90_ms, format::short),
    column("p99 ms", |it| it.p99_ms, format::short),
    column("p99.9 ms", |it| it.p999_ms, format::short),
    column("p99 beside ms", |it| it.beside_p99_ms, format::short),
    column("bytes/connection", |it| it.rss_bytes, format::grouped),
    column("reads/delivery", |it| it.reads, format::short),
    column("generator s/M", |it| it.generator_us, format::short),
    column("generator", |it| it.generator_share, format::percent),
    column("other load, cores", |it| it.other_cores, format::short),
];

const fn column(head: &'static str, figure: Figure, show: fn(f64) -> String) -> Column {
    Column { head, figure, show }
}

/// A heading and a table for each scenario, in the order in which they were run.
pub(super) fn tables(run: &Run) -> String {
    let mut out = String::new();
    for scenario in run.scenarios() {
        let rows: Vec<Row<'_>> = run
            .measured()
            .into_iter()
            .filter_map(|server| Row::of(run, scenario, server))
            .collect();
        let (table, notes) = (table(&rows), notes(&rows));
        // Writing to a string cannot fail.
        write!(out, "### {scenario}\n\n{table}\n{notes}").unwrap_or_default();
    }
    out
}

/// What was odd about the runs, server by server.
fn notes(rows: &[Row<'_>]) -> String {
    let notes = rows.iter().flat_map(|row| {
        let notes = row.notes().into_iter();
        notes.map(move |note| format!("- `{}`: {note}\n", row.server))
    });
    let notes: String = notes.collect();
    if notes.is_empty() {
        notes
    } else {
        format!("{notes}\n")
    }
}

/// Columns in which no server has a figure are left out.
fn table(rows: &[Row<'_>]) -> String {
    let shown: Vec<&Column> = COLUMNS
        .iter()
        .filter(|column| rows.iter().any(|row| row.median(column.figure).is_some()))
        .collect();
    let heads = shown.iter().map(|column| column.head);
    let rules = shown.iter().map(|_| "--:");
    let mut lines = vec![
        line(
            ["server", "per second", "range"]
                .into_iter()
                .chain(heads)
                .chain(["wrong"]),
        ),
        line(
            ["---", "--:", "--:"]
                .into_iter()
                .chain(rules)
                .chain(["---"]),
        ),
    ];
    for row in rows {
        let (median, range) = rate(row);
        let figures = shown.iter().map(|column| {
            let median = row.median(column.figure);
            median.map_or_else(|| NOTHING.to_owned(), column.show)
        });
        let cells = [row.server.to_owned(), median, range].into_iter();
        lines.push(line(cells.chain(figures).chain([wrong(row.wrong())])));
    }
    lines.concat()
}

fn line<S: AsRef<str>>(cells: impl Iterator<Item = S>) -> String {
    let mut line = String::from("|");
    for cell in cells {
        line.push(' ');
        line.push_str(cell.as_ref());
        line.push_str(" |");
    }
    line.push('\n');
    line
}

fn rate(row: &Row<'_>) -> (String, String) {
    match row.spread(|record| record.per_second) {
        None => (NOTHING.into(), NOTHING.into()),
        Some(spread) => {
            let (least, most) = (format::rate(spread.least), format::rate(spread.most));
            (format::rate(spread.median), format!("{least} to {most}"))
        }
    }
}

/// Deliveries that were wrong, by kind.
pub(super) fn wrong(wrong: Wrong) -> String {
    let kinds = [
        ("lost", wrong.lost),
        ("repeated", wrong.repeated),
        ("out of order", wrong.out_of_order),
        ("misrouted", wrong.misrouted),
        ("malformed", wrong.malformed),
        ("connections closed", wrong.closed),
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
    use crate::record::Record;
    use crate::report::fixture::{rate, record};

    #[test]
    fn a_table_has_medians_sums_what_was_wrong_and_leaves_empty_columns_out() {
        let mut records = vec![
            rate("echo", "towpath", 1, 1_000.0),
            rate("echo", "towpath", 2, 99_000.0),
            rate("echo", "towpath", 3, 86_400.0),
            Record {
                note: Some("two of 10 000 were refused".into()),
                ..record("echo", "axum", 1)
            },
        ];
        for (at, record) in records.iter_mut().enumerate() {
            record.p50_ms = (at < 3).then_some(0.08 * (at + 1) as f64);
            record.wrong.lost = 2;
        }
        let run = Run {
            records,
            ..Run::default()
        };
        let expected = "### echo\n\n\
            | server | per second | range | p50 ms | wrong |\n\
            | --- | --: | --: | --: | --- |\n\
            | towpath | 86k | 1000 to 99k | 0.16 | 6 lost |\n\
            | axum | - | - | - | 2 lost |\n\n\
            - `axum`: two of 10 000 were refused\n\n";
        assert_eq!(tables(&run), expected);
    }

    #[test]
    fn each_scenario_has_only_its_servers() {
        let run = Run {
            records: vec![
                record("echo", "towpath", 1),
                Record {
                    side_us: Some(0.5),
                    ..record("rooms-200", "towpath-redis", 1)
                },
            ],
            ..Run::default()
        };
        let tables = tables(&run);
        let (echo, rooms) = tables.split_once("### rooms-200").unwrap();
        assert!(!echo.contains("Redis") && rooms.contains("Redis s/M"));
        assert!(!rooms.contains("| towpath |"));
    }
}
