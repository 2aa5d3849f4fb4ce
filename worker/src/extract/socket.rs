//! The connection itself: what is written to it.

use bytes::Bytes;
use bytestring::ByteString;
use serde::Serialize;
use towpath_layer_core::{Accept, Application, ChannelName, Content, Deny, Message, Reply};

use super::FromContext;
use crate::place::CONVERSATION;
use crate::{Context, Error, Place, Result};

/// The connection that the event is about: accepts, denies, writes, closes.
///
/// Each call takes effect when awaited, in the order of the calls. A
/// connection that is gone drops what is sent to it.
#[derive(Debug, Clone)]
pub struct Socket {
    context: Context,
    reply_channel: ChannelName,
}

impl Socket {
    /// Where this connection's replies go; whoever has it can write to it.
    #[must_use]
    pub fn reply_channel(&self) -> &ChannelName {
        &self.reply_channel
    }

    /// Opens the socket.
    ///
    /// # Errors
    ///
    /// [`Error`] with the layer's [`SendError`](towpath_layer_core::SendError).
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have answered or not.
    pub async fn accept(&self) -> Result {
        self.accept_with(Accept::default()).await
    }

    /// Opens the socket with one of the subprotocols that the peer offers.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have answered or not.
    pub async fn accept_subprotocol(&self, subprotocol: impl Into<ByteString>) -> Result {
        let accept = Accept {
            subprotocol: Some(subprotocol.into()),
            headers: Vec::new(),
        };
        self.accept_with(accept).await
    }

    /// Opens the socket with a subprotocol and header fields.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have answered or not.
    pub async fn accept_with(&self, accept: Accept) -> Result {
        self.reply(Reply {
            accept: Some(Box::new(accept)),
            ..Reply::default()
        })
        .await
    }

    /// Refuses the handshake with an HTTP status from 400 to 599 and a body.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept), or an internal [`Error`] for another status.
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have answered or not.
    pub async fn deny(&self, status: u16, body: impl Into<Bytes>) -> Result {
        self.deny_with(Deny {
            status,
            headers: Vec::new(),
            body: body.into(),
        })
        .await
    }

    /// Refuses the handshake with header fields too.
    ///
    /// # Errors
    ///
    /// As [`deny`](Self::deny).
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have answered or not.
    pub async fn deny_with(&self, deny: Deny) -> Result {
        let mut checked = Error::deny_with(deny);
        let Some(deny) = checked.take_deny() else {
            return Err(checked);
        };
        self.reply(Reply {
            deny: Some(Box::new(deny)),
            ..Reply::default()
        })
        .await
    }

    /// Writes a text frame.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have written the frame or not.
    pub async fn text(&self, text: impl Into<ByteString>) -> Result {
        self.reply(Reply::text(text)).await
    }

    /// Writes a binary frame.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have written the frame or not.
    pub async fn bytes(&self, bytes: impl Into<Bytes>) -> Result {
        self.reply(Reply::bytes(bytes)).await
    }

    /// Writes a value as JSON in a text frame.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept), or what the value's serialisation says.
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have written the frame or not.
    pub async fn json<T: Serialize + Sync + ?Sized>(&self, value: &T) -> Result {
        self.text(serde_json::to_string(value)?).await
    }

    /// Closes the socket (RFC 6455 §7.4: 1000 is a normal end); the reason has
    /// at most 123 bytes.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have closed the socket or not.
    pub async fn close(&self, code: u16, reason: impl Into<ByteString>) -> Result {
        self.reply(Reply::close(code, reason)).await
    }

    /// Sends an event to the conversation's own consumer of that name.
    ///
    /// # Errors
    ///
    /// As [`json`](Self::json).
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have sent the event or not.
    pub async fn event<T: Serialize + Sync + ?Sized>(
        &self,
        name: impl Into<ByteString>,
        value: &T,
    ) -> Result {
        let content = Content::encode(value)?;
        let name = name.into();
        self.reply(Reply::event(Application { name, content }))
            .await
    }

    /// Sends any reply.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have sent the reply or not.
    pub async fn reply(&self, reply: Reply) -> Result {
        let answers = reply.accept.is_some()
            || reply.deny.is_some()
            || reply.frame.is_some()
            || reply.close.is_some();
        let layer = self.context.layer();
        layer
            .send(&self.reply_channel, Message::Reply(reply))
            .await?;
        if answers {
            self.context.note_answer();
        }
        Ok(())
    }
}

impl FromContext for Socket {
    fn check(place: &Place<'_>) -> Result<(), String> {
        place.require("Socket", CONVERSATION, "a channel has no connection")
    }

    async fn from_context(context: &Context) -> Result<Self> {
        Ok(Self {
            reply_channel: context.reply_channel()?.clone(),
            context: context.clone(),
        })
    }
}
