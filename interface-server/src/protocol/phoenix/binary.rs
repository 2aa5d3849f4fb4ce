//! The binary frames of version 2: sizes, strings, payload (§1.4).

use bytes::{Buf, BufMut, Bytes, BytesMut};
use bytestring::ByteString;

use crate::protocol::phoenix::error::{DecodeError, EncodeError};
use crate::protocol::phoenix::message::{Broadcast, Incoming, Payload, Push, Ref, Reply};

const PUSH: u8 = 0;
const REPLY: u8 = 1;
const BROADCAST: u8 = 2;

/// The kind and the four sizes of a client's push, in bytes.
const HEADER_LEN: usize = 5;

/// Reads a client's push. A `join_ref` of no length is the empty string, which
/// is the `join_ref` of nobody.
pub(crate) fn decode(frame: &Bytes) -> Result<Incoming, DecodeError> {
    let len = frame.len();
    if let Some(&kind) = frame.first()
        && kind != PUSH
    {
        return Err(DecodeError::Kind { kind });
    }
    let Some(&[_, join_ref, reference, topic, event]) = frame.first_chunk::<HEADER_LEN>() else {
        let needed = HEADER_LEN;
        return Err(DecodeError::Overrun { needed, len });
    };
    let sizes = [join_ref, reference, topic, event].map(usize::from);
    let needed = HEADER_LEN + sizes.iter().sum::<usize>();
    if len < needed {
        return Err(DecodeError::Overrun { needed, len });
    }
    let [join_ref, reference, topic, event] = sizes;
    let mut rest = frame.clone();
    rest.advance(HEADER_LEN);
    Ok(Incoming {
        join_ref: Some(Ref::new(string(&mut rest, join_ref, "join_ref")?)),
        reference: Some(Ref::new(string(&mut rest, reference, "ref")?)),
        topic: string(&mut rest, topic, "topic")?,
        event: string(&mut rest, event, "event")?,
        payload: Payload::Binary(rest),
        size: len,
    })
}

/// Takes a string that is known to be there.
fn string(rest: &mut Bytes, len: usize, what: &'static str) -> Result<ByteString, DecodeError> {
    ByteString::try_from(rest.split_to(len)).map_err(|source| DecodeError::NotUtf8 { what, source })
}

/// A push: it has no ref.
pub(crate) fn push(push: &Push<'_>, payload: &[u8]) -> Result<Bytes, EncodeError> {
    let join_ref = push.join_ref.map(Ref::text).unwrap_or_default();
    let strings = [
        ("join_ref", &*join_ref),
        ("topic", push.topic),
        ("event", push.event),
    ];
    encode(PUSH, &strings, payload)
}

/// A reply: its status stands where an event would.
pub(crate) fn reply(reply: &Reply<'_>, payload: &[u8]) -> Result<Bytes, EncodeError> {
    let join_ref = reply.join_ref.map(Ref::text).unwrap_or_default();
    let reference = reply.reference.map(Ref::text).unwrap_or_default();
    let strings = [
        ("join_ref", &*join_ref),
        ("ref", &*reference),
        ("topic", reply.topic),
        ("status", reply.status),
    ];
    encode(REPLY, &strings, payload)
}

/// A broadcast: it has neither ref.
pub(crate) fn broadcast(message: &Broadcast<'_>, payload: &[u8]) -> Result<Bytes, EncodeError> {
    let strings = [("topic", message.topic), ("event", message.event)];
    encode(BROADCAST, &strings, payload)
}

fn encode(
    kind: u8,
    strings: &[(&'static str, &str)],
    payload: &[u8],
) -> Result<Bytes, EncodeError> {
    let texts: usize = strings.iter().map(|(_, text)| 1 + text.len()).sum();
    let mut frame = BytesMut::with_capacity(1 + texts + payload.len());
    frame.put_u8(kind);
    for &(field, text) in strings {
        let len = text.len();
        let size = u8::try_from(len).map_err(|_| EncodeError::HeaderTooLong { field, len })?;
        frame.put_u8(size);
    }
    for (_, text) in strings {
        frame.put_slice(text.as_bytes());
    }
    frame.put_slice(payload);
    Ok(frame.freeze())
}
