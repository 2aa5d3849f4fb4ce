//! `config check`, `config show`, `config docs`.

use std::io;

use clap::Subcommand;

use super::output;
use crate::config::{Config, Loaded};

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Say whether the configuration is in order.
    Check,
    /// Show every key, its value, and where that came from.
    Show {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print the reference of all keys, in Markdown.
    Docs,
}

impl ConfigCommand {
    /// Does it. A configuration that is not in order never comes here.
    ///
    /// # Errors
    ///
    /// What writing to standard output says.
    pub(crate) fn run(&self, loaded: &Loaded) -> io::Result<()> {
        match self {
            Self::Check => output::line("the configuration is in order"),
            Self::Show { json: true } => output::json(&loaded.settings()),
            Self::Show { json: false } => {
                let rows: Vec<[String; 3]> = loaded
                    .settings()
                    .into_iter()
                    .map(|setting| {
                        let value = setting.value.unwrap_or_else(|| "unset".to_owned());
                        [setting.key, value, setting.origin]
                    })
                    .collect();
                output::table(&rows, 3)
            }
            Self::Docs => output::line(Config::reference().trim_end()),
        }
    }
}
