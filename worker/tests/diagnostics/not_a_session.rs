//! A type whose fields cannot travel.

use serde::Deserialize;
use towpath_worker::{Result, Router, Socket, WebsocketConsumer};

#[derive(Deserialize)]
struct Chat {
    room: String,
}

impl WebsocketConsumer for Chat {
    async fn connect(socket: &Socket) -> Result<Self> {
        Ok(Self { room: socket.path()? })
    }
}

fn main() {
    let _ = Router::new().route("/chat/{room}", Chat::websocket());
}
