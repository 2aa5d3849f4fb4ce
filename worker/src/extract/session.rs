//! The state of a conversation, which travels with its events.

use std::ops::{Deref, DerefMut};

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use towpath_layer_core::Content;

use super::{FromContext, short_name};
use crate::place::CONVERSATION;
use crate::{Context, Error, Place, Result};

/// The state of the conversation: what the consumer before left; at connect
/// `T::default()`, or the first session that a server in which Towpath is
/// mounted, or a test, has given the conversation.
///
/// It travels with each event and goes back with the completion, so it is
/// small: the layer's `session_size_max` bounds it (16 KiB), and what is larger
/// fails the event. A change is kept when the `Session` is dropped before the
/// consumer returns, and when the consumer returns without an error. Bind it as
/// `mut session: Session<T>`; all consumers of a conversation name the same
/// `T`, and a consumer names it once.
#[derive(Debug)]
pub struct Session<T: Serialize> {
    value: T,
    changed: bool,
    context: Context,
}

impl<T: Serialize> Deref for Session<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: Serialize> DerefMut for Session<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.changed = true;
        &mut self.value
    }
}

/// A state as a session.
pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Bytes, String> {
    let content = Content::encode(value)
        .map_err(|error| format!("the session {}: {error}", short_name::<T>()))?;
    Ok(content.as_encoded().clone())
}

/// The state that a session is, if there is one yet.
pub(crate) fn decode<T: DeserializeOwned>(session: Bytes) -> Result<Option<T>> {
    if session.is_empty() {
        return Ok(None);
    }
    let decoded = Content::from_encoded(session).decode();
    decoded.map(Some).map_err(|error| {
        let expected = short_name::<T>();
        Error::internal(format!("the session is not a {expected}")).caused_by(error)
    })
}

impl<T: Serialize> Drop for Session<T> {
    fn drop(&mut self) {
        // A panicking consumer has failed, and its session is not kept; a
        // second panic, in `Serialize`, would end the process.
        if self.changed && !std::thread::panicking() {
            self.context.keep_session(encode(&self.value));
        }
    }
}

impl<T> FromContext for Session<T>
where
    T: Serialize + DeserializeOwned + Default + Send + 'static,
{
    fn check(place: &Place<'_>) -> Result<(), String> {
        place.require("Session", CONVERSATION, "a channel has no session")
    }

    async fn from_context(context: &Context) -> Result<Self> {
        let Some(session) = context.session() else {
            return Err(context.lacks("session"));
        };
        let value = decode(session)?.unwrap_or_default();
        Ok(Self {
            value,
            changed: false,
            context: context.clone(),
        })
    }
}
