//! Which of the figures to reach were reached.

use super::format::{self, NOTHING};
use super::goals::{self, Bound, Goal};
use super::run::Run;
use super::spread::Spread;

/// So many pairs make a figure.
const PAIRS_MIN: usize = 5;

const HEAD: &str = "\
| point | figure | median | lowest to highest | pairs | bound | holds |
|--:|---|--:|--:|--:|--:|---|
";

/// A table of the figures to reach; `None` if the run has not one of them.
pub(super) fn table(run: &Run) -> Option<String> {
    let spreads: Vec<(&Goal, Option<Spread>)> = goals::all()
        .map(|goal| {
            let takes = run.rounds().into_iter().filter_map(goal.measure);
            (goal, Spread::of(takes))
        })
        .collect();
    spreads.iter().find(|(_, spread)| spread.is_some())?;
    let rows = spreads.into_iter().map(|(goal, spread)| row(goal, spread));
    Some([HEAD.to_owned()].into_iter().chain(rows).collect())
}

fn row(goal: &Goal, spread: Option<Spread>) -> String {
    let (point, what, bound) = (goal.point, goal.what, bound(goal.bound));
    let Some(spread) = spread else {
        return format!(
            "| {point} | {what} | {NOTHING} | {NOTHING} | 0 | {bound} | not measured |\n"
        );
    };
    let show = if matches!(goal.bound, Bound::Nothing) {
        format::grouped
    } else {
        format::short
    };
    let [median, least, most] = [spread.median, spread.least, spread.most].map(show);
    let pairs = spread.count;
    let holds = holds(goal.bound, spread);
    format!("| {point} | {what} | {median} | {least} to {most} | {pairs} | {bound} | {holds} |\n")
}

fn bound(bound: Bound) -> String {
    match bound {
        Bound::AtMost(most) => format!("≤ {}", format::short(most)),
        Bound::Below(limit) => format!("< {}", format::short(limit)),
        Bound::AtLeast(least) => format!("≥ {}", format::short(least)),
        Bound::Above(limit) => format!("> {}", format::short(limit)),
        Bound::Nothing => "0".to_owned(),
    }
}

/// A bound holds when the lower end of the spread meets it; what must not happen may
/// not have happened once.
fn holds(bound: Bound, spread: Spread) -> String {
    let low = spread.least;
    let is_met = match bound {
        Bound::AtMost(most) => low <= most,
        Bound::Below(limit) => low < limit,
        Bound::AtLeast(least) => low >= least,
        Bound::Above(limit) => low > limit,
        Bound::Nothing => spread.most <= 0.0,
    };
    let answer = if is_met { "yes" } else { "**no**" };
    if spread.count < PAIRS_MIN {
        format!("{answer}, of {} only", spread.count)
    } else {
        answer.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture::cost;

    fn spread(least: f64, most: f64, count: usize) -> Spread {
        Spread {
            least,
            median: f64::midpoint(least, most),
            most,
            count,
        }
    }

    #[test]
    fn a_bound_holds_when_the_lower_end_meets_it() {
        let cases = [
            (Bound::AtMost(1.10), 1.10, 1.5, "yes"),
            (Bound::AtMost(1.10), 1.11, 1.5, "**no**"),
            (Bound::Below(9.0), 9.0, 9.5, "**no**"),
            (Bound::Below(9.0), 8.9, 9.5, "yes"),
            (Bound::AtLeast(0.5), 0.5, 0.9, "yes"),
            (Bound::AtLeast(0.5), 0.49, 0.9, "**no**"),
            (Bound::Above(1.0), 1.0, 2.0, "**no**"),
            (Bound::Above(1.0), 1.1, 2.0, "yes"),
            (Bound::Nothing, 0.0, 0.0, "yes"),
            (Bound::Nothing, 0.0, 1.0, "**no**"),
        ];
        for (bound, least, most, expected) in cases {
            let found = holds(bound, spread(least, most, 5));
            assert_eq!(found, expected, "{bound:?} of {least} to {most}");
        }
        assert_eq!(
            holds(Bound::AtMost(1.0), spread(0.5, 0.6, 4)),
            "yes, of 4 only"
        );
    }

    #[test]
    fn a_row_shows_the_median_of_the_ratios_and_their_spread() {
        let mut records = Vec::new();
        // Ratios 1.2, 1.0, 1.3, 1.1 and 1.5.
        for (round, own) in (1..).zip([6.0, 5.0, 6.5, 5.5, 7.5]) {
            records.push(cost("fan-out-rate-1k", "towpath", round, own));
            records.push(cost("fan-out-rate-1k", "floor", round, 5.0));
        }
        let run = Run {
            records,
            ..Run::default()
        };
        let table = table(&run).unwrap();
        let row = "| 1 | fan-out-rate-1k: s/M, towpath / floor \
            | 1.20 | 1.00 to 1.50 | 5 | ≤ 1.10 | yes |\n";
        assert!(table.contains(row), "{table}");
        assert!(table.contains("| 1 | fan-out-rate-10k: s/M, towpath / floor | - | - | 0 |"));
    }

    #[test]
    fn a_run_of_others_has_nothing_to_reach() {
        let run = Run {
            records: vec![cost("echo", "axum", 1, 9.0)],
            ..Run::default()
        };
        assert_eq!(table(&run), None);
    }

    #[test]
    fn every_point_has_a_figure() {
        let points: Vec<u8> = goals::all().map(|goal| goal.point).collect();
        assert!(points.is_sorted());
        for point in 1..=9 {
            assert!(points.contains(&point), "{point}");
        }
    }
}
