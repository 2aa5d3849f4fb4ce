//! The command line: the same for the demonstration and for every application.

mod bench;
#[cfg(feature = "binding")]
mod binding;
mod configuration;
mod layer;
mod output;
mod topic;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::config::{ConfigError, DEFAULT_LAYER, Flag, Loaded, Sources};

pub(crate) use bench::BenchCommand;
#[cfg(feature = "binding")]
pub(crate) use binding::BindingCommand;
pub(crate) use configuration::ConfigCommand;
pub(crate) use layer::LayerCommand;
pub(crate) use topic::TopicCommand;

/// What was typed.
#[derive(Debug, Parser)]
#[command(
    about = "Serves WebSockets, and runs the consumers that answer them.",
    after_help = "Without a command: serve. \
                  `config docs` lists every key of the configuration file and the environment.",
    version
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Option<Command>,
}

/// What every command takes.
#[derive(Debug, Args)]
struct Common {
    /// Read the configuration from this TOML file.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Use this as the default layer: memory, or the URL of a Redis.
    #[arg(long, global = true, value_name = "memory|redis://…")]
    layer: Option<String>,
    /// Serve sockets and pages here.
    #[arg(long, global = true, value_name = "ADDR")]
    listen: Option<String>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve sockets and run consumers, in one process.
    Serve,
    /// Serve sockets only; workers run elsewhere.
    Interface,
    /// Run consumers only; sockets are elsewhere.
    Worker(WorkerArguments),
    /// Look at a layer, send on it, or empty it.
    Layer {
        /// Which of the configured layers.
        #[arg(long, global = true, value_name = "NAME", default_value = DEFAULT_LAYER)]
        name: String,
        /// Print JSON.
        #[arg(long, global = true)]
        json: bool,
        #[command(subcommand)]
        command: LayerCommand,
    },
    /// Tell those who joined a topic, hear what is told there, or end a socket.
    Topic {
        /// Which of the configured layers.
        #[arg(long, global = true, value_name = "NAME", default_value = DEFAULT_LAYER)]
        name: String,
        /// Print JSON.
        #[arg(long, global = true)]
        json: bool,
        #[command(subcommand)]
        command: TopicCommand,
    },
    /// Install or remove what records the changes of bound tables.
    #[cfg(feature = "binding")]
    Binding {
        #[command(subcommand)]
        command: BindingCommand,
    },
    /// Load a WebSocket server, and check that every message arrives once and in order.
    Bench(BenchCommand),
    /// Check or show the configuration.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
}

/// What a worker takes.
#[derive(Debug, Args)]
pub(crate) struct WorkerArguments {
    /// Take only from channels that match this glob; may be repeated.
    #[arg(long, value_name = "GLOB")]
    only: Vec<String>,
    /// Take nothing from channels that match this glob; may be repeated.
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,
    /// Consumers that run at one time.
    #[arg(long, value_name = "N")]
    concurrency: Option<String>,
}

impl Arguments {
    /// The configuration that file, environment and flags make.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] says what is wrong with it.
    pub(crate) fn configuration(&self) -> Result<Loaded, ConfigError> {
        let mut sources = Sources::new().environment().flags(self.flags());
        if let Some(path) = &self.common.config {
            sources = sources.read_file(path)?;
        }
        sources.load()
    }

    /// What to do; to serve, if nothing was said.
    pub(crate) fn into_command(self) -> Command {
        self.command.unwrap_or(Command::Serve)
    }

    fn flags(&self) -> Vec<Flag> {
        let mut flags = Vec::new();
        if let Some(layer) = &self.common.layer {
            flags.extend(layer_flags(layer));
        }
        if let Some(listen) = &self.common.listen {
            flags.push(flag("--listen", "server.listen", listen));
        }
        if let Some(Command::Worker(worker)) = &self.command {
            let only = worker.only.iter();
            flags.extend(only.map(|glob| flag("--only", "worker.only", glob)));
            let exclude = worker.exclude.iter();
            flags.extend(exclude.map(|glob| flag("--exclude", "worker.exclude", glob)));
            let concurrency = worker.concurrency.iter();
            flags.extend(concurrency.map(|n| flag("--concurrency", "worker.concurrency", n)));
        }
        flags
    }
}

