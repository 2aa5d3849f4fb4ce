//! Everything that an application is usually made of.
//!
//! ```
//! use towpath::prelude::*;
//! ```

pub use bytes::Bytes;
pub use towpath_layer_core::{
    Accept, Application, ChannelLayer, ChannelName, Close, Content, DelayKey, Delivery, Deny,
    Frame, GroupName, Handshake, History, Member, Reply,
};
pub use towpath_worker::{
    Answer, ConnectInfo, Heard, Info, Joined, PresenceMeta, Presences, Present, SocketParams,
    SocketRef, Subscription, TerminateReason, Terminated, Topic, TopicConsumer, TopicPayload,
    TopicRoutes, TopicSocket, Topics, Transport, Vsn, Watch, topics,
};
#[cfg(feature = "tokens")]
pub use towpath_worker::{Auth, AuthLayer, Authenticator, Keys, TokenError};
pub use towpath_worker::{
    Connection, Consumer, Context, Cookies, Disconnected, Error, ErrorKind, FromContext, Groups,
    Headers, Json, JsonConsumer, JsonSocket, Layer, Methods, Outbox, Path, Payload, Prepared,
    Query, Rate, RateLimit, Result, Router, Session, Socket, State, Text, This, TraceLayer,
    Websocket, WebsocketConsumer, blocking, demultiplexer, field, header, query, wait, websocket,
};
#[cfg(feature = "phoenix-tokens")]
pub use towpath_worker::{MaxAge, PhoenixTokenError, PhoenixTokens, Term};

pub use crate::{App, Layers, Listening};

#[cfg(feature = "binding")]
pub use towpath_binding::{Action, Binding, Bindings, Fields};
