//! What is sent often, encoded once.

use bytes::Bytes;
use bytestring::ByteString;
use serde::Serialize;
use towpath_layer_core::Reply;

use crate::Result;
use crate::framing::Framing;

/// A message that was encoded once and is kept, to be sent many times: to
/// groups, to connections, from any task. A copy shares the encoded bytes.
///
/// ```
/// use towpath_worker::{Groups, Prepared, Result};
///
/// async fn twice(groups: &Groups) -> Result {
///     let news = Prepared::json(&["it", "rains"])?;
///     groups.send("gardeners", &news).await?;
///     groups.send("sailors", &news).await?;
///     Ok(())
/// }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Prepared {
    reply: Reply,
}

impl Prepared {
    /// A text frame.
    #[must_use]
    pub fn text(text: impl Into<ByteString>) -> Self {
        Self {
            reply: Reply::text(text),
        }
    }

    /// A binary frame.
    #[must_use]
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        Self {
            reply: Reply::bytes(bytes),
        }
    }

    /// A value as JSON in a text frame.
    ///
    /// # Errors
    ///
    /// An internal [`Error`](crate::Error) if the value cannot be serialised.
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self> {
        let reply = Framing::default().json(value)?;
        Ok(Self { reply })
    }

    /// A value as JSON for a stream of a demultiplexer.
    ///
    /// # Errors
    ///
    /// As [`json`](Self::json).
    pub fn stream_json<T: Serialize + ?Sized>(
        stream: impl Into<ByteString>,
        value: &T,
    ) -> Result<Self> {
        let stream = Some(stream.into());
        let reply = Framing {
            stream,
            ..Framing::default()
        }
        .json(value)?;
        Ok(Self { reply })
    }

    /// An event for the consumers of those who get it.
    ///
    /// # Errors
    ///
    /// As [`json`](Self::json).
    pub fn event<T: Serialize + ?Sized>(name: impl Into<ByteString>, value: &T) -> Result<Self> {
        let reply = Framing::event(name, value)?;
        Ok(Self { reply })
    }
}

impl From<&Prepared> for Reply {
    fn from(prepared: &Prepared) -> Self {
        prepared.reply.clone()
    }
}

impl From<Prepared> for Reply {
    fn from(prepared: Prepared) -> Self {
        prepared.reply
    }
}
