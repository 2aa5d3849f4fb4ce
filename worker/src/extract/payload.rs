//! What consumers send each other.

use serde::de::DeserializeOwned;
use towpath_layer_core::{Application, EventKind};

use super::{FromContext, short_name};
use crate::place::PlaceKind;
use crate::{Context, Error, Place, Result};

/// The content of a message on a channel of the application, or of an event of
/// the application, decoded.
///
/// What does not fit is the application's own fault: on a channel it is logged
/// and counted as a bad payload and the message is gone; in a conversation it
/// is an internal error, for the peer did nothing wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Payload<T>(pub T);

impl<T: DeserializeOwned + Send + 'static> FromContext for Payload<T> {
    fn check(place: &Place<'_>) -> Result<(), String> {
        let kinds = [PlaceKind::Application, PlaceKind::Custom];
        let needs = "it is what consumers send each other; a frame is Text, Bytes or Json";
        place.require("Payload", &kinds, needs)
    }

    async fn from_context(context: &Context) -> Result<Self> {
        let content = context.content()?;
        content.decode().map(Self).map_err(|error| {
            let reason = format!("the payload is not a {}", short_name::<T>());
            let failed = match context.event() {
                Some(_) => Error::internal(reason),
                None => Error::bad_payload(reason),
            };
            failed.caused_by(error)
        })
    }
}

/// An event of the application, with its name.
impl FromContext for Application {
    fn check(place: &Place<'_>) -> Result<(), String> {
        let needs = "only an event of the application has a name";
        place.require("Application", &[PlaceKind::Application], needs)
    }

    async fn from_context(context: &Context) -> Result<Self> {
        match context.event().map(|event| &event.kind) {
            Some(EventKind::Application(event)) => Ok((**event).clone()),
            _ => Err(context.lacks("name")),
        }
    }
}
