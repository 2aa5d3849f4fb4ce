//! Everything that an application is usually made of.
//!
//! ```
//! use towpath::prelude::*;
//! ```

pub use bytes::Bytes;
pub use towpath_layer_core::{
    Accept, Application, ChannelLayer, ChannelName, Close, Content, DelayKey, Delivery, Deny,
    Frame, GroupName, Handshake, Member, Reply,
};
pub use towpath_worker::{
    Connection, Consumer, Context, Disconnected, Error, ErrorKind, FromContext, Groups, Headers,
    Json, JsonConsumer, JsonSocket, Layer, Methods, Outbox, Path, Payload, Prepared, Query, Result,
    Router, Session, Socket, State, Text, This, Websocket, WebsocketConsumer, blocking,
    demultiplexer, field, header, query, wait, websocket,
};

pub use crate::{App, Layers, Listening};
