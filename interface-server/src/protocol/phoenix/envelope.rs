//! The five parts of a text frame, where they stand.

use bytestring::ByteString;
use serde::de::{Error, Visitor};
use serde_json::value::RawValue;

use crate::protocol::phoenix::error::DecodeError;
use crate::protocol::phoenix::message::{Incoming, Payload};
use crate::protocol::phoenix::text::{MaybeRef, Text};

/// A message as it stands in its frame.
#[derive(Debug)]
pub(crate) struct Envelope<'a> {
    pub(crate) join_ref: MaybeRef<'a>,
    pub(crate) reference: MaybeRef<'a>,
    pub(crate) topic: Text<'a>,
    pub(crate) event: Text<'a>,
    /// Checked to be JSON, and no further.
    pub(crate) payload: &'a RawValue,
}

impl Envelope<'_> {
    pub(crate) fn message(self, frame: &ByteString) -> Result<Incoming, DecodeError> {
        Ok(Incoming {
            join_ref: self.join_ref.of(frame, "join_ref")?,
            reference: self.reference.of(frame, "ref")?,
            topic: self.topic.of(frame),
            event: self.event.of(frame),
            payload: Payload::Json(frame.slice_ref(self.payload.get())),
            size: frame.len(),
        })
    }
}

/// A frame that is one string. The usual error would repeat it.
pub(crate) fn is_a_string<'de, E: Error>(expected: &impl Visitor<'de>) -> E {
    E::invalid_type(serde::de::Unexpected::Other("a string"), expected)
}
