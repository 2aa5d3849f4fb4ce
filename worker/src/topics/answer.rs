//! What a topic's consumer answers a message with.

use bytes::Bytes;
use bytestring::ByteString;
use serde::Serialize;
use towpath_layer_core::Frame;

use super::TopicPayload;
use crate::Result;

/// What [`TopicConsumer::handle_in`](super::TopicConsumer::handle_in) answers a
/// message with, and whether the topic then ends for this client.
///
/// ```
/// use towpath_worker::Answer;
///
/// let quiet = Answer::none();
/// let done = Answer::done();
/// let sum = Answer::ok(&serde_json::json!({"sum": 3}));
/// let last = Answer::ok(&serde_json::json!({"bye": true})).stop();
/// ```
#[derive(Debug, Default)]
pub struct Answer {
    /// A value that could not be serialised fails the event, not the caller.
    reply: Option<(ByteString, Result<Frame>)>,
    stop: bool,
}

impl Answer {
    /// No answer.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// The status `ok`, and `{}`.
    #[must_use]
    pub fn done() -> Self {
        Self::of("ok".into(), Ok(Frame::Text("{}".into())))
    }

    /// The status `ok`, with any value as JSON.
    #[must_use]
    pub fn ok<T: Serialize + ?Sized>(response: &T) -> Self {
        Self::status("ok", response)
    }

    /// The status `error`, with any value as JSON.
    #[must_use]
    pub fn error<T: Serialize + ?Sized>(response: &T) -> Self {
        Self::status("error", response)
    }

    /// A status of the application's, with any value as JSON. The clients of
    /// Phoenix treat `ok`, `error` and `timeout` in a special way.
    #[must_use]
    pub fn status<T: Serialize + ?Sized>(status: impl Into<ByteString>, response: &T) -> Self {
        let response = TopicPayload::encode(response).map(Frame::from);
        Self::of(status.into(), response)
    }

    /// A status with bytes.
    #[must_use]
    pub fn bytes(status: impl Into<ByteString>, response: impl Into<Bytes>) -> Self {
        Self::payload(status, TopicPayload::binary(response))
    }

    /// A status with what came in, or was encoded before, as it is.
    #[must_use]
    pub fn payload(status: impl Into<ByteString>, response: TopicPayload) -> Self {
        Self::of(status.into(), Ok(response.into()))
    }

    /// The topic ends for this client, in good order, once it has the answer;
    /// it does not join again by itself.
    #[must_use]
    pub fn stop(mut self) -> Self {
        self.stop = true;
        self
    }

    fn of(status: ByteString, response: Result<Frame>) -> Self {
        Self {
            reply: Some((status, response)),
            stop: false,
        }
    }

    /// Status and response, if there is one, and whether the topic ends.
    pub(super) fn into_parts(self) -> Result<(Option<(ByteString, Frame)>, bool)> {
        let reply = match self.reply {
            Some((status, response)) => Some((status, response?)),
            None => None,
        };
        Ok((reply, self.stop))
    }
}
