//! What the layer keeps of the presences of one connection in one topic.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Entry, PresenceError, Source, check_key, check_meta};
use crate::CodecError;

/// The presences of one connection in one topic, as the metadata of its
/// membership of the topic's group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stored {
    /// Whose they are.
    pub source: Source,
    /// The version of the source's last change when they were stored: what was
    /// said before says nothing about them.
    #[serde(default)]
    pub version: u64,
    /// All of them.
    pub entries: Vec<Arc<Entry>>,
}

impl Stored {
    /// Writes them, as a MessagePack map.
    ///
    /// # Errors
    ///
    /// [`CodecError::Malformed`] if they cannot be serialised.
    pub fn encode(&self) -> Result<Bytes, CodecError> {
        rmp_serde::to_vec_named(self)
            .map(Bytes::from)
            .map_err(|error| CodecError::Malformed(error.to_string()))
    }

    /// Reads them. Anybody may write a membership's metadata, so keys and metas
    /// are checked as they are at tracking; that the source is on the member's
    /// node is for the caller to see.
    ///
    /// # Errors
    ///
    /// [`CodecError::Malformed`] if this is something else; the membership has no
    /// presences then.
    pub fn decode(meta: &[u8]) -> Result<Self, CodecError> {
        let stored: Self = rmp_serde::from_slice(meta)
            .map_err(|error| CodecError::Malformed(error.to_string()))?;
        for entry in &stored.entries {
            check(entry).map_err(|error| CodecError::Malformed(error.to_string()))?;
        }
        Ok(stored)
    }
}

fn check(entry: &Entry) -> Result<(), PresenceError> {
    check_key(&entry.key)?;
    check_meta(&entry.meta).map(drop)
}
