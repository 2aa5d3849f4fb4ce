//! The process: arguments, configuration, logs, runtime, signals, exit code.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Parser as _;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::timeout;
use towpath_layer_core::ChannelLayer;

use crate::app::App;
use crate::cli::{Arguments, Command};
use crate::config::{ConfigError, DEFAULT_LAYER, Loaded};
use crate::layers;
use crate::start::Role;
use crate::telemetry;

/// How a process ends that was told to end twice: 128 and SIGINT, as a shell
/// would say.
const EXIT_INTERRUPTED: u8 = 130;

/// The longest that a command on a layer takes.
const LAYER_TIMEOUT: Duration = Duration::from_mins(1);

impl App {
    /// Runs the application as this process: reads the command line, the
    /// configuration and the environment, and does what they say until a signal
    /// ends it. The result is for `main` to return.
    ///
    /// Every application has the same command line; `--help` shows it. Exit
    /// codes: 0 in good order, 64 for a wrong command line or configuration, 130
    /// after a second signal, 1 for every other failure.
    pub fn run(self) -> ExitCode {
        let arguments = match Arguments::try_parse() {
            Ok(arguments) => arguments,
            Err(error) => {
                let code = if error.use_stderr() {
                    ConfigError::EXIT_CODE
                } else {
                    0
                };
                // Nowhere to say that the terminal is gone.
                let _unheard = error.print();
                return ExitCode::from(code);
            }
        };
        match arguments
            .configuration()
            .map_err(anyhow::Error::from)
            .and_then(|loaded| self.dispatch(arguments.into_command(), &loaded))
        {
            Ok(code) => ExitCode::from(code),
            Err(error) => {
                let wrong = error.is::<ConfigError>();
                if wrong {
                    eprintln!("the configuration cannot be used\n{error}");
                } else {
                    eprintln!("error: {}", with_causes(&error));
                }
                ExitCode::from(if wrong { ConfigError::EXIT_CODE } else { 1 })
            }
        }
    }

    fn dispatch(self, command: Command, loaded: &Loaded) -> Result<u8> {
        match command {
            Command::Serve => self.serve(Role::Serve, "serve", loaded),
            Command::Interface => {
                loaded.require_shared(DEFAULT_LAYER, "interface")?;
                self.serve(Role::Interface, "interface", loaded)
            }
            Command::Worker(_) => {
                loaded.require_shared(DEFAULT_LAYER, "worker")?;
                self.serve(Role::Worker, "worker", loaded)
            }
            Command::Layer {
                name,
                json,
                command,
            } => {
                loaded.require_shared(&name, "layer")?;
                warn(loaded);
                let run = async |layer: Arc<dyn ChannelLayer>| command.run(&*layer, json).await;
                on_layer(&name, loaded, LAYER_TIMEOUT, run)?;
                Ok(0)
            }
            Command::Topic {
                name,
                json,
                command,
            } => {
                loaded.require_shared(&name, "topic")?;
                warn(loaded);
                let time_max = command.time_max().unwrap_or(LAYER_TIMEOUT);
                let router = &self.router;
                let run = async |layer| command.run(router.topics(layer), json).await;
                on_layer(&name, loaded, time_max, run)?;
                Ok(0)
            }
            #[cfg(feature = "binding")]
            Command::Binding { command } => {
                warn(loaded);
                self.on_bindings(command)?;
                Ok(0)
            }
            Command::Bench(bench) => bench.run(),
            Command::Config { command } => {
                warn(loaded);
                command.run(loaded)?;
                Ok(0)
            }
        }
    }

    #[cfg(feature = "binding")]
    fn on_bindings(self, command: crate::cli::BindingCommand) -> Result<()> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let result = runtime.block_on(async {
            let app = self.set_up().await.map_err(anyhow::Error::from_boxed);
            let app = app.context("the application could not be set up")?;
            command.run(&app.bindings).await
        });
        end(runtime);
        result
    }

    /// Starts, waits for a signal or a failure, and ends in good order.
    fn serve(self, role: Role, command: &str, loaded: &Loaded) -> Result<u8> {
        telemetry::logs(&loaded.config.log);
        tracing::info!(version = env!("CARGO_PKG_VERSION"), command, "starting");
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        let runtime = Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.context("the runtime does not start")?;
        let code = runtime.block_on(self.until_told(role, loaded));
        end(runtime);
        code
    }

    async fn until_told(self, role: Role, loaded: &Loaded) -> Result<u8> {
        let mut signals = Signals::new().context("signals cannot be heard")?;
        let mut running = tokio::select! {
            biased;
            _ = signals.next() => return Ok(0),
            running = Box::pin(self.start_as(role, &loaded.config)) => running?,
        };
        let code = tokio::select! {
            biased;
            name = signals.next() => {
                tracing::info!(signal = name, "stopping");
                0
            }
            () = running.failed() => 1,
        };
        tokio::select! {
            biased;
            name = signals.next() => {
                tracing::warn!(signal = name, "told again: ending at once");
                Ok(EXIT_INTERRUPTED)
            }
            () = running.stop() => Ok(code),
        }
    }
}

/// What is odd about the configuration, where no log is written.
fn warn(loaded: &Loaded) {
    for warning in &loaded.warnings {
        eprintln!("warning: {warning}");
    }
}

/// Runs a command on a layer that is opened for it alone, for that long at most.
fn on_layer(
    name: &str,
    loaded: &Loaded,
    time_max: Duration,
    run: impl AsyncFnOnce(Arc<dyn ChannelLayer>) -> Result<()>,
) -> Result<()> {
    let Some(layer) = loaded.config.layers.get(name) else {
        return Ok(());
    };
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        let layer = layers::open(name, layer).await?;
        let result = timeout(time_max, run(Arc::clone(&layer))).await;
        let _or_by_its_lease = timeout(LAYER_TIMEOUT, layer.close()).await;
        result.context("the layer does not answer")?
    });
    end(runtime);
    result
}

/// Lets go of the runtime without waiting for what blocks its threads: the
/// process ends now.
fn end(runtime: Runtime) {
    runtime.shutdown_background();
}

/// The signals that end a process.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next one and tells its name. Cancel-safe: a signal stays
    /// until it is taken.
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// An error and its causes. Some errors say their cause themselves; it is not
/// repeated.
fn with_causes(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |told, cause| {
        let cause = cause.to_string();
        match told.as_str() {
            "" => cause,
            told if told.ends_with(&cause) => told.to_owned(),
            told => format!("{told}: {cause}"),
        }
    })
}
