//! What is said of a configuration that cannot be used.

use std::fmt;

use super::Origin;

/// One thing that is wrong with the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where it stands.
    pub origin: Origin,
    /// The key, if it is about one, with its value as written if it has one.
    pub subject: String,
    /// What is wrong.
    pub reason: String,
    /// What would have been right.
    pub expected: String,
    /// What the operator can do.
    pub remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.origin)?;
        if !self.subject.is_empty() {
            write!(f, "{} ", self.subject)?;
        }
        writeln!(f, "{}", self.reason)?;
        writeln!(f, "  expected: {}", self.expected)?;
        write!(f, "  to do: {}", self.remedy)
    }
}

/// A configuration that cannot be used: everything that is wrong with it.
///
/// A process that meets it says so and ends with [`ConfigError::EXIT_CODE`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// What is wrong; at least one.
    pub problems: Vec<Problem>,
}

impl ConfigError {
    /// How a process ends that was configured wrongly (`EX_USAGE` of
    /// sysexits.h).
    pub const EXIT_CODE: u8 = 64;
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

impl From<Problem> for ConfigError {
    fn from(problem: Problem) -> Self {
        Self {
            problems: vec![problem],
        }
    }
}
