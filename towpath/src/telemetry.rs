//! Logs and metrics of the process: the shell installs what the libraries'
//! facades write to.

use std::io::IsTerminal as _;
use std::sync::OnceLock;
use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use towpath_layer_core::metrics::{Kind, TABLE};
use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat};

/// Where the time of consumers is told apart, in seconds. Explicit, because a
/// recorder without buckets keeps every sample.
const BUCKETS: [f64; 14] = [
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0,
];

/// How often the recorder folds its samples into the buckets.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Sends logs to standard error. A subscriber that the application has
/// installed before stays.
pub(crate) fn logs(log: &Log) {
    let terminal = std::io::stderr().is_terminal();
    let json = match log.format {
        LogFormat::Auto => !terminal,
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(&log.filter))
        .with_writer(std::io::stderr);
    let installed = if json {
        builder.json().try_init()
    } else {
        builder.with_ansi(terminal).try_init()
    };
    if installed.is_err() {
        tracing::debug!("logs go where the application has sent them before");
    }
}

/// The metrics of this process, as Prometheus reads them.
#[derive(Clone)]
pub(crate) struct Metrics {
    handle: PrometheusHandle,
}

impl Metrics {
    /// Collects from now on. There is one collection a process.
    ///
    /// # Errors
    ///
    /// [`BuildError`] never in practice: the buckets are constant.
    pub(crate) fn collect() -> Result<Self, BuildError> {
        static COLLECTED: OnceLock<PrometheusHandle> = OnceLock::new();
        let builder = PrometheusBuilder::new().set_buckets(&BUCKETS)?;
        let handle = COLLECTED.get_or_init(|| {
            let recorder = builder.build_recorder();
            let handle = recorder.handle();
            if metrics::set_global_recorder(recorder).is_err() {
                tracing::debug!("metrics go where the application has sent them before");
            }
            describe();
            handle
        });
        let handle = handle.clone();
        Ok(Self { handle })
    }

    /// All metrics, in Prometheus' text format.
    pub(crate) fn render(&self) -> String {
        self.handle.render()
    }

    /// Folds samples into buckets until it is dropped.
    pub(crate) async fn upkeep(self) {
        let mut interval = tokio::time::interval(UPKEEP_INTERVAL);
        loop {
            interval.tick().await;
            self.handle.run_upkeep();
        }
    }
}

fn describe() {
    for metric in TABLE {
        match metric.kind {
            Kind::Counter => metrics::describe_counter!(metric.name, metric.help),
            Kind::Gauge => metrics::describe_gauge!(metric.name, metric.help),
            Kind::Histogram => metrics::describe_histogram!(metric.name, metric.help),
        }
    }
}
