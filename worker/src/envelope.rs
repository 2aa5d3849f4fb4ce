//! What travels as a conversation's session, and what of it is the consumer's.
//!
//! The consumer's own state travels bare. Once something else has to be
//! remembered beside it (the route that took the conversation, the sessions of
//! a demultiplexer's streams, what middleware knows), all of it travels in an
//! envelope, because workers keep nothing about a connection.

use bytes::Bytes;
use bytestring::ByteString;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// No MessagePack value begins with this byte, so no bare session does.
const MARK: u8 = 0xC1;

/// States that are kept beside the consumer's own, by name.
pub(crate) type Slots = SmallVec<[(ByteString, Bytes); 1]>;

/// What is kept beside the consumer's own state.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Envelope {
    /// Which route took the conversation, if only its connect event could tell.
    pub(crate) pin: Option<u64>,
    pub(crate) slots: Slots,
}

#[derive(Serialize, Deserialize)]
struct Wire(Option<u64>, Vec<(ByteString, Bytes)>, Bytes);

impl Envelope {
    /// Takes the envelope off a session and leaves the consumer's own state.
    /// What cannot be read stays as it is: no consumer will decode it.
    pub(crate) fn open(session: &mut Bytes) -> Self {
        let Some((&MARK, wire)) = session.split_first() else {
            return Self::default();
        };
        let Ok(Wire(pin, slots, own)) = rmp_serde::from_slice(wire) else {
            return Self::default();
        };
        *session = own;
        Self {
            pin,
            slots: slots.into(),
        }
    }

    /// Puts a consumer's own state back in.
    pub(crate) fn seal(&self, session: &Bytes) -> Result<Bytes, String> {
        if self.pin.is_none() && self.slots.is_empty() {
            return Ok(session.clone());
        }
        let mut sealed = vec![MARK];
        let wire = Wire(self.pin, self.slots.to_vec(), session.clone());
        rmp_serde::encode::write(&mut sealed, &wire).map_err(|error| error.to_string())?;
        Ok(sealed.into())
    }

    /// Replaces what is kept under a name; nothing is kept of an empty state.
    pub(crate) fn keep(&mut self, name: &str, state: Bytes) {
        self.slots.retain(|(known, _)| *known != *name);
        if !state.is_empty() {
            self.slots.push((name.into(), state));
        }
    }

    /// What is kept under a name; empty if nothing is.
    pub(crate) fn slot(&self, name: &str) -> Bytes {
        let found = self.slots.iter().find(|(known, _)| *known == *name);
        found.map(|(_, state)| state.clone()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_alone_travels_bare() {
        let session = Bytes::from_static(b"\x91\x01");
        let sealed = Envelope::default().seal(&session).unwrap();
        assert_eq!(sealed, session);
        let mut opened = sealed;
        assert_eq!(Envelope::open(&mut opened), Envelope::default());
        assert_eq!(opened, session);
    }

    #[test]
    fn what_was_sealed_is_opened() {
        let mut envelope = Envelope {
            pin: Some(7),
            ..Envelope::default()
        };
        envelope.keep("rate", Bytes::from_static(b"1"));
        envelope.keep("auth", Bytes::from_static(b"2"));
        envelope.keep("rate", Bytes::from_static(b"3"));
        let mut session = envelope.seal(&Bytes::from_static(b"own")).unwrap();
        assert_eq!(Envelope::open(&mut session), envelope);
        assert_eq!(session, "own");
        assert_eq!(
            (envelope.slot("rate"), envelope.slot("none")),
            ("3".into(), Bytes::new())
        );
        envelope.keep("rate", Bytes::new());
        envelope.keep("auth", Bytes::new());
        envelope.pin = None;
        assert_eq!(envelope.seal(&Bytes::new()).unwrap(), "");
    }

    #[test]
    fn garbage_is_left_as_it_is() {
        let garbage = Bytes::from_static(b"\xC1\x00");
        let mut session = garbage.clone();
        assert_eq!(Envelope::open(&mut session), Envelope::default());
        assert_eq!(session, garbage);
    }
}
