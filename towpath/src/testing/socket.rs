//! The client's end of one WebSocket.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};
use towpath_layer_core::ChannelName;

use super::app::Common;
use super::record::{shown, shown_bytes};
use super::wire::Websocket;

/// Messages that wait for the test; beyond it the client does not read on, as a
/// slow one would not.
const INCOMING_MAX: usize = 1024;

/// The half into which the client writes.
pub(super) type Sink = SplitSink<Websocket, Message>;

/// What arrived.
#[derive(Debug)]
pub(super) enum Incoming {
    Text(String),
    Bytes(Bytes),
    Close(u16, String),
}

impl fmt::Display for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(&shown(text)),
            Self::Bytes(bytes) => f.write_str(&shown_bytes(bytes)),
            Self::Close(code, reason) => write!(f, "close {code} {reason:?}"),
        }
    }
}

/// The client's end of a WebSocket of a [`TestApp`](super::TestApp).
///
/// It reads all the time, as a browser does, and answers pings and closes; what
/// arrived waits for the test, 1024 messages at most. Dropped, the connection
/// is lost without a close frame.
pub struct TestSocket {
    common: Common,
    name: String,
    reply_channel: ChannelName,
    sink: Sink,
    incoming: mpsc::Receiver<Incoming>,
    /// Whether the test knows that the connection has ended.
    over: bool,
    reader: AbortOnDropHandle<()>,
}

/// A client's end in its parts.
pub(super) struct Parts {
    pub(super) name: String,
    pub(super) sink: Sink,
    pub(super) incoming: mpsc::Receiver<Incoming>,
    pub(super) reader: AbortOnDropHandle<()>,
}

impl TestSocket {
    pub(super) fn into_parts(self) -> Parts {
        Parts {
            name: self.name,
            sink: self.sink,
            incoming: self.incoming,
            reader: self.reader,
        }
    }

    pub(super) fn new(
        common: Common,
        name: String,
        websocket: Websocket,
        reply_channel: ChannelName,
        tasks: &TaskTracker,
    ) -> Self {
        let (sink, stream) = websocket.split();
        let (into, incoming) = mpsc::channel(INCOMING_MAX);
        let reader = tasks.spawn(read(stream, into, common.clone(), name.clone()));
        Self {
            common,
            name,
            reply_channel,
            sink,
            incoming,
            over: false,
            reader: AbortOnDropHandle::new(reader),
        }
    }

