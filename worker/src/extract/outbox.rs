//! What goes out together, once the consumer has returned.

use std::time::Duration;

use bytes::Bytes;
use bytestring::ByteString;
use serde::Serialize;
use towpath_layer_core::{ChannelName, Content, GroupName, Message, Reply};

use super::FromContext;
use crate::effects::Effect;
use crate::framing::Framing;
use crate::topics::broadcast_effect;
use crate::{Context, Result};

/// Gathers what goes out together when the consumer has returned without an
/// error, and not at all when it fails.
///
/// It is sent in its order, before the event counts as done; sends that stand
/// beside each other are one batch. If the layer refuses one of them (a full
/// channel), the event has failed, and what stood before it or beside it has
/// been sent: effects and completion together are not atomic. One event's
/// outbox holds 1024 effects at most. What a task puts in after the consumer
/// has returned is not sent.
///
/// ```
/// use towpath_worker::{Json, Outbox, Result};
///
/// async fn order(Json(number): Json<u32>, outbox: Outbox) -> Result {
///     outbox.send("orders.ship", &number)?;
///     outbox.group_json("orders", &number)?;
///     if number == 0 {
///         number.checked_sub(1).ok_or(towpath_worker::Error::rejected("no such order"))?;
///     }
///     Ok(())
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Outbox {
    context: Context,
}

impl Outbox {
    pub(crate) fn of(context: &Context) -> Self {
        Self {
            context: context.clone(),
        }
    }

    /// A value for a channel of the application.
    ///
    /// # Errors
    ///
    /// An internal [`Error`](crate::Error) if the name is not valid, the value
    /// cannot be serialised, or the outbox is full.
    pub fn send<T: Serialize + ?Sized>(&self, channel: impl AsRef<str>, value: &T) -> Result {
        let channel = ChannelName::new(channel)?;
        let message = Message::Custom(Content::encode(value)?);
        self.context.put(Effect::Send(channel, message))
    }

    /// A value for a channel of the application, later; see
    /// [`Layer::send_after`](crate::Layer::send_after). It has no key.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_after<T: Serialize + ?Sized>(
        &self,
        delay: Duration,
        channel: impl AsRef<str>,
        value: &T,
    ) -> Result {
        let channel = ChannelName::new(channel)?;
        let message = Message::Custom(Content::encode(value)?);
        self.context.put(Effect::SendAfter(delay, channel, message))
    }

    /// A reply to any connection, by its reply channel.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn reply_to(&self, channel: &ChannelName, reply: impl Into<Reply>) -> Result {
        let message = Message::Reply(reply.into());
        self.context.put(Effect::Send(channel.clone(), message))
    }

    fn reply(&self, reply: Reply) -> Result {
        self.context.put_reply(reply)
    }

    /// A text frame for this connection.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), or if there is no connection.
    pub fn text(&self, text: impl Into<ByteString>) -> Result {
        self.reply(self.context.framing().text(text)?)
    }

    /// A binary frame for this connection.
    ///
    /// # Errors
    ///
    /// As [`text`](Self::text).
    pub fn bytes(&self, bytes: impl Into<Bytes>) -> Result {
        self.reply(self.context.framing().bytes(bytes)?)
    }

    /// A value as JSON for this connection.
    ///
    /// # Errors
    ///
    /// As [`text`](Self::text).
    pub fn json<T: Serialize + ?Sized>(&self, value: &T) -> Result {
        self.reply(self.context.framing().json(value)?)
    }

    /// The end of this connection, with a close code and a reason.
    ///
    /// # Errors
    ///
    /// As [`text`](Self::text).
    pub fn close(&self, code: u16, reason: impl Into<ByteString>) -> Result {
        self.reply(Reply::close(code, reason))
    }

    /// A reply to every member of a group.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn group_send(&self, group: impl AsRef<str>, reply: impl Into<Reply>) -> Result {
        let group = GroupName::new(group)?;
        self.context.put(Effect::GroupSend(group, reply.into()))
    }

    /// A text frame for every member of a group.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn group_text(&self, group: impl AsRef<str>, text: impl Into<ByteString>) -> Result {
        self.group_send(group, self.context.framing().text(text)?)
    }

    /// A value as JSON for every member of a group.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn group_json<T: Serialize + ?Sized>(&self, group: impl AsRef<str>, value: &T) -> Result {
        self.group_send(group, self.context.framing().json(value)?)
    }

    /// A broadcast to everybody who has joined a topic, as
    /// [`Topics::broadcast`](crate::Topics::broadcast) sends it.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), or if the value is no JSON object, or the name
    /// of topic or event is the protocol's own.
    pub fn broadcast<T: Serialize + ?Sized>(
        &self,
        topic: impl AsRef<str>,
        event: &str,
        payload: &T,
    ) -> Result {
        let effect = broadcast_effect(&self.context, topic.as_ref(), event, payload)?;
        self.context.put(effect)
    }

    /// An event for the consumers of every member of a group.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn group_event<T: Serialize + ?Sized>(
        &self,
        group: impl AsRef<str>,
        name: impl Into<ByteString>,
        value: &T,
    ) -> Result {
        self.group_send(group, Framing::event(name, value)?)
    }
}

impl FromContext for Outbox {
    async fn from_context(context: &Context) -> Result<Self> {
        Ok(Self::of(context))
    }
}
