//! A type as a socket that carries topics.

use std::future::Future;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use towpath_layer_core::{Application, GroupName};

use super::topic::join_group;
use super::{ConnectInfo, SocketParams};
use crate::extract::session::{decode, encode};
use crate::router::{Websocket, websocket};
use crate::{Context, Result};

/// A type as a socket that carries topics: a value of it is one connection of a
/// client, and its fields are what every topic that is joined there may know of
/// it. They travel as a session does, and each topic has a copy of them at its
/// join: keep them few and small.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use towpath_worker::{ConnectInfo, Error, Result, SocketParams, TopicSocket};
///
/// #[derive(Serialize, Deserialize)]
/// struct UserSocket {
///     user: String,
/// }
///
/// impl TopicSocket for UserSocket {
///     async fn connect(params: SocketParams, _: &ConnectInfo) -> Result<Self> {
///         let user = params.get("user").ok_or_else(|| Error::deny(403, "who are you?"))?;
///         Ok(Self { user: user.to_owned() })
///     }
///
///     fn id(&self) -> Option<String> {
///         Some(format!("user:{}", self.user))
///     }
/// }
/// ```
pub trait TopicSocket: Serialize + DeserializeOwned + Send + Sync + Sized + 'static {
    /// Answers a handshake: makes the value, or refuses with an error
    /// ([`Error::deny`](crate::Error::deny),
    /// [`Error::rejected`](crate::Error::rejected)).
    ///
    /// It is not called for a connection that begins with a session, which only
    /// the server around the interface server can give it, and a test: the value
    /// is that.
    ///
    /// # Errors
    ///
    /// Whatever keeps the connection from being accepted.
    fn connect(
        params: SocketParams,
        info: &ConnectInfo,
    ) -> impl Future<Output = Result<Self>> + Send;

    /// Under which name the socket can be ended from anywhere, by
    /// [`Topics::disconnect`](super::Topics::disconnect); several sockets may
    /// have one name, and it is a topic that no client should be able to join.
    /// Default: none, and nobody can.
    fn id(&self) -> Option<String> {
        None
    }
}

/// The consumers of a socket.
pub(super) fn root<S: TopicSocket>() -> Websocket {
    websocket().connect(connect::<S>).on_other(ignore)
}

async fn connect<S: TopicSocket>(context: Context) -> Result {
    let params = SocketParams::of(&context)?;
    let socket: S = enter(&context, params, Bytes::new()).await?;
    context.keep_session(encode(&socket));
    context.check_session()
}

/// Who is behind a connection: what it begins with, or what the type makes of
/// its handshake. From here on it can be ended by its id.
pub(super) async fn enter<S: TopicSocket>(
    context: &Context,
    params: SocketParams,
    meta: Bytes,
) -> Result<S> {
    let first = decode(context.session().unwrap_or_default())?;
    let socket: S = match first {
        Some(socket) => socket,
        None => S::connect(params, &ConnectInfo::of(context)?).await?,
    };
    if let Some(id) = socket.id() {
        join_group(context, 0, GroupName::topic(&id), meta).await?;
    }
    Ok(socket)
}

/// A socket is ended by its id, and hears nothing else.
async fn ignore(event: Application) {
    let name = &*event.name;
    tracing::debug!(name, "a socket that carries topics takes no events");
}
