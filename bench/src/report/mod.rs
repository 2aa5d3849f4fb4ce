//! What a run has shown: tables, the figures to reach, and plots.
//!
//! Everything is made from the [`Run`] that stands in the JSON file, so that it can be
//! made again without measuring again.

mod about;
#[cfg(test)]
mod fixture;
mod format;
mod goals;
mod page;
mod plot;
mod run;
mod spread;
mod table;
mod verdict;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

pub(crate) use run::{About, Run, ServerNote};

const PAGE: &str = "RESULTS.md";
const PLOTS: &str = "plots";

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The run: what the runner wrote, or a list of records.
    #[arg(long, value_name = "FILE")]
    json: PathBuf,
    /// Write the page of results and the plots, too.
    #[arg(long)]
    write: bool,
    /// The folder of the page and of the plots.
    #[arg(long, default_value = "bench", value_name = "FOLDER")]
    folder: PathBuf,
}

/// Prints the report on a run, and writes it into the page of results if asked to.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let run = Run::read(&options.json)?;
    write!(std::io::stdout(), "{}", markdown(&run))?;
    if options.write {
        write(&run, &options.folder)?;
    }
    Ok(())
}

/// The whole report on a run as Markdown, without plots.
pub(crate) fn markdown(run: &Run) -> String {
    page::markdown(run, &[])
}

/// Writes the plots of a run into `folder/plots`, and its report into the generated part
/// of `folder/RESULTS.md`; what else is in the page stays. A run without a sweep over the
/// number of connections has no plots.
///
/// # Errors
///
/// If the page has no generated part, or a file cannot be read or written.
pub(crate) fn write(run: &Run, folder: &Path) -> anyhow::Result<()> {
    let page = folder.join(PAGE);
    let text = std::fs::read_to_string(&page)
        .with_context(|| format!("{} cannot be read", page.display()))?;
    let plots = plot::plots(run)?;
    let text = page::splice(&text, &page::markdown(run, &plots))?;
    let into = folder.join(PLOTS);
    std::fs::create_dir_all(&into).with_context(|| format!("{} cannot be made", into.display()))?;
    for plot in &plots {
        save(&into.join(plot.file), &plot.svg)?;
    }
    save(&page, &text)
}

fn save(file: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(file, text).with_context(|| format!("{} cannot be written", file.display()))
}
