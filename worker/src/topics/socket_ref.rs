//! A message that is answered later, from anywhere.

use bytes::Bytes;
use bytestring::ByteString;
use serde::{Deserialize, Serialize};
use towpath_layer_core::{ChannelName, Frame, Message, Reference, Reply, TopicReply};

use super::{TopicPayload, Topics, wire};
use crate::framing::Framing;
use crate::{Result, held};

/// A message that waits for its answer: made by
/// [`Topic::reply_ref`](super::Topic::reply_ref), kept or sent anywhere, and
/// answered from any task of any process. A client hears the first answer of
/// each status; a connection that is gone hears none.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use towpath_worker::{Payload, Result, SocketRef, Topics};
///
/// #[derive(Serialize, Deserialize)]
/// struct Job {
///     number: u32,
///     answer: SocketRef,
/// }
///
/// /// On a channel of the application, in some other process.
/// async fn work(Payload(job): Payload<Job>, topics: Topics) -> Result {
///     let square = job.number * job.number;
///     job.answer.reply(&topics, "ok", &serde_json::json!({"square": square})).await
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SocketRef {
    pub(super) channel: ChannelName,
    pub(super) reference: Reference,
    /// How the connection has its frames, if it is no socket with topics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) plain: Option<PlainRef>,
}

/// What a frame of a plain WebSocket needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PlainRef {
    pub(super) topic: ByteString,
    pub(super) stream: Option<ByteString>,
}

impl SocketRef {
    /// Answers with a status and any value as JSON.
    ///
    /// # Errors
    ///
    /// [`Error`](crate::Error) with the layer's
    /// [`SendError`](towpath_layer_core::SendError), or what the value's
    /// serialisation says.
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have sent the answer or not.
    pub async fn reply<T: Serialize + Sync + ?Sized>(
        &self,
        topics: &Topics,
        status: &str,
        response: &T,
    ) -> Result {
        let response = TopicPayload::encode(response)?;
        self.reply_payload(topics, status, response).await
    }

    /// Answers with a status and bytes.
    ///
    /// # Errors
    ///
    /// As [`reply`](Self::reply); bytes cannot go to a plain WebSocket.
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have sent the answer or not.
    pub async fn reply_bytes(
        &self,
        topics: &Topics,
        status: &str,
        response: impl Into<Bytes>,
    ) -> Result {
        let response = TopicPayload::binary(response);
        self.reply_payload(topics, status, response).await
    }

    /// Answers with a status and what is encoded already.
    ///
    /// # Errors
    ///
    /// As [`reply`](Self::reply); bytes cannot go to a plain WebSocket.
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have sent the answer or not.
    pub async fn reply_payload(
        &self,
        topics: &Topics,
        status: &str,
        response: TopicPayload,
    ) -> Result {
        let reply = self.message(status, response.into())?;
        held::flush().await;
        let message = Message::Reply(reply);
        Ok(topics.layer().send(&self.channel, message).await?)
    }

    fn message(&self, status: &str, response: Frame) -> Result<Reply> {
        let answer = TopicReply::Answer {
            reference: self.reference.clone(),
            status: status.into(),
            response,
        };
        match &self.plain {
            None => Ok(Reply {
                topic: vec![answer],
                ..Reply::default()
            }),
            Some(plain) => {
                let stream = plain.stream.clone();
                let frame = wire::frame(&plain.topic, &answer)?;
                Ok(Framing {
                    stream,
                    ..Framing::default()
                }
                .encoded(frame))
            }
        }
    }
}
