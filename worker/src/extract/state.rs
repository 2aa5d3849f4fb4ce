//! The application's own values.

use std::ops::Deref;
use std::sync::Arc;

use super::{FromContext, short_name};
use crate::{Context, Error, Place, Result};

/// A value of the application, shared by all its consumers; which types there
/// are is said by [`States`](crate::States), and checked at start-up.
#[derive(Debug)]
pub struct State<T>(pub Arc<T>);

impl<T> Clone for State<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Deref for State<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

fn missing<T>() -> String {
    format!("the application has no state of type {}", short_name::<T>())
}

impl<T: Send + Sync + 'static> FromContext for State<T> {
    fn check(place: &Place<'_>) -> Result<(), String> {
        match place.states().get::<T>() {
            Some(_) => Ok(()),
            None => Err(missing::<T>()),
        }
    }

    async fn from_context(context: &Context) -> Result<Self> {
        get(context).map(Self)
    }
}

pub(crate) fn get<T: Send + Sync + 'static>(context: &Context) -> Result<Arc<T>> {
    let found = context.states().get();
    found.ok_or_else(|| Error::internal(missing::<T>()))
}
