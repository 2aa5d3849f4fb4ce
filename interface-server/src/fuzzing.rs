//! The decoders of what clients send, for fuzzers alone: each says how many
//! bytes it made of its input, if it took it.

use towpath_layer_core::Frame;

use crate::protocol::phoenix::{Payload, Serializer};

pub use crate::transport::longpoll::fuzzing::{longpoll_body, token_in_header, token_in_query};

/// A client's frame, by version 1 of Phoenix's protocol.
#[must_use]
pub fn phoenix_v1(frame: Frame) -> Option<usize> {
    decoded(Serializer::V1, frame)
}

/// A client's frame, by version 2 of Phoenix's protocol.
#[must_use]
pub fn phoenix_v2(frame: Frame) -> Option<usize> {
    decoded(Serializer::V2, frame)
}

fn decoded(serializer: Serializer, frame: Frame) -> Option<usize> {
    let message = serializer.decode(frame).ok()?;
    let refs = [&message.join_ref, &message.reference];
    let refs: usize = refs
        .into_iter()
        .flatten()
        .map(|reference| reference.text().len())
        .sum();
    let payload = match &message.payload {
        Payload::Json(json) => json.len(),
        Payload::Binary(bytes) => bytes.len(),
    };
    Some(refs + message.topic.len() + message.event.len() + payload)
}
