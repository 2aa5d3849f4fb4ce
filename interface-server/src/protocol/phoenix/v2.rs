//! Version 2: `[join_ref, ref, topic, event, payload]` (§1.3).

use std::fmt;

use bytestring::ByteString;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, SeqAccess, Visitor};

use crate::protocol::phoenix::envelope::{self, Envelope};
use crate::protocol::phoenix::error::DecodeError;
use crate::protocol::phoenix::json::{self, Body, Head};
use crate::protocol::phoenix::message::Incoming;

const SHAPE: &str = "[join_ref, ref, topic, event, payload]";

/// Reads a text frame. Elements beyond the fifth are ignored.
pub(crate) fn decode(frame: &ByteString) -> Result<Incoming, DecodeError> {
    let Array(envelope) = serde_json::from_str(frame).map_err(|source| DecodeError::Text {
        expected: SHAPE,
        source,
    })?;
    envelope.message(frame)
}

/// Writes a text frame.
pub(crate) fn encode(head: &Head<'_>, body: Body<'_>) -> ByteString {
    let mut out = head.buffer(body);
    out.push('[');
    json::reference(&mut out, head.join_ref);
    out.push(',');
    json::reference(&mut out, head.reference);
    out.push(',');
    json::string(&mut out, head.topic);
    out.push(',');
    json::string(&mut out, head.event);
    out.push(',');
    body.write(&mut out);
    out.push(']');
    out.into()
}

struct Array<'a>(Envelope<'a>);

struct Elements;

impl<'de> Visitor<'de> for Elements {
    type Value = Array<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SHAPE)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Self::Value, E> {
        Err(envelope::is_a_string(&self))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let missing = |at: usize| A::Error::invalid_length(at, &SHAPE);
        let envelope = Envelope {
            join_ref: elements.next_element()?.ok_or_else(|| missing(0))?,
            reference: elements.next_element()?.ok_or_else(|| missing(1))?,
            topic: elements.next_element()?.ok_or_else(|| missing(2))?,
            event: elements.next_element()?.ok_or_else(|| missing(3))?,
            payload: elements.next_element()?.ok_or_else(|| missing(4))?,
        };
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Array(envelope))
    }
}

impl<'de> Deserialize<'de> for Array<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Elements)
    }
}
