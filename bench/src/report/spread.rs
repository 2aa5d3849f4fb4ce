//! A figure that was taken several times: its median, and from where to where it went.

/// Several takes of one figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spread {
    pub(super) least: f64,
    pub(super) median: f64,
    pub(super) most: f64,
    /// How many takes.
    pub(super) count: usize,
}

impl Spread {
    /// `None` without a take.
    pub(super) fn of(takes: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut takes: Vec<f64> = takes.into_iter().collect();
        takes.sort_by(f64::total_cmp);
        let count = takes.len();
        let upper = takes.get(count / 2)?;
        let lower = takes.get((count - 1) / 2)?;
        Some(Self {
            least: *takes.first()?,
            median: f64::midpoint(*lower, *upper),
            most: *takes.last()?,
            count,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_has_the_median_between_its_ends() {
        assert_eq!(Spread::of([]), None);
        let expected = Spread {
            least: 1.0,
            median: 2.5,
            most: 9.0,
            count: 4,
        };
        assert_eq!(Spread::of([3.0, 9.0, 1.0, 2.0]), Some(expected));
    }
}