fn flag(name: &'static str, key: &str, value: &str) -> Flag {
    Flag {
        name,
        key: key.to_owned(),
        value: value.to_owned(),
    }
}

/// `--layer` names a backend by its kind, or by a URL whose scheme is its kind.
fn layer_flags(layer: &str) -> Vec<Flag> {
    let key = |name| format!("layers.{DEFAULT_LAYER}.{name}");
    match layer.split_once("://") {
        None => vec![flag("--layer", &key("kind"), layer)],
        Some((scheme, _)) => {
            let redis = matches!(scheme, "redis" | "rediss" | "redis+unix" | "unix");
            let kind = if redis { "redis" } else { scheme };
            vec![
                flag("--layer", &key("kind"), kind),
                flag("--layer", &key("url"), layer),
            ]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(arguments: &[&str]) -> Vec<(&'static str, String, String)> {
        let all = [&["towpath"], arguments].concat();
        let flags = Arguments::try_parse_from(all).unwrap().flags();
        flags
            .into_iter()
            .map(|flag| (flag.name, flag.key, flag.value))
            .collect()
    }

    #[test]
    fn the_definition_is_sound() {
        <Arguments as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn every_command_can_be_typed() {
        for line in [
            "serve",
            "interface",
            "worker --only a --exclude b --concurrency 1",
            "layer stats --json --name jobs",
            "layer --name jobs --json stats",
            "layer flush --json",
            "layer send a.b {} --json",
            "layer group-send g {} --json",
            "layer group-send g {} --event e",
            "layer groups --json",
            "layer members g --json",
            "topic broadcast room:1 news {} --json",
            "topic --name jobs disconnect user:7",
            "topic subscribe room:1 room:2 --json",
            "bench ws://a/echo --mode fan-out --rate 0.5 --json",
            "config check",
            "config show --json",
            "config docs",
        ] {
            Arguments::try_parse_from(["towpath"].into_iter().chain(line.split(' '))).unwrap();
        }
    }

    #[test]
    fn without_a_command_it_serves() {
        let arguments = Arguments::try_parse_from(["towpath"]).unwrap();
        assert!(matches!(arguments.into_command(), Command::Serve));
    }

    #[test]
    fn common_options_stand_before_or_behind_the_command() {
        let expected = [(
            "--listen",
            "server.listen".to_owned(),
            "127.0.0.1:1".to_owned(),
        )];
        assert_eq!(flags(&["--listen", "127.0.0.1:1", "serve"]), expected);
        assert_eq!(flags(&["interface", "--listen", "127.0.0.1:1"]), expected);
        assert_eq!(
            flags(&["layer", "stats", "--listen", "127.0.0.1:1"]),
            expected
        );
    }

    #[test]
    fn a_layer_is_a_kind_or_a_url() {
        let kind = |kind: &str| ("--layer", "layers.default.kind".to_owned(), kind.to_owned());
        let url = |url: &str| ("--layer", "layers.default.url".to_owned(), url.to_owned());
        assert_eq!(flags(&["--layer", "memory"]), [kind("memory")]);
        assert_eq!(
            flags(&["--layer", "redis://h:1"]),
            [kind("redis"), url("redis://h:1")]
        );
        assert_eq!(
            flags(&["--layer", "kafka://h"]),
            [kind("kafka"), url("kafka://h")]
        );
    }

    #[test]
    fn a_worker_takes_globs_and_a_number() {
        let names: Vec<String> = flags(&[
            "worker",
            "--only",
            "a.*",
            "--only",
            "b",
            "--exclude",
            "c",
            "--concurrency",
            "7",
        ])
        .into_iter()
        .map(|(_, key, value)| format!("{key}={value}"))
        .collect();
        assert_eq!(
            names,
            [
                "worker.only=a.*",
                "worker.only=b",
                "worker.exclude=c",
                "worker.concurrency=7"
            ]
        );
    }

    #[test]
    fn an_unknown_option_is_refused() {
        let error = Arguments::try_parse_from(["towpath", "serve", "--concurrency", "7"]);
        assert!(error.unwrap_err().to_string().contains("--concurrency"));
    }
}
