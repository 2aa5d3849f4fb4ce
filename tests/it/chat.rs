//! A chat client that speaks as the page does.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Bytes, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::process::PATIENCE;

/// A raw WebSocket to a path.
pub struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    pub async fn connect(address: &str, path: &str) -> Result<Self> {
        let connecting = Box::pin(connect_async(format!("ws://{address}{path}")));
        let connected = timeout(PATIENCE, connecting).await;
        Ok(Self(connected.context("no handshake in time")??.0))
    }

    /// Connects and offers subprotocols; says which was chosen.
    pub async fn connect_offering(
        address: &str,
        path: &str,
        offered: &str,
    ) -> Result<(Self, Option<String>)> {
        let mut request = format!("ws://{address}{path}").into_client_request()?;
        let headers = request.headers_mut();
        headers.insert("sec-websocket-protocol", offered.parse()?);
        let connecting = Box::pin(connect_async(request));
        let (socket, response) = timeout(PATIENCE, connecting).await??;
        let chosen = response.headers().get("sec-websocket-protocol");
        let chosen = chosen.map(|chosen| chosen.to_str().map(str::to_owned));
        Ok((Self(socket), chosen.transpose()?))
    }

    pub async fn say(&mut self, text: &str) -> Result<()> {
        self.send(Message::text(text)).await
    }

    /// The next message is this text.
    pub async fn hears(&mut self, text: &str) -> Result<()> {
        let heard = self.next().await?;
        ensure!(heard == Message::text(text), "{heard:?}, not {text:?}");
        Ok(())
    }

    /// Closes with 1000 and waits for the answer.
    pub async fn close(mut self) -> Result<()> {
        let frame = CloseFrame {
            code: CloseCode::Normal,
            reason: "".into(),
        };
        self.0.close(Some(frame)).await?;
        self.closed().await.map(drop)
    }

    /// The code and reason that it is closed with.
    pub async fn close_frame(&mut self) -> Result<(u16, String)> {
        let frame = self.closed().await?.context("closed without a code")?;
        Ok((frame.code.into(), frame.reason.to_string()))
    }

    pub async fn send(&mut self, message: Message) -> Result<()> {
        Ok(self.0.send(message).await?)
    }

    /// The next data message.
    pub async fn next(&mut self) -> Result<Message> {
        loop {
            let message = timeout(PATIENCE, self.0.next())
                .await
                .context("nothing arrives")?;
            match message.context("the stream ended")?? {
                Message::Ping(_) | Message::Pong(_) => {}
                Message::Close(frame) => bail!("closed: {frame:?}"),
                message => return Ok(message),
            }
        }
    }

    /// Reads to the close frame.
    pub async fn closed(&mut self) -> Result<Option<CloseFrame>> {
        loop {
            let message = timeout(PATIENCE, self.0.next())
                .await
                .context("is not closed")?;
            if let Message::Close(frame) = message.context("ended without a close frame")?? {
                return Ok(frame);
            }
        }
    }

    /// Waits until the server has read what was sent; what comes meanwhile is
    /// passed over.
    pub async fn is_read(&mut self) -> Result<()> {
        self.0.send(Message::Ping(Bytes::new())).await?;
        let ponged = async {
            while let Some(message) = self.0.next().await {
                if let Message::Pong(_) = message? {
                    return Ok(());
                }
            }
            bail!("the stream ended")
        };
        timeout(PATIENCE, ponged).await.context("no pong")?
    }

    /// Shows that nothing came before the answer to a ping sent now.
    pub async fn quiet(&mut self) -> Result<()> {
        self.0
            .send(Message::Ping(Bytes::from_static(b"quiet?")))
            .await?;
        let message = timeout(PATIENCE, self.0.next()).await.context("no pong")?;
        let message = message.context("the stream ended")??;
        ensure!(
            matches!(message, Message::Pong(_)),
            "not quiet: {message:?}"
        );
        Ok(())
    }
}

/// A person in a chat room.
pub struct Person {
    pub name: String,
    socket: Socket,
}

impl Person {
    /// Enters a room under a name.
    pub async fn enter(address: &str, room: &str, name: &str) -> Result<Self> {
        let socket = Socket::connect(address, &format!("/chat/{room}")).await?;
        let mut person = Self {
            name: name.to_owned(),
            socket,
        };
        person.tell(&json!({"type": "hello", "name": name})).await?;
        let welcome = person.hear("welcome").await?;
        ensure!(
            welcome["name"] == name && welcome["room"] == room,
            "{welcome}"
        );
        Ok(person)
    }

    pub async fn say(&mut self, text: &str) -> Result<()> {
        self.tell(&json!({"type": "say", "text": text})).await
    }

    /// Waits until the server has read what was said.
    pub async fn is_read(&mut self) -> Result<()> {
        self.socket.is_read().await
    }

    async fn tell(&mut self, message: &Value) -> Result<()> {
        self.socket.send(Message::text(message.to_string())).await
    }

    /// The next message, whatever it is.
    pub async fn next(&mut self) -> Result<Value> {
        let message = self.socket.next().await?;
        Ok(serde_json::from_str(message.to_text()?)?)
    }

    /// The next message of a type; others are passed over.
    pub async fn hear(&mut self, kind: &str) -> Result<Value> {
        loop {
            let message = self.next().await?;
            if message["type"] == kind {
                return Ok(message);
            }
        }
    }

    /// Passes over what comes until somebody says `text`; false if that does
    /// not happen within `limit`.
    pub async fn hears_text(&mut self, text: &str, limit: Duration) -> Result<bool> {
        let hears = async {
            while self.hear("message").await?["text"] != text {}
            Ok(true)
        };
        timeout(limit, hears).await.unwrap_or(Ok(false))
    }

    pub async fn closed(&mut self) -> Result<Option<CloseFrame>> {
        self.socket.closed().await
    }
}
