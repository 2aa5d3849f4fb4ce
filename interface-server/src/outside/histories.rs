//! Which topics keep what is broadcast in them.

use std::fmt;
use std::sync::Arc;

use towpath_layer_core::History;

type Of = dyn Fn(&str) -> Option<History> + Send + Sync;

/// What the application's routes say of a topic's history; without routes,
/// nothing.
#[derive(Clone, Default)]
pub(super) struct Histories(Option<Arc<Of>>);

impl Histories {
    pub(super) fn new(of: impl Fn(&str) -> Option<History> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(of)))
    }

    pub(super) fn of(&self, topic: &str) -> Option<History> {
        self.0.as_ref()?(topic)
    }
}

impl fmt::Debug for Histories {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Histories").finish_non_exhaustive()
    }
}
