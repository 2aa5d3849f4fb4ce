//! Everything that an application is usually made of.
//!
//! ```
//! use towpath::prelude::*;
//! ```

pub use bytes::Bytes;
pub use towpath_layer_core::{
    Accept, Application, ChannelLayer, ChannelName, Close, Content, Delivery, Deny, Frame,
    GroupName, Handshake, Member, Reply,
};
pub use towpath_worker::{
    Connection, Context, Disconnected, Error, ErrorKind, FromContext, Groups, Headers, Json, Layer,
    Path, Payload, Query, Result, Router, Session, Socket, State, Text, Websocket, blocking, field,
    header, query, wait, websocket,
};

pub use crate::{App, Layers, Listening};
