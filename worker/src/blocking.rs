//! Plain functions as consumers, on threads that may block.

use std::future::Future;
use std::sync::Arc;

use tokio::runtime::Handle;

use crate::extract::FromContext;
use crate::handler::{IntoResult, for_each_arity};
use crate::{Context, Error, Handler, Place, Result, held};

/// Makes a consumer of a plain function; it takes the same arguments, and runs
/// on a thread of its own where it may block.
///
/// It cannot be cancelled: past `consumer_timeout` the event has failed, and
/// what the function still does is its own. As many run at once as the worker
/// has [`concurrency`](crate::WorkerConfig::concurrency), such late ones
/// included; the next waits.
///
/// ```
/// use towpath_worker::{Payload, Result, Router, blocking};
///
/// fn resize(Payload(path): Payload<String>) -> Result {
///     std::fs::read(path)?;
///     Ok(())
/// }
///
/// let router = Router::new().channel("thumbnails.make", blocking(resize));
/// ```
pub fn blocking<F>(function: F) -> Blocking<F> {
    Blocking { function }
}

/// Waits for a future inside a [`blocking`] consumer: `wait(socket.text("hi"))`.
///
/// # Panics
///
/// Outside a blocking consumer, because there it would stop the thread on which
/// the future runs.
pub fn wait<F: Future>(future: F) -> F::Output {
    Handle::current().block_on(future)
}

/// A plain function as a consumer; see [`blocking`].
#[derive(Debug, Clone)]
pub struct Blocking<F> {
    function: F,
}

/// Marks the arguments of a plain function.
#[derive(Debug)]
pub struct BlockingArguments<A>(std::marker::PhantomData<fn(A)>);

/// Runs on a thread that may block, once fewer than the bound do.
async fn offload<R: Send + 'static>(
    context: &Context,
    function: impl FnOnce() -> R + Send + 'static,
) -> Result<R> {
    // What was written before leaves before what the function writes.
    held::flush().await;
    let permits = Arc::clone(&context.environment().blocking);
    let permit = permits.acquire_owned().await?;
    let running = tokio::task::spawn_blocking(move || {
        let result = function();
        drop(permit);
        result
    });
    match running.await {
        Ok(result) => Ok(result),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => Err(Error::from(error)),
        },
    }
}

macro_rules! blocking_function {
    ($($type:ident $value:ident),*) => {
        #[diagnostic::do_not_recommend]
        impl<F, R, $($type),*> Handler<BlockingArguments<($($type,)*)>> for Blocking<F>
        where
            F: Fn($($type),*) -> R + Clone + Send + Sync + 'static,
            R: IntoResult + 'static,
            $($type: FromContext,)*
        {
            async fn call(self, context: Context) -> Result {
                $(let $value = $type::from_context(&context).await?;)*
                let function = self.function;
                offload(&context, move || function($($value),*).into_result()).await?
            }

            #[allow(unused_variables, reason = "a consumer without arguments works anywhere")]
            fn check(place: &Place<'_>) -> Result<(), String> {
                $($type::check(place)?;)*
                Ok(())
            }
        }
    };
}
for_each_arity!(blocking_function);
