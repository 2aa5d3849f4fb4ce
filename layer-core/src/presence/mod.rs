//! Who is here: presences of a topic, as pure state machines.
//!
//! A [`Source`] is one shard of one node in one incarnation, and the only
//! authority for the presences of its own connections: a [`Local`] a topic. It
//! stores them in the layer and publishes [`Change`]s to the topic's group.
//! Every shard with members in the topic keeps a [`Replica`] of all sources and
//! tells its own clients the [`Diff`]s. So nobody sends leaves for others, and a
//! client hears of each join and each leave once.
//!
//! What the shell around them owes, because the machines rely on it:
//!
//! - **Store, then publish.** A snapshot that is read after a change was heard
//!   has that change in it, a leave as well as a join.
//! - **Register, then read.** A replica hears the topic's group before the
//!   snapshot that it asked for ([`Reading`]) is begun.
//! - **Beat.** Some time after its last change of a topic, a source publishes
//!   [`Local::beat`], and keeps a `Local` that became empty until then. A change
//!   that was lost with none after it is found by this alone.
//! - **Announce, then state.** What waits in a [`Pending`] is announced before a
//!   client is given the state; else it hears a join twice.
//!
//! Costs: a change costs the logarithm of the topic's entries for each entry in
//! it. Only a snapshot, a [`Local::announce`] and the state walk over all.

mod change;
mod check;
mod diff;
mod json;
mod local;
mod mark;
mod reading;
mod replica;
mod roster;
mod sources;
mod stored;

pub use change::{Change, ChangeKind, Entry, Source};
pub use check::{PresenceError, PresenceLimits, check_key, check_meta};
pub use diff::{Diff, Pending};
pub use local::Local;
pub use mark::References;
pub use reading::{Applied, Reading, Snapshot};
pub use replica::Replica;
pub use stored::Stored;
