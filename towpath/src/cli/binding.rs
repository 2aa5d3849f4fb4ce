//! `binding …`: the triggers and tables behind data binding.

use anyhow::{Context as _, Result, ensure};
use clap::Subcommand;
use towpath_binding::Bindings;

use super::output;

/// What to do with the bindings of the application.
#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum BindingCommand {
    /// Install what records the changes; what is there and right is left alone.
    Install,
    /// Remove all that was installed, and the changes that wait.
    Remove,
    /// Say whether the bindings fit their tables and are installed.
    Check,
    /// Print what `install` does in a database where nothing is installed.
    Sql,
}

impl BindingCommand {
    /// Does it, for the bindings of each database.
    ///
    /// # Errors
    ///
    /// What a database says, or that nothing is bound.
    ///
    /// # Cancel safety
    ///
    /// A dropped future has done all or nothing in each database.
    pub(crate) async fn run(self, databases: &[Bindings]) -> Result<()> {
        ensure!(
            !databases.is_empty(),
            "the application binds no table: App::bind does"
        );
        for bindings in databases {
            self.run_on(bindings)
                .await
                .with_context(|| format!("{bindings:?}"))?;
        }
        Ok(())
    }

    async fn run_on(self, bindings: &Bindings) -> Result<()> {
        match self {
            Self::Install => bindings.install().await?,
            Self::Remove => bindings.remove().await?,
            Self::Check => bindings.check().await?,
            Self::Sql => {
                for statement in bindings.sql().await? {
                    output::line(&format!("{statement};\n"))?;
                }
            }
        }
        Ok(())
    }
}
