//! Which route took a conversation, when only its connect event could tell.
//!
//! A filter on the handshake can be asked once, and workers keep nothing about
//! a connection: so the answer travels in front of the session.

use bytes::{BufMut, Bytes, BytesMut};

/// No MessagePack value begins with this byte, so no session does.
const MARK: u8 = 0xC1;

const LEN: usize = 1 + 8;

/// Identifies a route in all workers of an application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Pin(u64);

impl Pin {
    /// FNV-1a, for it is the same in every process and every build.
    pub(super) fn of(route: &str) -> Self {
        let hash = route.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self(hash)
    }

    /// Takes the pin off a session that has one.
    pub(super) fn take(session: &mut Bytes) -> Option<Self> {
        let header: &[u8; LEN] = session.first_chunk()?;
        let [MARK, hash @ ..] = header else {
            return None;
        };
        let pin = Self(u64::from_be_bytes(*hash));
        drop(session.split_to(LEN));
        Some(pin)
    }

    /// Puts the pin in front of a session.
    pub(crate) fn put(self, session: &[u8]) -> Bytes {
        let mut pinned = BytesMut::with_capacity(LEN + session.len());
        pinned.put_u8(MARK);
        pinned.put_u64(self.0);
        pinned.put_slice(session);
        pinned.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_comes_off_as_it_was_put() {
        let pin = Pin::of("/chat if header(\"x\") equals \"1\"");
        let mut session = pin.put(b"\x91\x01");
        assert_eq!(Pin::take(&mut session), Some(pin));
        assert_eq!(session, b"\x91\x01"[..]);
        assert_eq!(Pin::take(&mut session), None);
        assert_eq!(Pin::take(&mut Bytes::new()), None);
        assert_ne!(pin, Pin::of("/chat"));
    }
}
