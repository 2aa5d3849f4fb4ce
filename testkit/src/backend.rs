//! What the suite needs of a backend under test.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use towpath_layer_core::{ChannelLayer, Limits, NodeId};

/// Makes backends of one kind.
#[async_trait]
pub trait Factory: Send + Sync {
    /// A backend that nobody else uses, empty and within `limits`. What it
    /// started ends when it is dropped.
    ///
    /// # Cancel safety
    ///
    /// A dropped future leaves nothing behind.
    async fn backend(&self, limits: Limits) -> Arc<dyn Backend>;
}

/// A backend under test: empty at first, with nodes that come, die and wait.
///
/// A method that cannot do its work panics: the case that called it has failed.
#[async_trait]
pub trait Backend: fmt::Debug + Send + Sync {
    /// A new node.
    ///
    /// # Cancel safety
    ///
    /// A dropped future may leave a node behind.
    async fn node(&self) -> Arc<dyn ChannelLayer>;

    /// Ends a node as the death of its process would: it says no goodbye, and
    /// nothing that it holds is given back. What the case still calls on it
    /// may fail or do nothing.
    ///
    /// # Cancel safety
    ///
    /// The node may be dead or alive.
    async fn crash(&self, node: NodeId);

    /// Lets that much of the backend's time pass: moves its clock if the clock
    /// can be moved, waits if not.
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have let some of it pass.
    async fn pass(&self, time: Duration);

    /// What can be done to the backend itself, if anything can.
    fn faults(&self) -> Option<&dyn Faults> {
        None
    }
}

/// What can be done to a backend that is a process of its own.
#[async_trait]
pub trait Faults: Send + Sync {
    /// Ends the backend at once and starts it again at the same place, empty.
    /// Nodes stay.
    ///
    /// # Cancel safety
    ///
    /// A dropped future may leave the backend ended.
    async fn restart_empty(&self);

    /// Lets the backend hang that long: it takes connections and answers
    /// nothing.
    ///
    /// # Cancel safety
    ///
    /// A dropped future may leave the backend hanging.
    async fn pause(&self, time: Duration);
}
