//! The form of an entry on any wire: a version byte, a message id, a
//! MessagePack map.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Entropy;

/// The version that is written. It and the previous one are read.
pub const VERSION: u8 = 1;

const VERSION_OLDEST: u8 = 1;
const HEADER_LEN: usize = 1 + 16;

/// An id that no other message has; it makes doubles visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(pub u128);

/// A source of message ids: a random half for the source, a counter for the rest.
#[derive(Debug)]
pub struct MessageIds {
    source: u64,
    next: AtomicU64,
}

impl MessageIds {
    /// A new source.
    #[must_use]
    pub fn new(entropy: &dyn Entropy) -> Self {
        Self {
            source: entropy.next_u64(),
            next: AtomicU64::new(0),
        }
    }

    /// The next id.
    pub fn next(&self) -> MessageId {
        let count = self.next.fetch_add(1, Ordering::Relaxed);
        MessageId((u128::from(self.source) << 64) | u128::from(count))
    }
}

/// An entry that cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// Written by a version that this one does not know.
    #[error("entry of version {found}; versions {VERSION_OLDEST} to {VERSION} are read")]
    Version {
        /// The version found.
        found: u8,
    },
    /// Shorter than a header.
    #[error("entry of {size} bytes; at least {HEADER_LEN} are needed")]
    Short {
        /// The size found, in bytes.
        size: usize,
    },
    /// Not the map that was expected.
    #[error("entry is malformed: {0}")]
    Malformed(String),
}

/// Writes an entry.
///
/// # Errors
///
/// [`CodecError::Malformed`] if the body cannot be serialised.
pub fn encode<T: Serialize>(id: MessageId, body: &T) -> Result<Bytes, CodecError> {
    let mut entry = Vec::with_capacity(256);
    entry.push(VERSION);
    entry.extend_from_slice(&id.0.to_be_bytes());
    rmp_serde::encode::write_named(&mut entry, body)
        .map_err(|error| CodecError::Malformed(error.to_string()))?;
    Ok(entry.into())
}

/// Reads an entry.
///
/// # Errors
///
/// [`CodecError`] if it is of an unknown version, too short or malformed; the
/// caller counts it and goes on.
pub fn decode<T: DeserializeOwned>(entry: &[u8]) -> Result<(MessageId, T), CodecError> {
    let Some((header, body)) = entry.split_first_chunk::<HEADER_LEN>() else {
        return Err(CodecError::Short { size: entry.len() });
    };
    let [version, id @ ..] = header;
    if !(VERSION_OLDEST..=VERSION).contains(version) {
        return Err(CodecError::Version { found: *version });
    }
    let body =
        rmp_serde::from_slice(body).map_err(|error| CodecError::Malformed(error.to_string()))?;
    Ok((MessageId(u128::from_be_bytes(*id)), body))
}
