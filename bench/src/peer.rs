//! The peer: axum's WebSocket and a `tokio::sync::broadcast` for each room.
//!
//! Written the usual way, with the libraries' defaults, because it stands for
//! what a user would have without Towpath.

use std::collections::HashMap;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use axum::serve::ListenerExt as _;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpListener;
use tokio::sync::broadcast::{self, error::RecvError};

/// A member more than this many messages behind its room loses the oldest.
const ROOM_MESSAGES_MAX: usize = 256;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Worker threads of the runtime.
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

type Rooms = Arc<Mutex<HashMap<String, broadcast::Sender<Message>>>>;

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(options.threads)
        .enable_all()
        .build()?
        .block_on(serve(options.listen))
}

async fn serve(listen: SocketAddr) -> anyhow::Result<()> {
    let listener = TcpListener::bind(listen).await.context("cannot listen")?;
    writeln!(std::io::stdout(), "{}", listener.local_addr()?)?;
    // A connection without TCP_NODELAY is still served, only slower.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    let app = Router::new()
        .route(
            "/echo",
            get(async |upgrade: WebSocketUpgrade| upgrade.on_upgrade(echo)),
        )
        .route("/room/{name}", get(enter))
        .with_state(Rooms::default());
    axum::serve(listener, app).await?;
    Ok(())
}

async fn echo(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        if matches!(message, Message::Text(_) | Message::Binary(_))
            && socket.send(message).await.is_err()
        {
            return;
        }
    }
}

async fn enter(
    upgrade: WebSocketUpgrade,
    Path(name): Path<String>,
    State(rooms): State<Rooms>,
) -> Response {
    // Subscribed before the 101 goes out, so that a member misses nothing.
    let (room, messages) = {
        let mut rooms = rooms.lock().unwrap_or_else(PoisonError::into_inner);
        let room = rooms
            .entry(name)
            .or_insert_with(|| broadcast::Sender::new(ROOM_MESSAGES_MAX))
            .clone();
        let messages = room.subscribe();
        (room, messages)
    };
    upgrade.on_upgrade(|socket| member(socket, room, messages))
}

async fn member(
    socket: WebSocket,
    room: broadcast::Sender<Message>,
    mut messages: broadcast::Receiver<Message>,
) {
    let (mut sink, mut stream) = socket.split();
    #[expect(
        clippy::disallowed_methods,
        reason = "the peer is written without Towpath's tracker"
    )]
    let forward = tokio::spawn(async move {
        loop {
            let message = match messages.recv().await {
                Ok(message) => message,
                Err(RecvError::Lagged(_)) => continue,
                Err(RecvError::Closed) => return,
            };
            if sink.send(message).await.is_err() {
                return;
            }
        }
    });
    while let Some(Ok(message)) = stream.next().await {
        if matches!(message, Message::Text(_) | Message::Binary(_)) && room.send(message).is_err() {
            break;
        }
    }
    forward.abort();
}
