//! Sockets ⇄ channel layer.
//!
//! An [`InterfaceServer`] holds WebSocket connections. What happens on one
//! becomes an event on a shared channel of the layer; what workers send to its
//! reply channel, or to a group that it is in, is written to it. It knows no
//! consumer and no backend: it meets both only on the
//! [`ChannelLayer`](towpath_layer_core::ChannelLayer).
//!
//! ```no_run
//! use std::sync::Arc;
//! use tokio_util::sync::CancellationToken;
//! use towpath_interface_server::{InterfaceServer, Routes, ServerConfig};
//! use towpath_layer_core::ChannelLayer;
//!
//! # async fn serve(layer: Arc<dyn ChannelLayer>) -> Result<(), Box<dyn std::error::Error>> {
//! let routes = Routes::new(["^/chat$".to_owned()])?;
//! let server =
//!     InterfaceServer::bind(ServerConfig::default(), routes, layer, None, None).await?;
//! let stop = CancellationToken::new();
//! server.run(stop).await;
//! # Ok(())
//! # }
//! ```
//!
//! Inside, `transport` turns bytes into frames, `protocol` frames into events,
//! `conversation` keeps order, session and attempts, and `hub` owns the shards:
//! threads that each own their sockets.

mod config;
mod conversation;
mod drain;
#[cfg(fuzzing)]
pub mod fuzzing;
mod hub;
mod local;
mod metrics;
mod mount;
mod operator;
mod origin;
mod outside;
mod protocol;
mod routes;
mod server;
mod transport;

use std::error::Error;

pub use config::{OnEvent, Origins, ServerConfig, SlowPolicy};
pub use drain::Phase;
pub use local::LocalServer;
pub use mount::{FirstSession, ReplyChannel, ServiceHandle, TowpathService};
pub use operator::{Operator, Readiness};
pub use origin::is_origin_pattern;
pub use outside::{ApiLimits, LayerApi, TokenError, Tokens};
pub use protocol::phoenix::Serializer;
pub use routes::{PhoenixMount, Routes, RoutesError, TopicRoute};
pub use server::{BindError, InterfaceServer, ServerHandle};

/// Any error, for the log.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// The body of a response.
pub type BoxBody = http_body_util::combinators::UnsyncBoxBody<bytes::Bytes, BoxError>;

/// Answers what is not on a WebSocket path.
pub type HttpService = tower::util::BoxCloneSyncService<
    http::Request<hyper::body::Incoming>,
    http::Response<BoxBody>,
    BoxError,
>;
