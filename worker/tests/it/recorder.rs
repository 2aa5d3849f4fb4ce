//! What was counted, by metric and labels.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use parking_lot::Mutex;

/// Counts what a worker counts that was made while this listened.
#[derive(Clone, Default)]
pub(crate) struct Counts {
    counters: Arc<Mutex<HashMap<String, Arc<AtomicU64>>>>,
}

impl Counts {
    /// How many messages of a route ended so.
    pub(crate) fn consumed(&self, route: &str, outcome: &str) -> u64 {
        self.of(&format!(
            "towpath_consumed_total outcome={outcome} route={route}"
        ))
    }

    /// How often something was counted, by the name of the metric and its
    /// labels in the order of the alphabet.
    pub(crate) fn of(&self, key: &str) -> u64 {
        let counters = self.counters.lock();
        counters.get(key).unwrap().load(Ordering::Relaxed)
    }
}

impl Recorder for Counts {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let mut labels: Vec<String> = key
            .labels()
            .map(|label| format!(" {}={}", label.key(), label.value()))
            .collect();
        labels.sort();
        let name = format!("{}{}", key.name(), labels.concat());
        let counter = Arc::clone(self.counters.lock().entry(name).or_default());
        Counter::from_arc(counter)
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}
