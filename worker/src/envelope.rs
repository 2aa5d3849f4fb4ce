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

    /// As [`seal`](Self::seal), unless that is too much to travel.
    pub(crate) fn seal_within(&self, session: &Bytes, size_max: usize) -> Result<Bytes, String> {
        let sealed = self.seal(session)?;
        match sealed.len() {
            size if size > size_max => Err(format!(
                "the session has {size} bytes, at most {size_max} travel"
            )),
            _ => Ok(sealed),
        }
    }

    /// Whether a session can travel with what is kept beside it.
    pub(crate) fn check_size(&self, session: &Bytes, size_max: usize) -> Result<(), String> {
        // No length, mark or pin takes more in MessagePack, so this is enough
        // to know for nearly all sessions, and copies nothing.
        let slots = self.slots.iter();
        let slots: usize = slots
            .map(|(name, state)| name.len() + state.len() + 11)
            .sum();
        if session.len() + slots + 32 <= size_max {
            return Ok(());
        }
        self.seal_within(session, size_max).map(drop)
    }

    /// Replaces what is kept under a name, where it stands; nothing is kept of
    /// an empty state.
    pub(crate) fn keep(&mut self, name: &str, state: Bytes) {
        let known = self.slots.iter().position(|(known, _)| *known == *name);
        match (known, state.is_empty()) {
            (Some(index), true) => drop(self.slots.remove(index)),
            (Some(index), false) => {
                if let Some((_, kept)) = self.slots.get_mut(index) {
                    *kept = state;
                }
            }
            (None, true) => {}
            (None, false) => self.slots.push((name.into(), state)),
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
    use proptest::prelude::*;

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

    #[test]
    fn a_state_is_replaced_where_it_stands() {
        let mut envelope = Envelope::default();
        for (name, state) in [("a", "1"), ("b", "2"), ("c", "3")] {
            envelope.keep(name, state.into());
        }
        let before = envelope.clone();
        envelope.keep("a", "1".into());
        assert_eq!(envelope, before);
        envelope.keep("b", Bytes::new());
        envelope.keep("none", Bytes::new());
        assert_eq!(envelope.slots.len(), 2);
    }

    fn states() -> impl Strategy<Value = Bytes> {
        proptest::collection::vec(any::<u8>(), 0..300).prop_map(Bytes::from)
    }

    fn envelopes() -> impl Strategy<Value = Envelope> {
        let slots = proptest::collection::vec((".{0,40}", states()), 0..6);
        (any::<Option<u64>>(), slots).prop_map(|(pin, slots)| {
            let mut envelope = Envelope {
                pin,
                ..Envelope::default()
            };
            for (name, state) in slots {
                envelope.keep(&name, state);
            }
            envelope
        })
    }

    proptest! {
        /// Whatever a consumer's own state is; one that stands alone does not
        /// begin with the mark, for it is MessagePack.
        #[test]
        fn every_envelope_comes_back(envelope in envelopes(), own in states()) {
            let bare = envelope == Envelope::default();
            prop_assume!(!bare || own.first() != Some(&MARK));
            let sealed = envelope.seal(&own).unwrap();
            prop_assert_eq!(envelope.seal_within(&own, sealed.len()), Ok(sealed.clone()));
            prop_assert_eq!(envelope.check_size(&own, sealed.len()), Ok(()));
            if let Some(less) = sealed.len().checked_sub(1) {
                prop_assert!(envelope.check_size(&own, less).is_err());
            }
            let mut session = sealed;
            prop_assert_eq!(Envelope::open(&mut session), envelope);
            prop_assert_eq!(session, own);
        }

        #[test]
        fn garbage_opens_to_itself_or_to_what_seals_again(
            marked in any::<bool>(),
            garbage in states(),
        ) {
            let mark: &[u8] = if marked { &[MARK] } else { &[] };
            let garbage = Bytes::from([mark, &garbage].concat());
            let mut session = garbage.clone();
            let envelope = Envelope::open(&mut session);
            if envelope == Envelope::default() && session == garbage {
                return Ok(());
            }
            let mut again = envelope.seal(&session).unwrap();
            prop_assert_eq!(Envelope::open(&mut again), envelope);
        }
    }
}
