//! What may be tracked, and why something may not.

use std::collections::BTreeMap;

use bytestring::ByteString;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::Limits;

/// The longest key, in bytes.
const KEY_LEN_MAX: usize = 255;

/// Keys that older clients cannot hold: they keep presences in an object with a
/// prototype (CVE-2026-56812).
const RESERVED: [&str; 3] = ["__proto__", "constructor", "prototype"];

/// Fields of a meta that the service sets.
const OURS: [&str; 2] = ["phx_ref", "phx_ref_prev"];

/// What of an unfit value an error shows, in characters.
const SHOWN_MAX: usize = 64;

/// The bounds of the presences of one connection in one topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PresenceLimits {
    /// Keys that one connection tracks in one topic; default 16.
    pub entries_max: usize,
    /// Size of all of them as they are [stored](super::Stored), in bytes;
    /// default 4 KiB, which is what a membership's metadata may have.
    pub stored_size_max: usize,
}

impl PresenceLimits {
    /// The bounds on a layer: what is stored is a membership's metadata.
    #[must_use]
    pub fn of(limits: &Limits) -> Self {
        let bounds = Self::default();
        Self {
            stored_size_max: bounds.stored_size_max.min(limits.group_meta_size_max),
            ..bounds
        }
    }
}

impl Default for PresenceLimits {
    fn default() -> Self {
        Self {
            entries_max: 16,
            stored_size_max: 4 << 10,
        }
    }
}

/// Why a presence was not tracked or updated; nothing changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PresenceError {
    /// The key is too long.
    #[error("the presence key {shown:?}… has {len} bytes, at most {len_max} are allowed")]
    KeyTooLong {
        /// How it begins.
        shown: String,
        /// Its length, in bytes.
        len: usize,
        /// The bound, in bytes.
        len_max: usize,
    },
    /// Older clients break at this key.
    #[error("the presence key {key:?} is reserved; put a prefix before it")]
    KeyReserved {
        /// The key.
        key: ByteString,
    },
    /// The meta is no JSON object.
    #[error("the meta {shown:?} of a presence is not the JSON text of an object: {reason}")]
    MetaNotObject {
        /// How it begins.
        shown: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The connection tracks this key already.
    #[error("this connection tracks {key:?} already; update it instead")]
    AlreadyTracked {
        /// The key.
        key: ByteString,
    },
    /// The connection does not track this key.
    #[error("this connection does not track {key:?}; track it first")]
    NotTracked {
        /// The key.
        key: ByteString,
    },
    /// The connection tracks as many keys as it may.
    #[error("this connection tracks {entries_max} keys in this topic and may not track more")]
    TooMany {
        /// The bound.
        entries_max: usize,
    },
    /// Its presences in this topic would come to more than is stored of them.
    #[error(
        "this connection's presences in this topic would take {size} bytes, \
         at most {size_max} are stored; shorten their metas"
    )]
    TooLarge {
        /// Their size, in bytes.
        size: usize,
        /// The bound, in bytes.
        size_max: usize,
    },
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN_MAX).collect()
}

/// Whether a key may be tracked: at most 255 bytes, and none that older clients
/// break at.
///
/// # Errors
///
/// [`PresenceError`] names the key and the rule.
pub fn check_key(key: &ByteString) -> Result<(), PresenceError> {
    if key.len() > KEY_LEN_MAX {
        return Err(PresenceError::KeyTooLong {
            shown: shown(key),
            len: key.len(),
            len_max: KEY_LEN_MAX,
        });
    }
    if RESERVED.iter().any(|reserved| **key == **reserved) {
        return Err(PresenceError::KeyReserved { key: key.clone() });
    }
    Ok(())
}

/// A meta as it is kept: the JSON text of an object, without the fields that the
/// service sets (`phx_ref`, `phx_ref_prev`), which an application hands back when
/// it changes an old meta. Its other fields stay as they were written.
///
/// # Errors
///
/// [`PresenceError::MetaNotObject`] shows the beginning of what is no object, or
/// is nested deeper than 127 levels.
pub fn check_meta(meta: &ByteString) -> Result<ByteString, PresenceError> {
    let unfit = |reason: String| PresenceError::MetaNotObject {
        shown: shown(meta),
        reason,
    };
    let value: Value = serde_json::from_str(meta).map_err(|error| unfit(error.to_string()))?;
    let Value::Object(fields) = value else {
        return Err(unfit("expected '{'".to_owned()));
    };
    if OURS.iter().any(|field| fields.contains_key(*field)) {
        return without_ours(meta).map_err(|error| unfit(error.to_string()));
    }
    let trimmed = meta.trim();
    if trimmed.len() == meta.len() {
        return Ok(meta.clone());
    }
    Ok(trimmed.into())
}

fn without_ours(meta: &str) -> Result<ByteString, serde_json::Error> {
    let mut fields: BTreeMap<String, &RawValue> = serde_json::from_str(meta)?;
    fields.retain(|field, _| !OURS.contains(&field.as_str()));
    serde_json::to_string(&fields).map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_fits_into_what_a_membership_carries() {
        let stored = |group_meta_size_max| {
            let limits = Limits {
                group_meta_size_max,
                ..Limits::default()
            };
            PresenceLimits::of(&limits).stored_size_max
        };
        assert_eq!([stored(1 << 10), stored(8 << 10)], [1 << 10, 4 << 10]);
    }

    #[test]
    fn a_key_that_older_clients_break_at_is_refused_by_name() {
        for key in RESERVED {
            let error = check_key(&key.into()).unwrap_err();
            assert!(error.to_string().contains(key), "{error}");
        }
        assert_eq!(check_key(&"u1".into()), Ok(()));
        assert_eq!(check_key(&"k".repeat(255).into()), Ok(()));
        let error = check_key(&"k".repeat(256).into()).unwrap_err();
        assert!(
            error.to_string().contains("256 bytes, at most 255"),
            "{error}"
        );
    }

    #[test]
    fn a_meta_is_an_object_and_stays_as_it_was_written() {
        let kept = check_meta(&" {\"at\": 1.50, \"n\":[]} ".into()).unwrap();
        assert_eq!(kept, "{\"at\": 1.50, \"n\":[]}");
        for wrong in [
            "",
            "[]",
            "7",
            "{",
            "{\"a\":1}x",
            "{'a':1}",
            "{\"a\":\"\\ud800\"}",
        ] {
            let error = check_meta(&wrong.into()).unwrap_err();
            assert!(
                matches!(error, PresenceError::MetaNotObject { .. }),
                "{error}"
            );
        }
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(1000), "]".repeat(1000));
        check_meta(&deep.into()).unwrap_err();
    }

    #[test]
    fn fields_that_the_service_sets_are_taken_out_of_a_meta() {
        let kept = check_meta(
            &"{\"phx_ref\":\"x\",\"a\":12345678901234567890123,\"phx_ref_prev\":\"y\"}".into(),
        );
        assert_eq!(kept.unwrap(), "{\"a\":12345678901234567890123}");
        assert_eq!(check_meta(&"{\"phx_ref\":\"x\"}".into()).unwrap(), "{}");
    }
}
