//! What is wrong with routes.

use std::fmt;

/// What is wrong with one route.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{route}: {reason}")]
pub struct RouteError {
    route: String,
    reason: String,
}

impl RouteError {
    pub(crate) fn new(route: &str, reason: impl Into<String>) -> Self {
        Self {
            route: route.to_owned(),
            reason: reason.into(),
        }
    }

    /// The path or channel, as it was written.
    #[must_use]
    pub fn route(&self) -> &str {
        &self.route
    }
}

/// All that is wrong with the routes of an application, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteErrors(pub Vec<RouteError>);

impl fmt::Display for RouteErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, error) in self.0.iter().enumerate() {
            let separator = if position == 0 { "" } else { "\n" };
            write!(f, "{separator}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for RouteErrors {}
