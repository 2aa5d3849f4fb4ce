//! Figures as they stand in tables.

/// What stands where nothing was measured.
pub(super) const NOTHING: &str = "-";

/// A rate: `606k`, or all of it below ten thousand.
pub(super) fn rate(figure: f64) -> String {
    if figure.abs() < 10_000.0 {
        format!("{figure:.0}")
    } else {
        format!("{:.0}k", figure / 1000.0)
    }
}

/// Three digits or so: `0.62`, `8.29`, `41.3`, `568`.
pub(super) fn short(figure: f64) -> String {
    match figure.abs() {
        size if size < 9.995 => format!("{figure:.2}"),
        size if size < 99.95 => format!("{figure:.1}"),
        _ => grouped(figure),
    }
}

/// Whole, with a space between thousands: `29 871`.
pub(super) fn grouped(figure: f64) -> String {
    let digits = format!("{:.0}", figure.abs());
    let sign = if figure <= -0.5 { "-" } else { "" };
    let mut grouped = String::from(sign);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    grouped
}

/// A share of one as a percentage: `45 %`.
pub(super) fn percent(figure: f64) -> String {
    format!("{:.0} %", figure * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_as_many_digits_as_they_mean() {
        assert_eq!(rate(9_999.4), "9999");
        assert_eq!(rate(606_400.0), "606k");
        let shown = [0.615, 8.29, 9.996, 41.26, 99.96, 568.4].map(short);
        assert_eq!(shown, ["0.61", "8.29", "10.0", "41.3", "100", "568"]);
        let shown = [0.0, -0.2, 92.0, 1_000.0, 29_871.3, -1_234_567.0].map(grouped);
        assert_eq!(shown, ["0", "0", "92", "1 000", "29 871", "-1 234 567"]);
        assert_eq!(percent(0.447), "45 %");
    }
}
