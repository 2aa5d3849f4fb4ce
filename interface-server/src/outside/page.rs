//! A bounded part of a list, and where the next one begins.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::problem::Problem;

/// What a list that has no end of its own shows if nobody says how much.
const LIMIT: usize = 100;

/// The most that it shows.
pub(super) const LIMIT_MAX: usize = 1000;

/// How much of a list to show.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    limit: Option<usize>,
}

/// How much of a sorted list to show, and behind which name to begin.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SortedPage {
    limit: Option<usize>,
    #[serde(default)]
    pub(super) after: String,
}

impl Page {
    pub(super) fn limit(&self) -> Result<usize, Problem> {
        bounded(self.limit)
    }
}

impl SortedPage {
    pub(super) fn limit(&self) -> Result<usize, Problem> {
        bounded(self.limit)
    }
}

fn bounded(limit: Option<usize>) -> Result<usize, Problem> {
    let limit = limit.unwrap_or(LIMIT);
    if (1..=LIMIT_MAX).contains(&limit) {
        return Ok(limit);
    }
    let detail = "this many are not shown at one time";
    let problem = Problem::value("limit", detail, &format!("1 to {LIMIT_MAX}"));
    Err(problem.showing(&limit.to_string()))
}

/// Reads what stands behind `?`.
pub(super) fn query<T: DeserializeOwned>(text: &str) -> Result<T, Problem> {
    serde_urlencoded::from_str(text).map_err(|error| {
        Problem::value("query", error.to_string(), "the parameters of this path").showing(text)
    })
}
