//! User payloads: frames of a socket, and typed content between consumers.

use bytes::Bytes;
use bytestring::ByteString;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The payload of one data message of a socket. Text and bytes stay distinct.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Frame {
    /// UTF-8 text.
    Text(ByteString),
    /// Binary data.
    Bytes(Bytes),
}

impl Frame {
    /// The payload, whichever kind it is.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }

    /// Size of the payload, in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Whether the payload is empty; an empty frame is delivered like any other.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A typed value between consumers, as MessagePack with named fields.
///
/// The layer never looks inside; whoever receives it decodes it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Content(Bytes);

/// A value that does not fit its type, or a type that cannot be encoded.
#[derive(Debug, thiserror::Error)]
#[error("the content does not fit: {reason}")]
pub struct ContentError {
    reason: String,
}

impl Content {
    /// Encodes a value.
    ///
    /// # Errors
    ///
    /// [`ContentError`] if the value cannot be serialised.
    pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Self, ContentError> {
        rmp_serde::to_vec_named(value)
            .map(|bytes| Self(bytes.into()))
            .map_err(|error| ContentError {
                reason: error.to_string(),
            })
    }

    /// Decodes a value.
    ///
    /// # Errors
    ///
    /// [`ContentError`] says which field does not fit.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, ContentError> {
        rmp_serde::from_slice(&self.0).map_err(|error| ContentError {
            reason: error.to_string(),
        })
    }

    /// Takes MessagePack that was encoded elsewhere, as it is.
    #[must_use]
    pub fn from_encoded(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// The MessagePack bytes.
    #[must_use]
    pub fn as_encoded(&self) -> &Bytes {
        &self.0
    }

    /// Size of the encoded value, in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing was encoded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
