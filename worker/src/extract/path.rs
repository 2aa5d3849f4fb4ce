//! The parameters of the path.

use std::sync::Arc;

use bytestring::ByteString;
use serde::de::DeserializeOwned;

use super::params::{self, ParamsError};
use super::{FromContext, short_name};
use crate::place::CONVERSATION;
use crate::{Context, Error, Place, Result};

/// The parameters of the path: a single value, or several as a tuple (by
/// order), a struct or a map (by name).
///
/// A parameter that cannot be read is the peer's bad payload; a type that can
/// never be made of the route's parameters is found at start-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send + 'static> FromContext for Path<T> {
    fn check(place: &Place<'_>) -> Result<(), String> {
        place.require("Path", CONVERSATION, "only a connection has a path")?;
        // What fails with empty values only by its values fits by its shape.
        let params: Vec<(Arc<str>, ByteString)> = place
            .params
            .iter()
            .map(|name| (Arc::clone(name), ByteString::new()))
            .collect();
        match params::deserialize::<T>(&params) {
            Err(ParamsError::Shape(reason)) => Err(format!("{}: {reason}", short_name::<Self>())),
            Ok(_) | Err(ParamsError::Value(_)) => Ok(()),
        }
    }

    async fn from_context(context: &Context) -> Result<Self> {
        read(context).map(Self)
    }
}

pub(super) fn read<T: DeserializeOwned>(context: &Context) -> Result<T> {
    params::deserialize(context.params()).map_err(|error| match error {
        ParamsError::Shape(reason) => Error::internal(reason),
        ParamsError::Value(reason) => Error::bad_payload(reason),
    })
}
