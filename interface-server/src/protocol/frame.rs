//! Frames as they leave: unmasked, whole, encoded once (RFC 6455 §5.2).

use std::rc::Rc;

use bytes::{BufMut, Bytes, BytesMut};
use bytestring::ByteString;
use towpath_layer_core::Frame;

use super::close;

const FIN: u8 = 0x80;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xa;

/// The longest header of a frame that is not masked, in bytes.
const HEADER_LEN_MAX: usize = 10;

/// An encoded frame, shared by whoever has a clone. It stays on its thread: to
/// count by an atomic would hold up each of a thousand deliveries until the one
/// before it has reached the cache.
#[derive(Debug, Clone)]
pub(crate) struct OutFrame {
    encoded: Rc<Encoded>,
    is_beyond: bool,
}

#[derive(Debug)]
struct Encoded {
    header: [u8; HEADER_LEN_MAX],
    header_len: u8,
    payload: Bytes,
}

impl OutFrame {
    fn new(opcode: u8, payload: Bytes) -> Self {
        let mut header = [0; HEADER_LEN_MAX];
        let mut rest = &mut header[..];
        rest.put_u8(FIN | opcode);
        let len = payload.len();
        if let Some(small) = u8::try_from(len).ok().filter(|small| *small < 126) {
            rest.put_u8(small);
        } else if let Ok(medium) = u16::try_from(len) {
            rest.put_u8(126);
            rest.put_u16(medium);
        } else {
            rest.put_u8(127);
            rest.put_u64(len as u64);
        }
        let header_len = match len {
            0..126 => 2,
            126..=0xffff => 4,
            _ => 10,
        };
        let encoded = Encoded {
            header,
            header_len,
            payload,
        };
        Self {
            encoded: Rc::new(encoded),
            is_beyond: false,
        }
    }

    /// The same, put beyond the bounds of what waits: it takes no room from
    /// what comes after it.
    pub(crate) fn beyond(self) -> Self {
        Self {
            is_beyond: true,
            ..self
        }
    }

    pub(crate) fn is_beyond(&self) -> bool {
        self.is_beyond
    }

    /// A data message in one frame.
    pub(crate) fn data(frame: &Frame) -> Self {
        match frame {
            Frame::Text(text) => Self::new(TEXT, text.as_bytes().clone()),
            Frame::Bytes(bytes) => Self::new(BINARY, bytes.clone()),
        }
    }

    /// A close frame; the reason is expected to fit one. The code 1005 stands
    /// for none.
    pub(crate) fn close(code: u16, reason: &ByteString) -> Self {
        if code == close::NO_STATUS {
            return Self::new(CLOSE, Bytes::new());
        }
        let mut payload = BytesMut::with_capacity(2 + reason.len());
        payload.put_u16(code);
        payload.put_slice(reason.as_ref());
        Self::new(CLOSE, payload.freeze())
    }

    /// A ping without a payload.
    pub(crate) fn ping() -> Self {
        Self::new(PING, Bytes::new())
    }

    /// The answer to a ping; its payload is expected to fit one.
    pub(crate) fn pong(payload: Bytes) -> Self {
        Self::new(PONG, payload)
    }

    /// The header.
    pub(crate) fn header(&self) -> &[u8] {
        let Encoded {
            header, header_len, ..
        } = &*self.encoded;
        header.get(..usize::from(*header_len)).unwrap_or_default()
    }

    pub(crate) fn payload(&self) -> &[u8] {
        &self.encoded.payload
    }

    /// Whether it is a text.
    pub(crate) fn is_text(&self) -> bool {
        self.encoded.header.first() == Some(&(FIN | TEXT))
    }

    /// What it says, if it is a text.
    pub(crate) fn text(&self) -> Option<ByteString> {
        let text = self.is_text().then(|| self.encoded.payload.clone())?;
        ByteString::try_from(text).ok()
    }

    /// Size on the wire, in bytes.
    pub(crate) fn len(&self) -> usize {
        usize::from(self.encoded.header_len) + self.encoded.payload.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(frame: &Frame, header: &[u8]) {
        let encoded = OutFrame::data(frame);
        assert_eq!(encoded.header(), header);
        assert_eq!(encoded.payload(), frame.as_bytes());
        assert_eq!(encoded.len(), header.len() + frame.len());
    }

    #[test]
    fn a_header_has_the_shortest_length_that_fits() {
        check(&Frame::Text("".into()), &[0x81, 0]);
        check(&Frame::Text("ab".into()), &[0x81, 2]);
        check(&Frame::Bytes(vec![0; 125].into()), &[0x82, 125]);
        check(&Frame::Bytes(vec![0; 126].into()), &[0x82, 126, 0, 126]);
        let medium = Frame::Bytes(vec![0; 0xffff].into());
        check(&medium, &[0x82, 126, 0xff, 0xff]);
        let large = Frame::Bytes(vec![0; 0x10000].into());
        check(&large, &[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
    }

    #[test]
    fn a_close_frame_carries_code_and_reason() {
        let close = OutFrame::close(1013, &"slow".into());
        assert_eq!(close.header(), [0x88, 6]);
        assert_eq!(close.payload(), [0x03, 0xf5, b's', b'l', b'o', b'w']);
        let without = OutFrame::close(1005, &ByteString::new());
        assert_eq!(
            (without.header(), without.payload()),
            (&[0x88, 0][..], &[][..])
        );
        assert_eq!(OutFrame::ping().header(), [0x89, 0]);
        assert_eq!(OutFrame::pong(vec![7].into()).header(), [0x8a, 1]);
    }
}
