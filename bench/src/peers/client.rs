//! A client of one connection, to try a contender with: plain WebSocket or Socket.IO.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::contender::Dialect;

/// Every answer comes within this.
const ANSWER_WAIT: Duration = Duration::from_secs(10);

/// An open connection, in the echo or in a room.
#[derive(Debug)]
pub(super) struct Client {
    socket: WebSocketStream<TcpStream>,
    dialect: Dialect,
}

impl Client {
    /// Connects for the echo, or enters a room.
    pub(super) async fn open(
        address: SocketAddr,
        dialect: Dialect,
        room: Option<&str>,
    ) -> anyhow::Result<Self> {
        let path = match (dialect, room) {
            (Dialect::Raw, None) => "/echo".to_owned(),
            (Dialect::Raw, Some(room)) => format!("/room/{room}"),
            (Dialect::Phoenix, _) => bail!("a peer speaks in topics"),
            (Dialect::SocketIo, _) => "/socket.io/?EIO=4&transport=websocket".to_owned(),
        };
        let stream = TcpStream::connect(address).await?;
        let handshake = client_async(format!("ws://{address}{path}"), stream);
        let handshake = timeout(ANSWER_WAIT, Box::pin(handshake)).await;
        let (socket, _response) = handshake
            .context("the handshake is not answered")?
            .with_context(|| format!("the handshake for {path}"))?;
        let mut client = Self { socket, dialect };
        if dialect == Dialect::SocketIo {
            client.join(room).await?;
        }
        Ok(client)
    }

    async fn join(&mut self, room: Option<&str>) -> anyhow::Result<()> {
        self.expect("0{").await?;
        self.write("40".to_owned()).await?;
        self.expect("40").await?;
        if let Some(room) = room {
            self.write(format!(r#"42["join","{room}"]"#)).await?;
            self.expect(r#"42["joined"]"#).await?;
        }
        Ok(())
    }

    /// Sends a message; in it stand no quotation marks.
    pub(super) async fn send(&mut self, payload: &str) -> anyhow::Result<()> {
        match self.dialect {
            Dialect::Raw | Dialect::Phoenix => self.write(payload.to_owned()).await,
            Dialect::SocketIo => self.write(format!(r#"42["m","{payload}"]"#)).await,
        }
    }

    /// The next message.
    pub(super) async fn receive(&mut self) -> anyhow::Result<String> {
        let text = self.read().await?;
        if self.dialect == Dialect::Raw {
            return Ok(text);
        }
        let payload = text.strip_prefix(r#"42["m",""#);
        let payload = payload.and_then(|rest| rest.strip_suffix(r#""]"#));
        Ok(payload
            .with_context(|| format!("no message: {text}"))?
            .to_owned())
    }

    async fn expect(&mut self, beginning: &str) -> anyhow::Result<()> {
        let text = self.read().await?;
        ensure!(
            text.starts_with(beginning),
            "{text} came instead of {beginning}"
        );
        Ok(())
    }

    async fn write(&mut self, text: String) -> anyhow::Result<()> {
        Ok(self.socket.send(Message::text(text)).await?)
    }

    async fn read(&mut self) -> anyhow::Result<String> {
        let next = timeout(ANSWER_WAIT, self.socket.next()).await;
        match next.with_context(|| format!("nothing came within {ANSWER_WAIT:?}"))? {
            Some(Ok(Message::Text(text))) => Ok(text.as_str().to_owned()),
            Some(Ok(other)) => bail!("{other:?} came instead of text"),
            Some(Err(error)) => Err(error.into()),
            None => bail!("the connection was closed"),
        }
    }
}