    /// Where the connection's replies go.
    #[must_use]
    pub fn reply_channel(&self) -> &ChannelName {
        &self.reply_channel
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Sends a text.
    ///
    /// # Panics
    ///
    /// If the connection has ended, or takes nothing for too long; here and
    /// below.
    ///
    /// # Cancel safety
    ///
    /// A dropped future may have sent the message or not; here and below.
    #[track_caller]
    pub fn send_text(&mut self, text: impl Into<String>) -> impl Future<Output = ()> {
        let text = text.into();
        self.note("→", shown(&text));
        self.send(Location::caller(), Message::text(text))
    }

    /// Sends bytes.
    #[track_caller]
    pub fn send_bytes(&mut self, bytes: impl Into<Bytes>) -> impl Future<Output = ()> {
        let bytes = bytes.into();
        self.note("→", shown_bytes(&bytes));
        self.send(Location::caller(), Message::binary(bytes))
    }

    /// Sends a value as JSON in a text.
    #[track_caller]
    pub fn send_json<T: Serialize + ?Sized>(&mut self, value: &T) -> impl Future<Output = ()> {
        let at = Location::caller();
        let text = match serde_json::to_string(value) {
            Ok(text) => text,
            Err(error) => self.fail(at, format_args!("the value has no JSON: {error}")),
        };
        self.note("→", shown(&text));
        self.send(at, Message::text(text))
    }

    /// The next message, a text.
    ///
    /// # Panics
    ///
    /// If something else comes, or nothing in time; here and below.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing; here and below.
    #[track_caller]
    pub fn recv_text(&mut self) -> impl Future<Output = String> {
        self.text(Location::caller(), "a text")
    }

    /// The next message, bytes.
    #[track_caller]
    pub fn recv_bytes(&mut self) -> impl Future<Output = Bytes> {
        let at = Location::caller();
        async move {
            match self.next(at, "bytes").await {
                Incoming::Bytes(bytes) => bytes,
                other @ (Incoming::Text(_) | Incoming::Close(..)) => {
                    self.fail(at, format_args!("expected bytes, and {other} came"))
                }
            }
        }
    }

    /// The next message, a text of JSON.
    #[track_caller]
    pub fn recv_json<T: DeserializeOwned>(&mut self) -> impl Future<Output = T> {
        let at = Location::caller();
        async move {
            let text = self.text(at, "JSON").await;
            match serde_json::from_str(&text) {
                Ok(value) => value,
                Err(error) => {
                    let (expected, text) = (std::any::type_name::<T>(), shown(&text));
                    self.fail(at, format_args!("{text} is no {expected}: {error}"))
                }
            }
        }
    }

    /// The next thing, the end: the code and the reason of the close frame, or
    /// 1006 if the connection was lost without one.
    #[track_caller]
    pub fn recv_closed(&mut self) -> impl Future<Output = (u16, String)> {
        let at = Location::caller();
        async move {
            let end = match self.common.within(self.incoming.recv()).await {
                Some(Some(Incoming::Close(code, reason))) => (code, reason),
                Some(None) => (1006, String::new()),
                Some(Some(other)) => {
                    self.fail(at, format_args!("expected a close, and {other} came"))
                }
                None => self.nothing_came(at, "a close"),
            };
            self.over = true;
            end
        }
    }

    /// Expects that nothing comes: for a second of virtual time, or a tenth of
    /// a second of real time.
    ///
    /// On virtual time that is exact: everything has happened by then that
    /// could happen within that second.
    ///
    /// # Panics
    ///
    /// If something comes, or the connection ends.
    #[track_caller]
    pub fn assert_nothing(&mut self) -> impl Future<Output = ()> {
        self.nothing_for(Location::caller(), self.common.clock.silence())
    }

    /// Expects that nothing comes for that long.
    ///
    /// # Panics
    ///
    /// If something comes, or the connection ends.
    #[track_caller]
    pub fn assert_nothing_for(&mut self, time: Duration) -> impl Future<Output = ()> {
        self.nothing_for(Location::caller(), time)
    }

    async fn nothing_for(&mut self, at: &Location<'_>, time: Duration) {
        if self.over {
            return self.common.clock.pass(time).await;
        }
        let mut came = timeout(time, self.incoming.recv()).await.ok();
        if came.is_none() {
            self.common.clock.settle().await;
            came = match self.incoming.try_recv() {
                Ok(incoming) => Some(Some(incoming)),
                Err(mpsc::error::TryRecvError::Disconnected) => Some(None),
                Err(mpsc::error::TryRecvError::Empty) => None,
            };
        }
        match came {
            None => {}
            Some(Some(incoming)) => {
                self.fail(at, format_args!("expected nothing, and {incoming} came"))
            }
            Some(None) => self.fail(at, "expected nothing, and the connection was lost"),
        }
    }

    /// Closes the socket and waits for the answer; what had arrived and was not
    /// asked for is gone.
    #[track_caller]
    pub fn close(&mut self, code: u16, reason: impl Into<String>) -> impl Future<Output = ()> {
        let at = Location::caller();
        let reason = reason.into();
        async move {
            self.note("→", format_args!("close {code} {reason:?}"));
            let frame = CloseFrame {
                code: code.into(),
                reason: reason.into(),
            };
            self.send(at, Message::Close(Some(frame))).await;
            let common = self.common.clone();
            let end = async { while self.incoming.recv().await.is_some() {} };
            if common.within(end).await.is_none() {
                self.nothing_came(at, "the end of the connection");
            }
            self.over = true;
            common.clock.settle().await;
        }
    }

    /// Loses the connection, as a phone in a tunnel does: no close frame, only
    /// the end.
    ///
    /// # Cancel safety
    ///
    /// After dropping the future the connection is lost as well.
    pub async fn drop_without_close(self) {
        let Self {
            common,
            name,
            sink,
            reader,
            ..
        } = self;
        common
            .record
            .note(format_args!("{name} → the connection is lost"));
        reader.abort();
        // It was cut off, or had ended.
        drop(reader.await);
        drop(sink);
        common.clock.settle().await;
    }

    async fn send(&mut self, at: &Location<'_>, message: Message) {
        match self.common.within(self.sink.send(message)).await {
            Some(Ok(())) => {}
            Some(Err(error)) => self.fail(at, format_args!("nothing can be sent: {error}")),
            None => self.fail(at, "the server does not read what is sent"),
        }
    }

    async fn text(&mut self, at: &Location<'_>, expected: &str) -> String {
        match self.next(at, expected).await {
            Incoming::Text(text) => text,
            other @ (Incoming::Bytes(_) | Incoming::Close(..)) => {
                self.fail(at, format_args!("expected {expected}, and {other} came"))
            }
        }
    }

    async fn next(&mut self, at: &Location<'_>, expected: &str) -> Incoming {
        match self.common.within(self.incoming.recv()).await {
            Some(Some(incoming)) => incoming,
            Some(None) => self.fail(
                at,
                format_args!("expected {expected}, and the connection has ended"),
            ),
            None => self.nothing_came(at, expected),
        }
    }

    fn nothing_came(&self, at: &Location<'_>, expected: &str) -> ! {
        let patience = self.common.patience;
        let why = format_args!("expected {expected}, and nothing came within {patience:?}");
        self.fail(at, why)
    }

    fn fail(&self, at: &Location<'_>, why: impl fmt::Display) -> ! {
        let name = &self.name;
        self.common.record.fail(at, format_args!("{name}: {why}"))
    }

    fn note(&self, arrow: &str, what: impl fmt::Display) {
        let name = &self.name;
        self.common
            .record
            .note(format_args!("{name} {arrow} {what}"));
    }
}

/// Reads until the end.
async fn read(
    mut stream: SplitStream<Websocket>,
    into: mpsc::Sender<Incoming>,
    common: Common,
    name: String,
) {
    while let Some(message) = stream.next().await {
        let incoming = match message {
            Ok(Message::Text(text)) => Incoming::Text(text.as_str().to_owned()),
            Ok(Message::Binary(bytes)) => Incoming::Bytes(bytes),
            // 1005: there was no code (RFC 6455 §7.1.5).
            Ok(Message::Close(frame)) => frame.map_or(Incoming::Close(1005, String::new()), |it| {
                Incoming::Close(it.code.into(), it.reason.as_str().to_owned())
            }),
            // The library answers a ping by itself.
            Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => continue,
            Err(error) => {
                tracing::debug!(%error, "a test's socket ended early");
                break;
            }
        };
        common.record.note(format_args!("{name} ← {incoming}"));
        if into.send(incoming).await.is_err() {
            return;
        }
    }
    common.record.note(format_args!("{name} ← the end"));
}

impl fmt::Debug for TestSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestSocket")
            .field("name", &self.name)
            .field("reply_channel", &self.reply_channel)
            .finish_non_exhaustive()
    }
}
