//! Which route took a conversation, when only its connect event could tell.
//!
//! A filter on the handshake can be asked once, and workers keep nothing about
//! a connection: so the answer travels beside the session.

/// Identifies a route in all workers of an application: FNV-1a, for it is the
/// same in every process and every build.
pub(super) fn pin(route: &str) -> u64 {
    route.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
