//! The way between a test's client and the sockets: HTTP/1.1 over a pipe in
//! memory, and the upgrade.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1 as client;
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::duplex;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_util::task::TaskTracker;
use tower::Service;
use towpath_interface_server::{FirstSession, ReplyChannel, TowpathService};
use towpath_layer_core::ChannelName;

/// What the pipe holds in each direction, in bytes.
const PIPE_BYTES: usize = 64 << 10;

/// The client's end of a WebSocket.
pub(super) type Websocket = WebSocketStream<TokioIo<Upgraded>>;

/// What stands beside the request, where another server would put it.
#[derive(Debug, Clone)]
pub(super) struct Beside {
    pub(super) peer: SocketAddr,
    pub(super) session: Option<FirstSession>,
}

/// How a handshake was answered.
pub(super) enum Answered {
    /// With 101.
    Open {
        response: Response<()>,
        websocket: Box<Websocket>,
        reply_channel: Option<ChannelName>,
    },
    /// With something else.
    Denied(Response<Bytes>),
}

/// Makes a handshake over a pipe of its own.
///
/// # Errors
///
/// What hyper says.
///
/// # Cancel safety
///
/// A dropped future leaves as a client that hangs up does.
pub(super) async fn handshake(
    service: TowpathService,
    tasks: &TaskTracker,
    request: Request<Empty<Bytes>>,
    beside: Beside,
) -> Result<Answered, hyper::Error> {
    let (near, far) = duplex(PIPE_BYTES);
    let channel = Arc::new(Mutex::new(None));
    serve(service, tasks, TokioIo::new(far), beside, &channel);
    let (mut sender, connection) = client::handshake(TokioIo::new(near)).await?;
    tasks.spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "a test's connection ended early");
        }
    });
    let mut response = sender.send_request(request).await?;
    if response.status() != http::StatusCode::SWITCHING_PROTOCOLS {
        let (head, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        return Ok(Answered::Denied(Response::from_parts(head, body)));
    }
    let upgraded = hyper::upgrade::on(&mut response).await?;
    let io = TokioIo::new(upgraded);
    let websocket = WebSocketStream::from_raw_socket(io, Role::Client, None).await;
    let reply_channel = channel
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    Ok(Answered::Open {
        response: response.map(|_| ()),
        websocket: Box::new(websocket),
        reply_channel,
    })
}

fn serve(
    service: TowpathService,
    tasks: &TaskTracker,
    io: TokioIo<tokio::io::DuplexStream>,
    beside: Beside,
    channel: &Arc<Mutex<Option<ChannelName>>>,
) {
    let channel = Arc::clone(channel);
    let answer = service_fn(move |mut request: Request<Incoming>| {
        let extensions = request.extensions_mut();
        extensions.insert(beside.peer);
        if let Some(session) = &beside.session {
            extensions.insert(session.clone());
        }
        let answered = service.clone().call(request);
        let channel = Arc::clone(&channel);
        async move {
            let response = answered.await?;
            if let Some(ReplyChannel(name)) = response.extensions().get() {
                let mut channel = channel.lock().unwrap_or_else(PoisonError::into_inner);
                *channel = Some(name.clone());
            }
            Ok::<_, Infallible>(response)
        }
    });
    let connection = server::Builder::new()
        .serve_connection(io, answer)
        .with_upgrades();
    tasks.spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a test's connection ended early");
        }
    });
}
