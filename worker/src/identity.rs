//! Who is behind a connection, as far as one word says it.

use bytes::Bytes;

use crate::Context;

/// Where it is kept beside the session.
const SLOT: &str = "identity";

impl Context {
    /// Who is behind the connection: what [`identify`](Self::identify) was told,
    /// or the subject of its token.
    #[must_use]
    pub fn identity(&self) -> Option<String> {
        self.event()?;
        let identity = String::from_utf8(self.slot(SLOT).into()).ok()?;
        (!identity.is_empty()).then_some(identity)
    }

    /// Says who is behind the connection, from this event on, if the consumer
    /// returns without an error: logs and rate limits name them so. A verified
    /// token says it by itself.
    ///
    /// It is short, a user's id for example, for it travels with every event.
    pub fn identify(&self, identity: &str) {
        self.keep_slot(SLOT, Bytes::copy_from_slice(identity.as_bytes()));
    }
}
