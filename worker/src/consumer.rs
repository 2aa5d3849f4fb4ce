//! A value whose methods take the messages of several channels.

use std::any::{Any, TypeId};
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::extract::short_name;
use crate::handler::{Consume, Handler, erase};
use crate::{Context, Error, Filter, FromContext, Place, Result};

/// A value whose methods take the messages of several channels of the
/// application. The value is shared by all its calls: it holds what was
/// configured, not what was consumed. A router may have several of one type.
///
/// ```
/// use towpath_worker::{Consumer, Methods, Payload, Result, Router, This};
///
/// struct Thumbnails {
///     width: u32,
/// }
///
/// impl Consumer for Thumbnails {
///     fn methods(&self, methods: Methods<Self>) -> Methods<Self> {
///         methods.on("thumbnails.make", Self::make).on("thumbnails.delete", Self::delete)
///     }
/// }
///
/// impl Thumbnails {
///     async fn make(this: This<Self>, Payload(path): Payload<String>) {
///         println!("{path}, {} wide", this.width);
///     }
///
///     async fn delete(Payload(path): Payload<String>) {
///         println!("{path} is gone");
///     }
/// }
///
/// let router = Router::new().consumer(Thumbnails { width: 200 });
/// assert_eq!(router.channels().len(), 2);
/// ```
pub trait Consumer: Send + Sync + Sized + 'static {
    /// Which method takes the messages of which channel.
    fn methods(&self, methods: Methods<Self>) -> Methods<Self>;
}

/// Which method takes the messages of which channel; see [`Consumer`].
pub struct Methods<C> {
    methods: Vec<(String, Filter, Arc<dyn Consume>)>,
    this: std::marker::PhantomData<fn(C)>,
}

impl<C: Consumer> Methods<C> {
    pub(crate) fn new() -> Self {
        Self {
            methods: Vec::new(),
            this: std::marker::PhantomData,
        }
    }

    /// A method: any function that can be a consumer. It takes the value as
    /// [`This<Self>`](This), if it needs it.
    #[must_use]
    pub fn on<H: Handler<A>, A: 'static>(self, channel: &str, method: H) -> Self {
        self.on_when(channel, Filter::default(), method)
    }

    /// A method for the messages of a channel that fit a filter.
    #[must_use]
    pub fn on_when<H: Handler<A>, A: 'static>(
        mut self,
        channel: &str,
        filter: Filter,
        method: H,
    ) -> Self {
        self.methods
            .push((channel.to_owned(), filter, erase(method)));
        self
    }

    /// The methods of one value.
    pub(crate) fn bind(self, this: C) -> Vec<(String, Filter, Arc<dyn Consume>)> {
        let this = Arc::new(this);
        let methods = self.methods.into_iter().map(|(channel, filter, method)| {
            let this = Arc::clone(&this);
            let bound: Arc<dyn Consume> = Arc::new(Bound { this, method });
            (channel, filter, bound)
        });
        methods.collect()
    }
}

impl<C> fmt::Debug for Methods<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let channels = self.methods.iter().map(|(channel, ..)| channel);
        f.debug_list().entries(channels).finish()
    }
}

struct Bound<C> {
    this: Arc<C>,
    method: Arc<dyn Consume>,
}

impl<C: Consumer> Consume for Bound<C> {
    fn call(&self, context: Context) -> BoxFuture<'static, Result> {
        let this = Arc::clone(&self.this) as Arc<dyn Any + Send + Sync>;
        self.method.call(context.with_this(this))
    }

    fn check(&self, place: &Place<'_>) -> Result<(), String> {
        let place = Place {
            this: Some(TypeId::of::<C>()),
            ..*place
        };
        self.method.check(&place)
    }
}

/// The value whose method the consumer is; see [`Consumer`].
#[derive(Debug)]
pub struct This<C>(pub Arc<C>);

impl<C> Clone for This<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<C> Deref for This<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.0
    }
}

impl<C: Send + Sync + 'static> FromContext for This<C> {
    fn check(place: &Place<'_>) -> Result<(), String> {
        match place.this {
            Some(this) if this == TypeId::of::<C>() => Ok(()),
            Some(_) => Err(format!("this is no method of a {}", short_name::<C>())),
            None => Err("only the methods of a Consumer can take This".to_owned()),
        }
    }

    async fn from_context(context: &Context) -> Result<Self> {
        let this = context.this().cloned().map(Arc::downcast);
        match this {
            Some(Ok(this)) => Ok(Self(this)),
            Some(Err(_)) | None => {
                let expected = short_name::<C>();
                Err(Error::internal(format!(
                    "this is no method of a {expected}"
                )))
            }
        }
    }
}
