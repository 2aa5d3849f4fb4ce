//! A type as the consumer of a WebSocket: its fields are the session.

use std::future::Future;

use bytes::Bytes;
use futures_util::future::try_join_all;
use serde::Serialize;
use serde::de::DeserializeOwned;
use towpath_layer_core::{Application, Frame};

use crate::effects::Answer;
use crate::error::UnknownEvent;
use crate::extract::session::{decode, encode};
use crate::extract::short_name;
use crate::router::{Websocket, websocket};
use crate::{Context, Disconnected, Error, FromContext, Groups, Result, Socket};

/// A type as the consumer of a WebSocket. A value of it is one conversation,
/// and its fields are the conversation's session: they travel with each event
/// and go back with its completion. So any worker can take the next event, and
/// a restart of every worker loses nothing. Keep the fields few and small: the
/// layer's `session_size_max` bounds them (16 KiB).
///
/// When a method returns an error the fields are as they were before it.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use towpath_worker::{Result, Router, Socket, WebsocketConsumer};
///
/// #[derive(Serialize, Deserialize)]
/// struct Chat {
///     room: String,
///     said: u32,
/// }
///
/// impl WebsocketConsumer for Chat {
///     async fn connect(socket: &Socket) -> Result<Self> {
///         Ok(Self { room: socket.path()?, said: 0 })
///     }
///
///     fn groups(&self) -> Vec<String> {
///         vec![format!("chat.{}", self.room)]
///     }
///
///     async fn receive_text(&mut self, text: &str, socket: &Socket) -> Result {
///         self.said += 1;
///         let line = format!("{}: {text}", self.said);
///         socket.groups().send_text(format!("chat.{}", self.room), line).await?;
///         Ok(())
///     }
/// }
///
/// let router = Router::new().route("/chat/{room}", Chat::websocket());
/// ```
pub trait WebsocketConsumer: Serialize + DeserializeOwned + Send + Sync + Sized + 'static {
    /// Answers a handshake: makes the value, or refuses with an error
    /// ([`Error::rejected`], [`Error::deny`], [`Error::close`]).
    ///
    /// Once it has returned, the [`groups`](Self::groups) are joined, and then
    /// the connection is accepted. What it writes to the socket meanwhile
    /// (`accept_subprotocol`, a first frame) waits for that, and is not sent if
    /// it refuses. What it sends to a group goes out at once and does not reach
    /// its own connection, which is not a member yet; what it puts into
    /// [`Socket::outbox`] does.
    ///
    /// # Errors
    ///
    /// Whatever keeps the connection from being accepted.
    fn connect(socket: &Socket) -> impl Future<Output = Result<Self>> + Send;

    /// The groups that the conversation is a member of from its start. It
    /// leaves them by itself when it ends. Default: none.
    fn groups(&self) -> Vec<String> {
        Vec::new()
    }

    /// A frame arrived. Default: [`receive_text`](Self::receive_text) or
    /// [`receive_bytes`](Self::receive_bytes).
    ///
    /// # Errors
    ///
    /// As [`ErrorKind`](crate::ErrorKind) says for each kind.
    fn receive(&mut self, frame: Frame, socket: &Socket) -> impl Future<Output = Result> + Send {
        async move {
            match frame {
                Frame::Text(text) => {
                    let text = socket.context().framing().read_text(text)?;
                    self.receive_text(&text, socket).await
                }
                Frame::Bytes(bytes) => self.receive_bytes(bytes, socket).await,
            }
        }
    }

    /// A text frame arrived; on a stream of a demultiplexer, a JSON string.
    /// Default: it is the peer's mistake.
    ///
    /// # Errors
    ///
    /// As [`receive`](Self::receive).
    fn receive_text(&mut self, text: &str, socket: &Socket) -> impl Future<Output = Result> + Send {
        let _ = (text, socket);
        async { Err(Error::bad_payload("no text frame is expected")) }
    }

    /// A binary frame arrived. Default: it is the peer's mistake.
    ///
    /// # Errors
    ///
    /// As [`receive`](Self::receive).
    fn receive_bytes(
        &mut self,
        bytes: Bytes,
        socket: &Socket,
    ) -> impl Future<Output = Result> + Send {
        let _default = (bytes, socket);
        async { Err(Error::bad_payload("no binary frame is expected")) }
    }

    /// Somebody sent an event: `Groups::send_event` to a group of this
    /// conversation, `Socket::event`, or a tick. Default: it fails, as
    /// [`Error::unknown_event`] does.
    ///
    /// On a stream of a demultiplexer what somebody sends to a group or to the
    /// connection comes to every stream: answer [`Error::unknown_event`] to what
    /// is for others. Ticks, and what a stream sends itself, reach that stream
    /// alone.
    ///
    /// # Errors
    ///
    /// As [`receive`](Self::receive).
    fn event(
        &mut self,
        event: Application,
        socket: &Socket,
    ) -> impl Future<Output = Result> + Send {
        let _ = socket;
        async move {
            let (this, name) = (short_name::<Self>(), event.name);
            Err(UnknownEvent(format!("{this} takes no event {name:?}")).into())
        }
    }

    /// The connection is gone. It is not called if [`connect`](Self::connect)
    /// made no value. Default: nothing.
    ///
    /// It is in no group any more: who is listed as a member is left.
    ///
    /// # Errors
    ///
    /// They are logged; there is nobody else to tell.
    fn disconnect(
        &mut self,
        disconnected: Disconnected,
        socket: &Socket,
    ) -> impl Future<Output = Result> + Send {
        let _default = (disconnected, socket);
        async { Ok(()) }
    }

    /// This type as the consumers of a route, or of a stream.
    #[must_use]
    fn websocket() -> Websocket {
        websocket()
            .connect(connect::<Self>)
            .receive(receive::<Self>)
            .on_other(event::<Self>)
            .disconnect(disconnect::<Self>)
    }
}

async fn connect<C: WebsocketConsumer>(context: Context) -> Result {
    let socket = Socket::from_context(&context.holding()).await?;
    let consumer = C::connect(&socket).await?;
    if context.answer() != Some(Answer::Refused) {
        let groups = Groups::of(&context);
        try_join_all(consumer.groups().iter().map(|group| groups.add(group))).await?;
    }
    context.keep_session(encode(&consumer));
    Ok(())
}

async fn receive<C: WebsocketConsumer>(frame: Frame, context: Context) -> Result {
    let (mut consumer, socket) = load::<C>(&context).await?;
    consumer.receive(frame, &socket).await?;
    context.keep_session(encode(&consumer));
    Ok(())
}

async fn event<C: WebsocketConsumer>(event: Application, context: Context) -> Result {
    let (mut consumer, socket) = load::<C>(&context).await?;
    consumer.event(event, &socket).await?;
    context.keep_session(encode(&consumer));
    Ok(())
}

async fn disconnect<C: WebsocketConsumer>(context: Context, gone: Disconnected) -> Result {
    // A handshake that was answered by a close has no value behind it.
    let Some(mut consumer) = value::<C>(&context)? else {
        return Ok(());
    };
    let socket = Socket::from_context(&context).await?;
    consumer.disconnect(gone, &socket).await
}

fn value<C: WebsocketConsumer>(context: &Context) -> Result<Option<C>> {
    decode(context.session().unwrap_or_default())
}

async fn load<C: WebsocketConsumer>(context: &Context) -> Result<(C, Socket)> {
    let lacks = || Error::internal(format!("there is no {} yet", short_name::<C>()));
    let consumer = value(context)?.ok_or_else(lacks)?;
    Ok((consumer, Socket::from_context(context).await?))
}
