//! Middleware around consumers, in the tower sense.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::task;

use futures_util::TryFutureExt;
use futures_util::future::BoxFuture;
use tower::util::ServiceExt;
use tower::{Layer, Service};

use crate::error::BoxError;
use crate::handler::Consume;
use crate::{Context, Error, Place, Result};

/// A consumer as middleware sees it: a service from events to nothing.
#[derive(Clone)]
pub struct ConsumerService {
    pub(crate) consumer: Arc<dyn Consume>,
}

impl Service<Context> for ConsumerService {
    type Response = ();
    type Error = Error;
    type Future = BoxFuture<'static, Result>;

    fn poll_ready(&mut self, _cx: &mut task::Context<'_>) -> task::Poll<Result> {
        task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, context: Context) -> Self::Future {
        self.consumer.call(context)
    }
}

impl fmt::Debug for ConsumerService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConsumerService")
    }
}

/// A tower layer that can stand around consumers: every [`tower::Layer`] whose
/// service takes a [`Context`], answers `()` and can be cloned; tower's own
/// (timeout, concurrency limit, `ServiceBuilder`) among them. It may fail with
/// an [`Error`] or with any other: that is an internal one then.
#[diagnostic::on_unimplemented(
    message = "this cannot stand around consumers",
    label = "not a middleware",
    note = "middleware is a `tower::Layer<ConsumerService>` whose service is a \
            `Service<Context, Response = ()>` and `Clone + Send + Sync`",
    note = "its error is an `Error` or any `std::error::Error`, its future has to be `Send`"
)]
pub trait Middleware {
    /// Puts the layer around a consumer.
    fn around(&self, inner: ConsumerService) -> ConsumerService;
}

impl<L> Middleware for L
where
    L: Layer<ConsumerService>,
    L::Service: Service<Context, Response = ()> + Clone + Send + Sync + 'static,
    <L::Service as Service<Context>>::Error: Into<BoxError>,
    <L::Service as Service<Context>>::Future: Send + 'static,
{
    fn around(&self, inner: ConsumerService) -> ConsumerService {
        let consumer = Wrapped {
            inner: Arc::clone(&inner.consumer),
            service: self.layer(inner),
        };
        // A layer of ours that makes a consumer checks its place itself.
        if let Some(made) = (&consumer.service as &dyn Any).downcast_ref::<ConsumerService>() {
            return made.clone();
        }
        ConsumerService {
            consumer: Arc::new(consumer),
        }
    }
}

/// Puts a middleware around a consumer.
pub(crate) fn wrap(consumer: &Arc<dyn Consume>, middleware: &impl Middleware) -> Arc<dyn Consume> {
    let consumer = Arc::clone(consumer);
    middleware.around(ConsumerService { consumer }).consumer
}

struct Wrapped<S> {
    service: S,
    inner: Arc<dyn Consume>,
}

impl<S> Consume for Wrapped<S>
where
    S: Service<Context, Response = ()> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
{
    fn call(&self, context: Context) -> BoxFuture<'static, Result> {
        let service = self.service.clone();
        let failed = |error: S::Error| Error::from_boxed(error.into());
        Box::pin(service.oneshot(context).map_err(failed))
    }

    fn check(&self, place: &Place<'_>) -> Result<(), String> {
        self.inner.check(place)
    }
}
