//! Authentication around consumers that do not ask for it themselves.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde::de::DeserializeOwned;
use tower::Layer;

use super::Auth;
use crate::handler::Consume;
use crate::middleware::ConsumerService;
use crate::{Context, FromContext, Place, PlaceKind, Result};

/// A middleware that lets events pass as [`Auth<T>`](Auth) does, for consumers
/// that do not take it: around a route, a router, or a stream of a
/// demultiplexer, which then refuses the whole handshake.
///
/// Messages on channels of the application pass: they come from the
/// application. The disconnect of a connection that it never let in does not.
///
/// ```
/// use serde::Deserialize;
/// use towpath_worker::{AuthLayer, Authenticator, Keys, Router, States, Text, websocket};
///
/// #[derive(Deserialize)]
/// struct User {}
///
/// let echo = websocket().receive(async |Text(_): Text| {});
/// let router = Router::new().route("/", echo.middleware(AuthLayer::<User>::new()));
/// assert!(router.check(&States::new()).is_err());
/// router.check(&States::new().with(Authenticator::<User>::new(Keys::hs256([7; 32])?)))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct AuthLayer<T> {
    required: bool,
    claims: PhantomData<fn() -> T>,
}

impl<T> AuthLayer<T> {
    /// Lets nobody in without a token.
    #[must_use]
    pub fn new() -> Self {
        Self {
            required: true,
            claims: PhantomData,
        }
    }

    /// Lets in who has no token. A bad one is refused, and a connection with
    /// one is closed when it has expired.
    #[must_use]
    pub fn optional() -> Self {
        Self {
            required: false,
            claims: PhantomData,
        }
    }
}

impl<T> Default for AuthLayer<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Clone for AuthLayer<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for AuthLayer<T> {}

impl<T> fmt::Debug for AuthLayer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthLayer")
            .field("required", &self.required)
            .finish_non_exhaustive()
    }
}

impl<T: DeserializeOwned + Send + Sync + 'static> Layer<ConsumerService> for AuthLayer<T> {
    type Service = ConsumerService;

    fn layer(&self, inner: ConsumerService) -> ConsumerService {
        ConsumerService {
            consumer: Arc::new(Guarded {
                layer: *self,
                inner: inner.consumer,
            }),
        }
    }
}

/// A consumer behind the layer.
struct Guarded<T> {
    layer: AuthLayer<T>,
    inner: Arc<dyn Consume>,
}

impl<T: DeserializeOwned + Send + Sync + 'static> Consume for Guarded<T> {
    fn call(&self, context: Context) -> BoxFuture<'static, Result> {
        let (required, inner) = (self.layer.required, Arc::clone(&self.inner));
        Box::pin(async move {
            if context.event().is_some() && !lets_in::<T>(&context, required).await? {
                return Ok(());
            }
            inner.call(context).await
        })
    }

    fn check(&self, place: &Place<'_>) -> Result<(), String> {
        if place.kind() != PlaceKind::Custom {
            Auth::<T>::check(place)?;
        }
        self.inner.check(place)
    }
}

/// Whether the consumer runs.
async fn lets_in<T: DeserializeOwned + Send + Sync + 'static>(
    context: &Context,
    required: bool,
) -> Result<bool> {
    if required && context.kind() != PlaceKind::Disconnect {
        let _who: Auth<T> = context.extract().await?;
        return Ok(true);
    }
    let known: Option<Auth<T>> = context.extract().await?;
    Ok(known.is_some() || !required)
}
