//! What is compared: how a server is started, what it speaks, what it cannot do.
//!
//! A contender serves `/echo`, which sends every frame back, and `/room/{name}`, where
//! each frame goes to everyone in the room, the sender included, in the words of its
//! [`Dialect`]. What was measured of it is a [`crate::record::Record`].

use std::path::PathBuf;

pub(crate) use towpath_load::Dialect;

use crate::scenario::Scenario;

/// One program with its arguments.
///
/// In every argument, in every environment value and in nothing else, `{port}` is
/// replaced by the contender's port (a side process: by its own), `{NAME}` by the port
/// of the side process of that name, `{dir}` by a fresh empty directory that is removed
/// when the server has ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Launch {
    /// The program: a path, or a name that is looked for in `PATH`.
    pub(crate) program: PathBuf,
    /// Its arguments. There is no shell.
    pub(crate) arguments: Vec<String>,
    /// Added to the environment of the benchmark itself.
    pub(crate) environment: Vec<(String, String)>,
    /// Where it is started; where the benchmark was, if `None`.
    pub(crate) directory: Option<PathBuf>,
}

impl Launch {
    /// A program with these arguments.
    pub(crate) fn new<A: Into<String>>(
        program: impl Into<PathBuf>,
        arguments: impl IntoIterator<Item = A>,
    ) -> Self {
        Self {
            program: program.into(),
            arguments: arguments.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    /// The same with one more variable in its environment.
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// The same, started in this directory.
    pub(crate) fn in_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }
}

/// A process that a server needs and whose processor time is counted apart, such as a
/// Redis of its own. It is started before the server, on a port of its own, and killed
/// after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Side {
    /// Its placeholder in the server's command: a side named `redis` is `{redis}` there.
    pub(crate) name: String,
    /// How it is started; it must listen on TCP at 127.0.0.1:`{port}`.
    pub(crate) launch: Launch,
}

/// A server to compare.
///
/// Every process of it runs in one process group of its own: processor time and memory
/// are summed over the group, and the whole group is killed at the end. So a server of
/// several processes, or one that starts workers, is one command (a supervisor, or
/// `sh -c 'a & b & wait'`); none of its processes may leave the group (no daemons).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Contender {
    /// Its name in tables and on the command line: lower case, no white space.
    pub(crate) name: String,
    /// What it is in one line, with the versions of its parts, for the results.
    pub(crate) about: String,
    /// How it is started; it must listen on TCP at 127.0.0.1:`{port}`.
    pub(crate) launch: Launch,
    /// What it speaks.
    pub(crate) dialect: Dialect,
    /// Scenarios that it is not asked for.
    pub(crate) cannot: Vec<Scenario>,
    /// What it needs besides.
    pub(crate) sides: Vec<Side>,
}

impl Contender {
    /// A server of one command that speaks raw frames and can do everything.
    pub(crate) fn new(name: &str, about: &str, launch: Launch) -> Self {
        Self {
            name: name.to_owned(),
            about: about.to_owned(),
            launch,
            dialect: Dialect::Raw,
            cannot: Vec::new(),
            sides: Vec::new(),
        }
    }

    /// Whether it takes part in a scenario.
    pub(crate) fn can(&self, scenario: Scenario) -> bool {
        !self.cannot.contains(&scenario)
    }
}

/// A contender that is asked for and cannot be had, for the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Missing {
    /// Its name.
    pub(crate) name: String,
    /// Why: the command that failed and what it said, or what is to be installed.
    pub(crate) reason: String,
}

impl std::str::FromStr for Contender {
    type Err = String;

    /// Reads `NAME=COMMAND`; the command is split at white space.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.split_once('=');
        let words = parts.map(|(name, command)| (name, command.split_whitespace()));
        match words.map(|(name, mut words)| (name, words.next(), words)) {
            Some((name, Some(program), arguments))
                if !name.is_empty() && text.contains("{port}") =>
            {
                Ok(Self::new(name, text, Launch::new(program, arguments)))
            }
            _ => Err("expected NAME=COMMAND with {port} in the command".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contender_on_the_command_line_needs_a_name_and_a_port() {
        let contender: Contender = "axum=peer --listen 127.0.0.1:{port}".parse().unwrap();
        assert_eq!(contender.name, "axum");
        assert_eq!(
            contender.launch,
            Launch::new("peer", ["--listen", "127.0.0.1:{port}"])
        );
        for text in ["=serve {port}", "axum", "axum=serve"] {
            assert!(text.parse::<Contender>().is_err(), "{text}");
        }
    }
}
