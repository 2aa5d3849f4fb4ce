//! Version 1: one object with the keys `topic`, `event`, `ref` and `payload`
//! (§1.3).

use std::fmt;

use bytes::Bytes;
use bytestring::ByteString;
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use crate::protocol::phoenix::envelope::{self, Envelope};
use crate::protocol::phoenix::error::DecodeError;
use crate::protocol::phoenix::json::{self, Body, Head};
use crate::protocol::phoenix::message::Incoming;

const SHAPE: &str = "an object with topic, event, payload and ref";

/// Reads a text frame: its keys in any order, others ignored; of a key that
/// stands twice the last counts.
pub(crate) fn decode(frame: &ByteString) -> Result<Incoming, DecodeError> {
    let Object(envelope) = serde_json::from_str(frame).map_err(|source| DecodeError::Text {
        expected: SHAPE,
        source,
    })?;
    envelope.message(frame)
}

/// Reads a binary frame, which holds the same text.
pub(crate) fn decode_bytes(frame: Bytes) -> Result<Incoming, DecodeError> {
    let text = ByteString::try_from(frame).map_err(|source| DecodeError::NotUtf8 {
        what: "the frame",
        source,
    })?;
    decode(&text)
}

/// Writes a text frame; a client of this version is told no `join_ref`.
pub(crate) fn encode(head: &Head<'_>, body: Body<'_>) -> ByteString {
    let mut out = head.buffer(body);
    out.push_str("{\"topic\":");
    json::string(&mut out, head.topic);
    out.push_str(",\"event\":");
    json::string(&mut out, head.event);
    out.push_str(",\"ref\":");
    json::reference(&mut out, head.reference);
    out.push_str(",\"payload\":");
    body.write(&mut out);
    out.push('}');
    out.into()
}

struct Object<'a>(Envelope<'a>);

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Key {
    Topic,
    Event,
    Payload,
    Ref,
    JoinRef,
    #[serde(other)]
    Other,
}

struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SHAPE)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Self::Value, E> {
        Err(envelope::is_a_string(&self))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let (mut topic, mut event, mut payload) = (None, None, None);
        let (mut reference, mut join_ref) = (None, None);
        while let Some(key) = entries.next_key()? {
            match key {
                Key::Topic => topic = Some(entries.next_value()?),
                Key::Event => event = Some(entries.next_value()?),
                Key::Payload => payload = Some(entries.next_value()?),
                Key::Ref => reference = Some(entries.next_value()?),
                Key::JoinRef => join_ref = Some(entries.next_value()?),
                Key::Other => {
                    entries.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Object(Envelope {
            join_ref: join_ref.unwrap_or_default(),
            reference: reference.ok_or_else(|| A::Error::missing_field("ref"))?,
            topic: topic.ok_or_else(|| A::Error::missing_field("topic"))?,
            event: event.ok_or_else(|| A::Error::missing_field("event"))?,
            payload: payload.ok_or_else(|| A::Error::missing_field("payload"))?,
        }))
    }
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Entries)
    }
}
