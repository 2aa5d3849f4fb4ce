//! The connection itself: what is written to it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use bytestring::ByteString;
use serde::Serialize;
use serde::de::DeserializeOwned;
use towpath_layer_core::{Accept, ChannelName, DelayKey, Deny, Message, Reply};

use super::{FromContext, Groups, Layer, Outbox};
use crate::effects::Answer;
use crate::place::CONVERSATION;
use crate::{Context, Error, Place, Result, held};

/// The connection that the event is about: accepts, denies, writes, closes.
///
/// Each call takes effect when awaited, in the order of the calls and of those
/// on [`Groups`] and [`Layer`]. What is written last and is small (2 KiB)
/// leaves as soon as the consumer waits for something or returns: with its
/// completion then, in one message, which is sent again until
/// `consumer_timeout` if the layer is out of reach. If it could not be sent
/// before that, writing fails from then on, and the event is lost. A call
/// straight on the [`ChannelLayer`](towpath_layer_core::ChannelLayer) may
/// overtake it; [`flush`](Self::flush) is for those. What is written in the `connect` of a [`WebsocketConsumer`](crate::WebsocketConsumer)
/// waits until it has returned and its groups are joined, and what is written
/// in the `connect` of a demultiplexer's stream until all streams have agreed;
/// if one refuses it is never sent. A connection that is gone drops what is
/// sent to it.
///
/// On a stream of a demultiplexer text and JSON are wrapped in the stream's
/// name; a text is a JSON string there, on its way in too.
#[derive(Debug, Clone)]
pub struct Socket {
    context: Context,
    reply_channel: ChannelName,
}

impl Socket {
    pub(crate) fn of(context: &Context) -> Result<Self> {
        Ok(Self {
            reply_channel: context.reply_channel()?.clone(),
            context: context.clone(),
        })
    }

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
        self.reply(self.context.framing().text(text)?).await
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
        self.reply(self.context.framing().bytes(bytes)?).await
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
        self.reply(self.context.framing().json(value)?).await
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

    /// Sends an event to the conversation's own consumer of that name; on a
    /// stream of a demultiplexer to that of the stream.
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
        let framing = self.context.framing();
        self.reply(framing.own_event(name, value)?).await
    }

    /// Sends an event to the conversation's own consumer later; it is gone with
    /// the connection. The key cancels it: `Layer::cancel`.
    ///
    /// # Errors
    ///
    /// As [`event`](Self::event), or if the delay is longer than the layer's
    /// `delay_max`, or as many as `delayed_max` wait for this connection.
    ///
    /// # Cancel safety
    ///
    /// A dropped future may leave the event waiting.
    pub async fn event_after<T: Serialize + Sync + ?Sized>(
        &self,
        delay: Duration,
        name: impl Into<ByteString>,
        value: &T,
    ) -> Result<DelayKey> {
        let framing = self.context.framing();
        let message = Message::Reply(framing.own_event(name, value)?);
        held::flush().await;
        let layer = self.context.layer();
        Ok(layer
            .send_after(delay, &self.reply_channel, message)
            .await?)
    }

    /// Sends the conversation's own consumer an event without content, again
    /// and again, until the connection ends or [`stop_ticking`](Self::stop_ticking).
    ///
    /// The node that holds the connection keeps the time: a tick costs nothing
    /// until it is due, and survives every worker. One that is due while the
    /// one before it still waits is left out. The shortest period is 100 ms, and
    /// a connection has 16 kinds of ticks at most, all its streams together.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have started the ticks or not.
    pub async fn tick_every(&self, period: Duration, name: impl Into<ByteString>) -> Result {
        let framing = self.context.framing();
        self.reply(framing.tick(name, Some(period))).await
    }

    /// Ends the ticks of one name; fine if there are none.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have ended the ticks or not.
    pub async fn stop_ticking(&self, name: impl Into<ByteString>) -> Result {
        let framing = self.context.framing();
        self.reply(framing.tick(name, None)).await
    }

    /// Sends any reply, as it is.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have sent the reply or not.
    pub async fn reply(&self, reply: impl Into<Reply>) -> Result {
        let mut reply = reply.into();
        self.context.check_reply(&reply)?;
        if self.context.holds() {
            return self.context.put_reply(reply);
        }
        self.context.complete_accept(&mut reply);
        let answer = Answer::of(&reply);
        held::reply(&self.context, reply).await?;
        self.context.note_answer(answer, false);
        Ok(())
    }

    /// Waits until all that was written to this connection is with the layer:
    /// for a consumer that then computes for long or blocks its thread. One
    /// that waits, or asks anything else of the layer, needs no flush.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept), if something was not sent.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn flush(&self) -> Result {
        held::flushed(&self.context).await
    }

    /// The event as other extractors see it.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// What an extractor makes of the event, where it cannot be an argument:
    /// `let Path(room): Path<String> = socket.extract().await?`.
    ///
    /// # Errors
    ///
    /// Those of the extractor.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes nothing from the event.
    pub async fn extract<E: FromContext>(&self) -> Result<E> {
        self.context.extract().await
    }

    /// The path's parameters, as [`Path`](crate::Path) reads them.
    ///
    /// # Errors
    ///
    /// As the extractor's.
    pub fn path<T: DeserializeOwned>(&self) -> Result<T> {
        super::path::read(&self.context)
    }

    /// A value of the application, as [`State`](crate::State) has it.
    ///
    /// # Errors
    ///
    /// An internal [`Error`] if the application has none of that type.
    pub fn state<T: Send + Sync + 'static>(&self) -> Result<Arc<T>> {
        super::state::get(&self.context)
    }

    /// The groups of the layer.
    #[must_use]
    pub fn groups(&self) -> Groups {
        Groups::of(&self.context)
    }

    /// The layer.
    #[must_use]
    pub fn layer(&self) -> Layer {
        Layer::new(Arc::clone(self.context.layer()))
    }

    /// What goes out together once the consumer has returned.
    #[must_use]
    pub fn outbox(&self) -> Outbox {
        Outbox::of(&self.context)
    }
}

impl FromContext for Socket {
    fn check(place: &Place<'_>) -> Result<(), String> {
        place.require("Socket", CONVERSATION, "a channel has no connection")
    }

    async fn from_context(context: &Context) -> Result<Self> {
        Self::of(context)
    }
}
