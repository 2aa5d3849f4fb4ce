//! Functions as consumers: from typed arguments to one erased form.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::extract::FromContext;
use crate::{Context, Error, Place, Result};

/// A function that can be used as a consumer.
///
/// It is implemented for async functions of up to eight arguments, each an
/// extractor, that return nothing or a [`Result`]; and for what
/// [`blocking`](crate::blocking) makes of a plain function.
#[diagnostic::on_unimplemented(
    message = "this function cannot be used as a consumer",
    label = "not a consumer",
    note = "a consumer is an `async fn` of up to eight arguments that returns `Result` or nothing",
    note = "every argument is an extractor (Path, Text, Json, Payload, Session, Socket, Groups, \
            Layer, State, …)",
    note = "what it reads is of serde: `Json<T>` and `Payload<T>` need `T: Deserialize`, `Session<T>` \
            needs `T: Default + Serialize + Deserialize`",
    note = "a plain `fn` becomes a consumer by `blocking(f)`"
)]
pub trait Handler<Arguments>: Clone + Send + Sync + Sized + 'static {
    /// Runs the consumer for one event.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the consumer where it waits; what it awaited
    /// before has happened.
    fn call(self, context: Context) -> impl Future<Output = Result> + Send + 'static;

    /// Whether the consumer can work at that place.
    ///
    /// # Errors
    ///
    /// What an argument needs and the place does not have.
    fn check(place: &Place<'_>) -> Result<(), String>;
}

/// What a consumer may return: nothing, or a [`Result`].
pub trait IntoResult {
    /// As a result.
    ///
    /// # Errors
    ///
    /// What the consumer returned.
    fn into_result(self) -> Result;
}

impl IntoResult for () {
    fn into_result(self) -> Result {
        Ok(())
    }
}

impl<E: Into<Error>> IntoResult for Result<(), E> {
    fn into_result(self) -> Result {
        self.map_err(Into::into)
    }
}

/// Calls a macro with each list of up to eight arguments.
macro_rules! for_each_arity {
    ($apply:ident) => {
        $apply!();
        $apply!(A1 a1);
        $apply!(A1 a1, A2 a2);
        $apply!(A1 a1, A2 a2, A3 a3);
        $apply!(A1 a1, A2 a2, A3 a3, A4 a4);
        $apply!(A1 a1, A2 a2, A3 a3, A4 a4, A5 a5);
        $apply!(A1 a1, A2 a2, A3 a3, A4 a4, A5 a5, A6 a6);
        $apply!(A1 a1, A2 a2, A3 a3, A4 a4, A5 a5, A6 a6, A7 a7);
        $apply!(A1 a1, A2 a2, A3 a3, A4 a4, A5 a5, A6 a6, A7 a7, A8 a8);
    };
}
pub(crate) use for_each_arity;

macro_rules! async_function {
    ($($type:ident $value:ident),*) => {
        impl<F, Fut, R, $($type),*> Handler<($($type,)*)> for F
        where
            F: Fn($($type),*) -> Fut + Clone + Send + Sync + 'static,
            Fut: Future<Output = R> + Send + 'static,
            R: IntoResult + 'static,
            $($type: FromContext,)*
        {
            #[allow(unused_variables, reason = "a consumer without arguments reads no context")]
            async fn call(self, context: Context) -> Result {
                $(let $value = $type::from_context(&context).await?;)*
                self($($value),*).await.into_result()
            }

            #[allow(unused_variables, reason = "a consumer without arguments works anywhere")]
            fn check(place: &Place<'_>) -> Result<(), String> {
                $($type::check(place)?;)*
                Ok(())
            }
        }
    };
}
for_each_arity!(async_function);

/// A consumer whose arguments are no longer visible. Functions become one, and
/// so does whatever else handles the events of one kind on one route.
pub(crate) trait Consume: Send + Sync + 'static {
    fn call(&self, context: Context) -> BoxFuture<'static, Result>;
    fn check(&self, place: &Place<'_>) -> Result<(), String>;
}

impl fmt::Debug for dyn Consume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Consumer")
    }
}

struct Erased<H, A> {
    handler: H,
    arguments: PhantomData<fn(A)>,
}

impl<H: Handler<A>, A: 'static> Consume for Erased<H, A> {
    fn call(&self, context: Context) -> BoxFuture<'static, Result> {
        Box::pin(self.handler.clone().call(context))
    }

    fn check(&self, place: &Place<'_>) -> Result<(), String> {
        H::check(place)
    }
}

pub(crate) fn erase<H: Handler<A>, A: 'static>(handler: H) -> Arc<dyn Consume> {
    Arc::new(Erased {
        handler,
        arguments: PhantomData,
    })
}
