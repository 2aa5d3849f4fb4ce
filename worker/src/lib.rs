//! Workers: they take events and messages off a channel layer and run the
//! application's consumers.
//!
//! A consumer is an async function whose arguments say what it needs; a
//! [`Router`] says which consumer gets what; a [`Worker`] runs them.
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use towpath_worker::{Groups, Json, Path, Payload, Result, Router, Socket, websocket};
//!
//! #[derive(Deserialize)]
//! struct Incoming {
//!     text: String,
//! }
//!
//! #[derive(Serialize, Deserialize)]
//! struct Said {
//!     room: String,
//!     text: String,
//! }
//!
//! async fn connect(Path(room): Path<String>, socket: Socket, groups: Groups) -> Result {
//!     groups.add(format!("chat.{room}")).await?;
//!     socket.accept().await
//! }
//!
//! async fn receive(Path(room): Path<String>, Json(said): Json<Incoming>, groups: Groups) -> Result {
//!     let group = format!("chat.{room}");
//!     let said = Said { room, text: said.text };
//!     groups.send_event(group, "chat.message", &said).await?;
//!     Ok(())
//! }
//!
//! async fn deliver(Payload(said): Payload<Said>, socket: Socket) -> Result {
//!     socket.json(&said).await
//! }
//!
//! let chat = websocket().connect(connect).receive(receive).on("chat.message", deliver);
//! let router = Router::new().route("/chat/{room}", chat);
//! # router.check(&towpath_worker::States::new())?;
//! # Ok::<(), towpath_worker::RouteErrors>(())
//! ```
//!
//! Write `Session<T>` for what a connection has to remember, not a map in a
//! `State<T>`: the next event may go to another process. Write
//! [`blocking`]`(f)` for a function that blocks, not a slow `async fn`.
//!
//! The crate knows the layer's contract (`towpath-layer-core`) and no backend,
//! and nothing of sockets.

#[cfg(feature = "tokens")]
mod auth;
mod blocking;
mod config;
mod consumer;
mod context;
mod demultiplexer;
mod effects;
mod envelope;
mod error;
mod extract;
mod framing;
mod handler;
mod held;
mod identity;
mod json_consumer;
mod limit;
mod meter;
mod middleware;
#[cfg(feature = "phoenix-tokens")]
mod phoenix_token;
mod place;
mod prepared;
mod router;
mod runtime;
mod states;
mod topics;
mod trace;
mod wall;
mod websocket_consumer;

#[cfg(feature = "tokens")]
pub use auth::{
    Algorithm, Auth, AuthLayer, Authenticator, Claims, Key, KeyError, Keys, SignError, TokenError,
};
pub use blocking::{Blocking, BlockingArguments, blocking, wait};
pub use config::WorkerConfig;
pub use consumer::{Consumer, Methods, This};
pub use context::Context;
pub use cookie::Cookie;
#[cfg(feature = "signed-cookies")]
pub use cookie::Key as CookieKey;
pub use demultiplexer::{Demultiplexer, demultiplexer};
pub use error::{Error, ErrorKind, Result};
pub use extract::{
    Connection, Cookies, Disconnected, FromContext, Groups, Headers, Json, Layer, Outbox, Path,
    Payload, Query, Session, Socket, State, Text,
};
pub use handler::{Handler, IntoResult};
pub use json_consumer::{JsonConsumer, JsonSocket};
pub use limit::{Rate, RateLimit, RateLimited};
pub use middleware::{ConsumerService, Middleware};
#[cfg(feature = "phoenix-tokens")]
pub use phoenix_token::{
    KeyDigest, MaxAge, PhoenixKeyError, PhoenixSignError, PhoenixTokenError, PhoenixTokens, Term,
    TermError,
};
pub use place::{Place, PlaceKind};
pub use prepared::Prepared;
pub use router::{
    Field, Filter, IntoWebsocket, RouteError, RouteErrors, Router, Websocket, field, header, query,
    websocket,
};
pub use runtime::{Worker, WorkerError};
pub use states::States;
pub use topics::{
    Answer, ConnectInfo, Heard, Info, Joined, PresenceMeta, Presences, Present, SocketMount,
    SocketParams, SocketRef, Subscription, TerminateReason, Terminated, Topic, TopicConsumer,
    TopicPayload, TopicRoutes, TopicSocket, TopicSpec, Topics, Transport, Vsn, Watch, topics,
};
pub use trace::{TraceLayer, Traced};
pub use websocket_consumer::WebsocketConsumer;
