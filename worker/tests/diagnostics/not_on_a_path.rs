//! A type and a function where the consumers of a connection are expected.

use serde::{Deserialize, Serialize};
use towpath_worker::{Result, Router, Socket, WebsocketConsumer, demultiplexer};

#[derive(Serialize, Deserialize)]
struct Chat;

impl WebsocketConsumer for Chat {
    async fn connect(_: &Socket) -> Result<Self> {
        Ok(Self)
    }
}

async fn receive(socket: Socket) -> Result {
    socket.text("hello").await
}

fn main() {
    let _ = Router::new().route("/chat", Chat);
    let _ = demultiplexer().stream("chat", receive);
}
