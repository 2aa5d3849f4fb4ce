//! What a route says of its topics: a value that every one of them can read.

use std::any::Any;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::Topic;
use crate::handler::Consume;
use crate::router::Websocket;
use crate::{Context, Place, Result};

type Value = Arc<dyn Any + Send + Sync>;

/// A consumer, and what its route has assigned.
struct Assigned {
    value: Value,
    consumer: Arc<dyn Consume>,
}

impl Consume for Assigned {
    fn call(&self, context: Context) -> BoxFuture<'static, Result> {
        let value = Arc::clone(&self.value);
        self.consumer.call(context.with_this(value))
    }

    fn check(&self, place: &Place<'_>) -> Result<(), String> {
        self.consumer.check(place)
    }
}

/// The same consumers with a value of their route's.
pub(super) fn assign<T: Send + Sync + 'static>(consumers: Websocket, value: T) -> Websocket {
    let value: Value = Arc::new(value);
    let assigned = |consumer: Arc<dyn Consume>| -> Arc<dyn Consume> {
        Arc::new(Assigned {
            value: Arc::clone(&value),
            consumer,
        })
    };
    Websocket {
        connect: consumers.connect.map(assigned),
        receive: consumers.receive.map(assigned),
        disconnect: consumers.disconnect.map(assigned),
        other_events: consumers.other_events.map(assigned),
        ..consumers
    }
}

impl Topic {
    /// What the topic's route has assigned, if that is a `T`: by
    /// [`topic_with`](super::TopicRoutes::topic_with) or
    /// [`websocket_with`](super::TopicConsumer::websocket_with). It does not
    /// travel: every worker has it from its own routes.
    #[must_use]
    pub fn assigned<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.context().this()?.downcast_ref()
    }
}
