//! A type as the consumer of a WebSocket that carries typed JSON.

use std::future::Future;
use std::marker::PhantomData;
use std::ops::Deref;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use towpath_layer_core::{Application, Delivery, Frame};

use crate::error::UnknownEvent;
use crate::extract::{read_json, short_name};
use crate::router::Websocket;
use crate::{Disconnected, Error, Result, Socket, WebsocketConsumer};

/// A type as the consumer of a WebSocket that carries typed JSON: as
/// [`WebsocketConsumer`], with a type for what comes in and one for what goes
/// out.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use towpath_worker::{JsonConsumer, JsonSocket, Result, Router};
///
/// #[derive(Serialize, Deserialize)]
/// struct Sum(i64);
///
/// #[derive(Deserialize)]
/// #[serde(rename_all = "snake_case")]
/// enum Request {
///     Add(i64),
///     Clear,
/// }
///
/// #[derive(Serialize)]
/// struct Now {
///     sum: i64,
/// }
///
/// impl JsonConsumer for Sum {
///     type Incoming = Request;
///     type Outgoing = Now;
///
///     async fn connect(_: &JsonSocket<Now>) -> Result<Self> {
///         Ok(Self(0))
///     }
///
///     async fn receive(&mut self, request: Request, socket: &JsonSocket<Now>) -> Result {
///         match request {
///             Request::Add(by) => self.0 += by,
///             Request::Clear => self.0 = 0,
///         }
///         socket.send(&Now { sum: self.0 }).await
///     }
/// }
///
/// let router = Router::new().route("/sum", Sum::websocket());
/// ```
pub trait JsonConsumer: Serialize + DeserializeOwned + Send + Sync + Sized + 'static {
    /// What the peer sends.
    type Incoming: DeserializeOwned + Send;
    /// What the peer is sent.
    type Outgoing: Serialize + Send + Sync + 'static;

    /// Answers a handshake; see [`WebsocketConsumer::connect`].
    ///
    /// # Errors
    ///
    /// Whatever keeps the connection from being accepted.
    fn connect(socket: &JsonSocket<Self::Outgoing>) -> impl Future<Output = Result<Self>> + Send;

    /// The groups that the conversation is a member of from its start. Default:
    /// none.
    fn groups(&self) -> Vec<String> {
        Vec::new()
    }

    /// A message arrived.
    ///
    /// # Errors
    ///
    /// As [`ErrorKind`](crate::ErrorKind) says for each kind.
    fn receive(
        &mut self,
        message: Self::Incoming,
        socket: &JsonSocket<Self::Outgoing>,
    ) -> impl Future<Output = Result> + Send;

    /// A frame arrived that is no message; `error` says where it does not fit.
    /// Default: the error as it is, which closes the connection with 1008.
    ///
    /// # Errors
    ///
    /// As [`receive`](Self::receive).
    fn misfit(
        &mut self,
        error: Error,
        socket: &JsonSocket<Self::Outgoing>,
    ) -> impl Future<Output = Result> + Send {
        let _ = socket;
        async { Err(error) }
    }

    /// Somebody sent an event; see [`WebsocketConsumer::event`]. Default: it
    /// fails.
    ///
    /// # Errors
    ///
    /// As [`receive`](Self::receive).
    fn event(
        &mut self,
        event: Application,
        socket: &JsonSocket<Self::Outgoing>,
    ) -> impl Future<Output = Result> + Send {
        let _ = socket;
        async move {
            let (this, name) = (short_name::<Self>(), event.name);
            Err(UnknownEvent(format!("{this} takes no event {name:?}")).into())
        }
    }

    /// The connection is gone; see [`WebsocketConsumer::disconnect`]. Default:
    /// nothing.
    ///
    /// # Errors
    ///
    /// They are logged; there is nobody else to tell.
    fn disconnect(
        &mut self,
        disconnected: Disconnected,
        socket: &JsonSocket<Self::Outgoing>,
    ) -> impl Future<Output = Result> + Send {
        let _default = (disconnected, socket);
        async { Ok(()) }
    }

    /// From a frame to a message; on a stream of a demultiplexer the frame is
    /// the payload. Default: JSON in a text or binary frame.
    ///
    /// # Errors
    ///
    /// [`Error::bad_payload`], for [`misfit`](Self::misfit).
    fn decode(frame: &Frame) -> Result<Self::Incoming> {
        read_json(frame)
    }

    /// From a message to the text of a frame. Default: JSON. On a stream of a
    /// demultiplexer it has to be JSON, for it becomes a part of a frame.
    ///
    /// # Errors
    ///
    /// What the serialisation says.
    fn encode(message: &Self::Outgoing) -> Result<String> {
        Ok(serde_json::to_string(message)?)
    }

    /// This type as the consumers of a route, or of a stream.
    #[must_use]
    fn websocket() -> Websocket {
        Typed::<Self>::websocket()
    }
}

/// A socket that is sent one type.
#[derive(Debug)]
pub struct JsonSocket<M> {
    socket: Socket,
    encode: fn(&M) -> Result<String>,
    message: PhantomData<fn(&M)>,
}

impl<M> Clone for JsonSocket<M> {
    fn clone(&self) -> Self {
        Self {
            socket: self.socket.clone(),
            ..*self
        }
    }
}

impl<M> Deref for JsonSocket<M> {
    type Target = Socket;

    fn deref(&self) -> &Socket {
        &self.socket
    }
}

impl<M> JsonSocket<M> {
    /// Sends a message to this connection.
    ///
    /// # Errors
    ///
    /// [`Error`] with the layer's [`SendError`](towpath_layer_core::SendError),
    /// or what the serialisation says.
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have sent the message or not.
    pub async fn send(&self, message: &M) -> Result {
        let json = (self.encode)(message)?;
        let reply = self.context().framing().encoded(json);
        self.reply(reply).await
    }

    /// Sends a message to every member of a group; encoded once.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have reached some nodes.
    pub async fn group_send(&self, group: impl AsRef<str>, message: &M) -> Result<Delivery> {
        let json = (self.encode)(message)?;
        let reply = self.context().framing().encoded(json);
        self.groups().send(group, reply).await
    }
}

/// A JSON consumer as a WebSocket consumer.
#[derive(Serialize, Deserialize)]
#[serde(transparent, bound = "C: JsonConsumer")]
struct Typed<C>(C);

fn typed<C: JsonConsumer>(socket: &Socket) -> JsonSocket<C::Outgoing> {
    JsonSocket {
        socket: socket.clone(),
        encode: C::encode,
        message: PhantomData,
    }
}

impl<C: JsonConsumer> WebsocketConsumer for Typed<C> {
    async fn connect(socket: &Socket) -> Result<Self> {
        C::connect(&typed::<C>(socket)).await.map(Self)
    }

    fn groups(&self) -> Vec<String> {
        self.0.groups()
    }

    async fn receive(&mut self, frame: Frame, socket: &Socket) -> Result {
        let socket = typed::<C>(socket);
        match C::decode(&frame) {
            Ok(message) => self.0.receive(message, &socket).await,
            Err(error) => self.0.misfit(error, &socket).await,
        }
    }

    async fn event(&mut self, event: Application, socket: &Socket) -> Result {
        self.0.event(event, &typed::<C>(socket)).await
    }

    async fn disconnect(&mut self, disconnected: Disconnected, socket: &Socket) -> Result {
        self.0.disconnect(disconnected, &typed::<C>(socket)).await
    }
}
