//! From what a consumer sends to a reply, as its conversation frames it.

use std::time::Duration;

use bytes::Bytes;
use bytestring::ByteString;
use serde::Serialize;
use towpath_layer_core::{Application, Content, Reply, Tick};

use crate::demultiplexer::wire;
use crate::{Error, Result};

/// How frames look on a conversation: bare on a plain one, wrapped in the name
/// of their stream on a stream of a demultiplexer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Framing {
    /// The stream of a demultiplexer.
    pub(crate) stream: Option<ByteString>,
    /// Its number, from 1 on; without streams 0.
    pub(crate) number: u8,
}

impl Framing {
    /// A text frame; on a stream the payload is a JSON string.
    pub(crate) fn text(&self, text: impl Into<ByteString>) -> Result<Reply> {
        match &self.stream {
            None => Ok(Reply::text(text)),
            Some(_) => self.json(&*text.into()),
        }
    }

    /// The text that the peer sent; on a stream the content of a JSON string.
    pub(crate) fn read_text(&self, text: ByteString) -> Result<ByteString> {
        let Some(stream) = &self.stream else {
            return Ok(text);
        };
        let read: Result<String, _> = serde_json::from_str(&text);
        let read = read.map_err(|error| {
            let reason = format!("the stream {stream:?} expects a JSON string: {error}");
            Error::bad_payload(reason)
        });
        read.map(ByteString::from)
    }

    /// A binary frame.
    pub(crate) fn bytes(&self, bytes: impl Into<Bytes>) -> Result<Reply> {
        match &self.stream {
            None => Ok(Reply::bytes(bytes)),
            Some(stream) => Err(Error::internal(format!(
                "the stream {stream:?} of a demultiplexer carries JSON and no bytes"
            ))),
        }
    }

    /// A value as JSON.
    pub(crate) fn json<T: Serialize + ?Sized>(&self, value: &T) -> Result<Reply> {
        Ok(self.encoded(serde_json::to_string(value)?))
    }

    /// What is JSON already, or another text on a conversation without streams.
    pub(crate) fn encoded(&self, json: String) -> Reply {
        match &self.stream {
            None => Reply::text(json),
            Some(stream) => Reply::text(wire::payload(stream, &json)),
        }
    }

    /// An event for the conversation's own consumer: that of its stream.
    pub(crate) fn own_event<T: Serialize + ?Sized>(
        &self,
        name: impl Into<ByteString>,
        value: &T,
    ) -> Result<Reply> {
        let event = Application {
            stream: self.stream.clone(),
            ..Application::new(name, Content::encode(value)?)
        };
        Ok(Reply::event(event))
    }

    /// The same without content, again and again.
    pub(crate) fn tick(&self, name: impl Into<ByteString>, every: Option<Duration>) -> Reply {
        let tick = Tick {
            name: name.into(),
            every,
            stream: self.stream.clone(),
        };
        Reply {
            tick: Some(Box::new(tick)),
            ..Reply::default()
        }
    }

    /// An event for the consumers of the receiving conversations.
    pub(crate) fn event<T: Serialize + ?Sized>(
        name: impl Into<ByteString>,
        value: &T,
    ) -> Result<Reply> {
        let content = Content::encode(value)?;
        Ok(Reply::event(Application::new(name, content)))
    }
}
