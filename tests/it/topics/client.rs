//! A client of version 2 of the protocol that does nothing by itself.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// How long anything that is asked for may take on a machine that is busy.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// One connection.
pub struct Client {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    last: u64,
}

/// A message of the server.
#[derive(Debug, Deserialize)]
pub struct Heard {
    join_ref: Option<String>,
    reference: Option<String>,
    pub topic: String,
    pub event: String,
    payload: Box<RawValue>,
}

/// What a `phx_reply` carries.
#[derive(Debug, Deserialize)]
pub struct Reply {
    pub status: String,
    pub response: Value,
}

impl Client {
    pub async fn connect(address: &str) -> Result<Self> {
        let url = format!("ws://{address}/socket/websocket?vsn=2.0.0");
        let connecting = Box::pin(connect_async(url));
        let connected = timeout(PATIENCE, connecting).await;
        let (stream, _) = connected.context("no handshake in time")??;
        Ok(Self { stream, last: 0 })
    }

    /// Asks to join; the reference of the join and of all that comes after it.
    pub async fn join(&mut self, topic: &str, payload: &Value) -> Result<u64> {
        self.push(self.last + 1, topic, "phx_join", payload).await
    }

    /// Sends a message to a topic that was joined; its reference.
    pub async fn push(
        &mut self,
        joined: u64,
        topic: &str,
        event: &str,
        payload: &Value,
    ) -> Result<u64> {
        self.last += 1;
        let (joined, reference) = (joined.to_string(), self.last.to_string());
        let frame = json!([joined, reference, topic, event, payload]);
        let sending = self.stream.send(Message::text(frame.to_string()));
        timeout(PATIENCE, sending).await.context("nobody reads")??;
        Ok(self.last)
    }

    /// The next message, whenever it comes; an error once there is no
    /// connection any more. Nothing is lost if the future is dropped.
    pub async fn next(&mut self) -> Result<Heard> {
        loop {
            match self.stream.next().await.context("the stream ended")?? {
                Message::Text(text) => {
                    return serde_json::from_str(&text).with_context(|| text.to_string());
                }
                Message::Ping(_) | Message::Pong(_) => {}
                other => bail!("no message: {other:?}"),
            }
        }
    }

    /// Closes as a page does that is left.
    pub async fn close(mut self) -> Result<()> {
        Ok(self.stream.close(None).await?)
    }
}

impl Heard {
    /// The join that it belongs to; nothing for what all in a topic get.
    pub fn join_ref(&self) -> Option<u64> {
        self.join_ref.as_ref()?.parse().ok()
    }

    /// What it answers.
    pub fn reference(&self) -> Option<u64> {
        self.reference.as_ref()?.parse().ok()
    }

    pub fn text(&self) -> &str {
        self.payload.get()
    }

    pub fn payload<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_str(self.payload.get()).with_context(|| format!("{self:?}"))
    }
}
