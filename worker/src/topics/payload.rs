//! What a message of a topic carries.

use bytes::Bytes;
use bytestring::ByteString;
use serde::Serialize;
use serde::de::DeserializeOwned;
use towpath_layer_core::Frame;

use crate::extract::read_json;
use crate::{Error, Result};

/// What a message of a topic carries: JSON, which is read when it is asked for,
/// or bytes. A copy shares its memory.
///
/// ```
/// use towpath_worker::TopicPayload;
///
/// let payload = TopicPayload::encode(&serde_json::json!({"body": "hello"}))?;
/// assert_eq!(payload.text()?, r#"{"body":"hello"}"#);
/// let wrong = payload.json::<Vec<u8>>().unwrap_err();
/// assert!(wrong.to_string().contains("expected a sequence"));
/// # Ok::<(), towpath_worker::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicPayload {
    frame: Frame,
}

impl TopicPayload {
    /// A value as JSON, encoded once to be sent many times.
    ///
    /// # Errors
    ///
    /// An internal [`Error`] if the value cannot be serialised.
    pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Self> {
        let json = serde_json::to_string(value)?;
        Ok(Frame::Text(json.into()).into())
    }

    /// Bytes, as they are.
    #[must_use]
    pub fn binary(bytes: impl Into<Bytes>) -> Self {
        Frame::Bytes(bytes.into()).into()
    }

    /// The JSON as a value.
    ///
    /// # Errors
    ///
    /// [`Error::bad_payload`] says which field does not fit, or that bytes came.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        self.text()?;
        read_json(&self.frame)
    }

    /// The JSON as text.
    ///
    /// # Errors
    ///
    /// [`Error::bad_payload`] if bytes came.
    pub fn text(&self) -> Result<&ByteString> {
        match &self.frame {
            Frame::Text(text) => Ok(text),
            Frame::Bytes(_) => Err(Error::bad_payload("JSON is expected, and no bytes")),
        }
    }

    /// The bytes.
    ///
    /// # Errors
    ///
    /// [`Error::bad_payload`] if JSON came.
    pub fn bytes(&self) -> Result<&Bytes> {
        match &self.frame {
            Frame::Bytes(bytes) => Ok(bytes),
            Frame::Text(_) => Err(Error::bad_payload("bytes are expected, and no JSON")),
        }
    }

    /// Whether it is bytes.
    #[must_use]
    pub fn is_binary(&self) -> bool {
        matches!(self.frame, Frame::Bytes(_))
    }

    /// As the layer carries it.
    #[must_use]
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// For a message: clients take a JSON object, or bytes.
    pub(super) fn into_message(self) -> Result<Frame> {
        match &self.frame {
            Frame::Text(text) if !text.trim_start().starts_with('{') => {
                let got: String = text.chars().take(40).collect();
                Err(Error::internal(format!(
                    "a message carries a JSON object (a struct or a map) or bytes, not {got}"
                )))
            }
            Frame::Text(_) | Frame::Bytes(_) => Ok(self.frame),
        }
    }
}

impl From<Frame> for TopicPayload {
    fn from(frame: Frame) -> Self {
        Self { frame }
    }
}

impl From<TopicPayload> for Frame {
    fn from(payload: TopicPayload) -> Self {
        payload.frame
    }
}
