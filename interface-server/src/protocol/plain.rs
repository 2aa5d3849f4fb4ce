//! The plain protocol: one conversation a socket, each message an event.

use bytes::Bytes;
use bytestring::ByteString;
use towpath_layer_core::Frame;

/// Payloads up to this size are copied out of the read buffer, so that a few
/// bytes that wait somewhere do not keep the whole buffer alive.
const COPY_MAX: usize = 2048;

/// A text message as a frame of the layer; its payload was checked to be UTF-8.
pub(crate) fn text(payload: Bytes) -> Option<Frame> {
    if payload.len() <= COPY_MAX {
        let text = std::str::from_utf8(&payload).ok()?;
        return Some(Frame::Text(ByteString::from(text)));
    }
    ByteString::try_from(payload).ok().map(Frame::Text)
}

/// A binary message as a frame of the layer.
pub(crate) fn bytes(payload: Bytes) -> Frame {
    if payload.len() <= COPY_MAX {
        Frame::Bytes(Bytes::copy_from_slice(&payload))
    } else {
        Frame::Bytes(payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_payload_leaves_the_read_buffer_and_a_large_one_stays() {
        let buffer = Bytes::from(vec![b'x'; 8192]);
        let small = bytes(buffer.slice(..10));
        assert_ne!(small.as_bytes().as_ptr(), buffer.as_ptr());
        let large = bytes(buffer.clone());
        assert_eq!(large.as_bytes().as_ptr(), buffer.as_ptr());
        let large = text(buffer.clone()).unwrap();
        assert_eq!(large.as_bytes().as_ptr(), buffer.as_ptr());
        assert_eq!(text(Bytes::from_static(b"\xff")), None);
    }
}
