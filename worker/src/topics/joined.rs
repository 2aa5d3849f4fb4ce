//! What a topic's consumer answers a join with.

use bytes::Bytes;
use serde::Serialize;
use towpath_layer_core::Frame;

use super::TopicPayload;
use crate::{Error, Result};

/// What [`TopicConsumer::join`](super::TopicConsumer::join) answers with: the
/// conversation's value and a response, or a refusal.
///
/// ```
/// use towpath_worker::Joined;
///
/// struct Room {
///     name: String,
/// }
///
/// let room = Room { name: "lobby".to_owned() };
/// let joined = Joined::ok(room).with(&serde_json::json!({"seats": 4}));
/// let refused: Joined<Room> = Joined::refused(&serde_json::json!({"reason": "full"}));
/// ```
#[derive(Debug)]
pub struct Joined<C> {
    consumer: Option<C>,
    /// A value that could not be serialised fails the join, not the caller.
    response: Result<Frame>,
}

impl<C> Joined<C> {
    /// The client has joined; the response is `{}`.
    #[must_use]
    pub fn ok(consumer: C) -> Self {
        Self {
            consumer: Some(consumer),
            response: Ok(Frame::Text("{}".into())),
        }
    }

    /// With a value as JSON for the response.
    #[must_use]
    pub fn with<T: Serialize + ?Sized>(self, response: &T) -> Self {
        let response = TopicPayload::encode(response).map(Frame::from);
        Self { response, ..self }
    }

    /// With bytes for the response.
    #[must_use]
    pub fn with_bytes(self, response: impl Into<Bytes>) -> Self {
        let response = Ok(Frame::Bytes(response.into()));
        Self { response, ..self }
    }

    /// The join is refused, with a value as JSON for the response. The clients
    /// of Phoenix try again on a schedule until they leave.
    /// [`Error::rejected`] refuses with `{"reason": …}`.
    #[must_use]
    pub fn refused<T: Serialize + ?Sized>(response: &T) -> Self {
        Self {
            consumer: None,
            response: TopicPayload::encode(response).map(Frame::from),
        }
    }

    /// The value and the response, or the refusal as an error.
    pub(super) fn into_result(self) -> Result<(C, Frame)> {
        let response = self.response?;
        match self.consumer {
            Some(consumer) => Ok((consumer, response)),
            None => Err(Error::refused_with(response)),
        }
    }
}
